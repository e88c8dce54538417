/* folder.h: the output folder of a run: the names of its files, its lock, and recovery after a kill.

   last.safetensors decides what the state of the run is; the other files must match it. At the end of an epoch the
   files are written in this order: log.csv and steps.csv; the best weights, named RNC_RUN_NEXT; last.safetensors, by a
   rename; then RNC_RUN_NEXT is renamed to RNC_RUN_BEST. A kill may leave log.csv one row ahead, or RNC_RUN_NEXT not yet
   renamed. rnc_folder_settle repairs both. */
#ifndef RNC_RUNTIME_TRAIN_FOLDER_H
#define RNC_RUNTIME_TRAIN_FOLDER_H

#include <stdbool.h>

#include "runtime/rt/status.h"

#define RNC_RUN_SPEC "spec.yaml"        /* the spec, expanded; itself a spec */
#define RNC_RUN_JSON "run.json"         /* the command, the host, the date, the path of the data */
#define RNC_RUN_LAST "last.safetensors" /* the checkpoint to resume from */
#define RNC_RUN_BEST "best.safetensors" /* the weights of the best epoch */
#define RNC_RUN_NEXT "best.safetensors.next"
#define RNC_RUN_LOG "log.csv"     /* a row for each epoch */
#define RNC_RUN_STEPS "steps.csv" /* a row for each step */
#define RNC_RUN_PNG "curves.png"  /* pictures of the two */
#define RNC_RUN_SVG "curves.svg"
#define RNC_RUN_OLD ".old" /* the ending of the files of a run that was overwritten */

/* True if a new run would destroy files in DIR: checkpoints, a log, or a spec.yaml that no run has written. */
bool rnc_folder_taken(const char *dir);

/* Locks DIR for this process, until rnc_folder_unlock or until the process ends. The lock leaves no file behind.
   Returns -1 if another process holds the lock or DIR can't be opened. On a file system without locks it always
   succeeds. */
int rnc_folder_lock(const char *dir, struct rnc_status *s);
void rnc_folder_unlock(int lock);
/* True if another process holds the lock. */
bool rnc_folder_busy(const char *dir);

/* Repairs what a kill has interrupted (see above) and removes temporary files. The caller holds the lock. If
   last.safetensors is missing or unreadable, only temporary files are removed. */
bool rnc_folder_settle(const char *dir, struct rnc_status *s);
/* Renames RNC_RUN_NEXT to RNC_RUN_BEST. */
bool rnc_folder_promote(const char *dir, struct rnc_status *s);
/* Appends RNC_RUN_OLD to the names of the run's files, which replaces those set aside earlier. */
bool rnc_folder_set_aside(const char *dir, struct rnc_status *s);

#endif
