/* weights.h: loads and saves the state of an instance as safetensors files. */
#ifndef RNC_RUNTIME_IO_WEIGHTS_H
#define RNC_RUNTIME_IO_WEIGHTS_H

#include "runtime/rt/exec.h"
#include "runtime/io/safetensors.h"
#include "runtime/rt/status.h"

enum rnc_weights_flags {
    RNC_WEIGHTS_OPTIM = 1, /* also the optimizer's state; loading fails if it is missing */
};
/* Saved files have a checksum of each tensor in their metadata. It is checked before anything is loaded; files from
   other programs have none. */

/* Sets every parameter, buffer and counter of I from the file and prepares. Missing counters become 0. Tensors under
   "optim." are ignored without the flag. If names or shapes differ, nothing is changed, and *DETAILS (if not NULL)
   becomes a malloc'ed text with a line for each tensor concerned; otherwise NULL. */
bool rnc_weights_load(struct rnc_instance *i, const char *path, unsigned flags, char **details, struct rnc_status *s);
bool rnc_weights_load_from(struct rnc_instance *i, const struct rnc_safetensors *f, unsigned flags, char **details,
                           struct rnc_status *s);
/* Saves all parameters, buffers and counters (with the flag also the optimizer's state), with META as __metadata__. */
bool rnc_weights_save(const struct rnc_instance *i, const char *path, unsigned flags, const struct rnc_st_meta *meta,
                      size_t nmeta, struct rnc_status *s);
/* Copies every parameter, buffer and counter of FROM to the tensor of the same name in TO, and prepares TO. */
bool rnc_weights_copy(const struct rnc_instance *from, struct rnc_instance *to, struct rnc_status *s);

#endif
