/* build_id.h: which rnc and which LLVM these are, to the bit. */
#ifndef RNC_GEN_MODULE_BUILD_ID_H
#define RNC_GEN_MODULE_BUILD_ID_H

#include <stdbool.h>
#include "base/buf.h"

/* Writes the build ids (in hex) of rnc and of the LLVM library, and LLVM's version. False when rnc was linked without
   one: then nothing tells two builds apart. */
bool build_id(struct buf *out);

#endif
