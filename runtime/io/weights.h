/* weights.h: between the state of an instance and safetensors files. */
#ifndef RNC_RUNTIME_IO_WEIGHTS_H
#define RNC_RUNTIME_IO_WEIGHTS_H

#include "runtime/rt/exec.h"
#include "runtime/io/safetensors.h"
#include "runtime/rt/status.h"

enum rnc_weights_flags {
    RNC_WEIGHTS_OPTIM = 1, /* the optimizer's state too; loading fails when it is missing */
};
/* A checksum of each tensor is in the metadata of what is saved, and looked at before anything is loaded; files of
   others have none. */

/* Sets every parameter, buffer and counter of I from the file and prepares. Counters may be missing (they become 0),
   and tensors under "optim." are ignored unless asked for. When names or shapes do not fit nothing is changed, and
   *DETAILS (if not NULL) becomes a malloc'ed text with one line for each tensor in question, for notes under the error;
   otherwise NULL. */
bool rnc_weights_load(struct rnc_instance *i, const char *path, unsigned flags, char **details, struct rnc_status *s);
bool rnc_weights_load_from(struct rnc_instance *i, const struct rnc_safetensors *f, unsigned flags, char **details,
                           struct rnc_status *s);
/* All parameters, buffers and counters (and with the flag the optimizer's state), with META as __metadata__. */
bool rnc_weights_save(const struct rnc_instance *i, const char *path, unsigned flags, const struct rnc_st_meta *meta,
                      size_t nmeta, struct rnc_status *s);
/* Copies every parameter, buffer and counter of FROM to the tensor of that name of TO, and prepares TO. */
bool rnc_weights_copy(const struct rnc_instance *from, struct rnc_instance *to, struct rnc_status *s);

#endif
