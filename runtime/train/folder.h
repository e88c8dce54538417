/* folder.h: the folder of a run, its files by name. */
#ifndef RNC_RUNTIME_TRAIN_FOLDER_H
#define RNC_RUNTIME_TRAIN_FOLDER_H

#define RNC_RUN_SPEC "spec.yaml"        /* the spec, expanded; itself a spec */
#define RNC_RUN_JSON "run.json"         /* the command, where and when, the path of the data */
#define RNC_RUN_LAST "last.safetensors" /* everything to go on from */
#define RNC_RUN_BEST "best.safetensors" /* the weights of the best epoch */
#define RNC_RUN_LOG "log.csv"           /* a row for each epoch */
#define RNC_RUN_STEPS "steps.csv"       /* a row for each step */
#define RNC_RUN_PNG "curves.png"        /* pictures of the two */
#define RNC_RUN_SVG "curves.svg"

#endif
