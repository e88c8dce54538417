/* build_id.h: identifies the builds of rnc and of LLVM. */
#ifndef RNC_GEN_MODULE_BUILD_ID_H
#define RNC_GEN_MODULE_BUILD_ID_H

#include <stdbool.h>
#include "base/buf.h"

/* Writes the build ids (in hex) of rnc and of the LLVM library, and LLVM's version. Returns false if rnc was linked
   without a build id; two builds can't be distinguished then. */
bool build_id(struct buf *out);

#endif
