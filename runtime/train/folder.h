/* folder.h: the folder of a run: its files by name, one process at a time, and what a kill has interrupted.

   last.safetensors is the truth: what else is there belongs to the state that it has. An epoch is written in this
   order: log.csv and steps.csv, which may so be a row ahead of it; the best weights under RNC_RUN_NEXT; then
   last.safetensors, by a rename; then RNC_RUN_NEXT gets its name. Wherever that ends, rnc_folder_settle brings the
   others to where last.safetensors is. */
#ifndef RNC_RUNTIME_TRAIN_FOLDER_H
#define RNC_RUNTIME_TRAIN_FOLDER_H

#include <stdbool.h>

#include "runtime/rt/status.h"

#define RNC_RUN_SPEC "spec.yaml"        /* the spec, expanded; itself a spec */
#define RNC_RUN_JSON "run.json"         /* the command, where and when, the path of the data */
#define RNC_RUN_LAST "last.safetensors" /* everything to go on from */
#define RNC_RUN_BEST "best.safetensors" /* the weights of the best epoch */
#define RNC_RUN_NEXT "best.safetensors.next"
#define RNC_RUN_LOG "log.csv"     /* a row for each epoch */
#define RNC_RUN_STEPS "steps.csv" /* a row for each step */
#define RNC_RUN_PNG "curves.png"  /* pictures of the two */
#define RNC_RUN_SVG "curves.svg"
#define RNC_RUN_OLD ".old" /* the ending of the files of a run that was overwritten */

/* DIR holds what a new run would destroy: checkpoints, a log, or a spec.yaml that is no run's. */
bool rnc_folder_taken(const char *dir);

/* The folder for this process alone, until rnc_folder_unlock or the process's end; nothing is left behind. -1: another
   process has it, or it can't be opened. Where the file system has no locks, nobody is kept out. */
int rnc_folder_lock(const char *dir, struct rnc_status *s);
void rnc_folder_unlock(int lock);
/* Another process has it. */
bool rnc_folder_busy(const char *dir);

/* Finishes what a kill has interrupted, see above, and removes temporary files. The caller has the lock. A
   last.safetensors that is missing or can't be read leaves all as it is, but for temporary files. */
bool rnc_folder_settle(const char *dir, struct rnc_status *s);
/* The epoch's best weights, written under RNC_RUN_NEXT, get their name. */
bool rnc_folder_promote(const char *dir, struct rnc_status *s);
/* Renames the files of the run to their names with RNC_RUN_OLD, in place of those that an earlier one left. */
bool rnc_folder_set_aside(const char *dir, struct rnc_status *s);

#endif
