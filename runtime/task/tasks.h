/* tasks.h: the tasks. Each is defined at the end of its file. */
#ifndef RNC_RUNTIME_TASK_TASKS_H
#define RNC_RUNTIME_TASK_TASKS_H

#include "runtime/task/task.h"

extern const struct rnc_task rnc_task_classification, rnc_task_segmentation, rnc_task_binary, rnc_task_binary_map,
    rnc_task_regression;

#endif
