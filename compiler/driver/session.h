/* session.h: a loaded model with threads, memory and weights (driver_open). */
#ifndef RNC_DRIVER_SESSION_H
#define RNC_DRIVER_SESSION_H

#include "ir/graph.h"
#include "runtime/rt/exec.h"
#include "runtime/rt/pool.h"

struct session {
    struct rnc_pool *pool;
    struct rnc_parallel par;
    struct rnc_instance *instance;
};
void session_close(struct session *s); /* an empty one: nothing */

/* The row of NAME in the role, or NULL. */
const struct rnc_tensor *session_tensor(const struct rnc_model *m, enum rnc_role role, const char *name);
/* How many classes the labels of TARGET index, as its loss in the raw graph says; 0: it is no class target. IGNORE (may
   be NULL): the label that counts for nothing, or -1. */
int64_t session_classes(const struct graph *raw, const char *target, int64_t *ignore);

#endif
