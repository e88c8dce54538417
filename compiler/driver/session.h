/* session.h: a loaded model with threads, memory and weights, as run, verify and bench need it. */
#ifndef RNC_DRIVER_SESSION_H
#define RNC_DRIVER_SESSION_H

#include "cli/cli.h"

struct session {
    struct rnc_pool *pool;
    struct rnc_parallel par;
    struct rnc_instance *instance;
};

/* WEIGHTS: a safetensors file, or NULL: fresh parameters from --seed. FLAGS: RNC_EXEC_CHECK is added in debug builds
   and where RNC_VERIFY is set. False with diagnostics. */
bool session_open(struct cli *c, const struct rnc_model *m, const char *weights, unsigned flags, struct session *s);
/* The same, but without WEIGHTS also what a fresh network has as zeros and ones (biases, batch norm) is random, by
   --seed: a bias of zero hides its mistakes. */
bool session_open_perturbed(struct cli *c, const struct rnc_model *m, const char *weights, unsigned flags,
                            struct session *s);
void session_close(struct session *s);

/* The flags that every instance is opened with: RNC_EXEC_CHECK in debug builds and where RNC_VERIFY is set. */
unsigned session_flags(void);

/* The runtime's failure as a diagnostic; returns false. */
bool session_fail(struct cli *c, const struct rnc_status *st);

/* The row of NAME in the role, or NULL. */
const struct rnc_tensor *session_tensor(const struct rnc_model *m, enum rnc_role role, const char *name);

/* How many classes the labels of TARGET index, as its loss in the raw graph says; 0: it is no class target. IGNORE (may
   be NULL): the label that counts for nothing, or -1. */
int64_t session_classes(const struct graph *raw, const char *target, int64_t *ignore);

/* Buffers for rnc_execute in the arena, by index: outputs zeroed; inputs and targets random (normal inputs, uniform
   targets, labels that the loss takes), the same for the same --seed. */
void **session_outputs(struct cli *c, const struct rnc_model *m);
void **session_random_inputs(struct cli *c, const struct built *b);

#endif
