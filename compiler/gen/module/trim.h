/* trim.h: returns the compiler's memory to the system. */
#ifndef RNC_GEN_MODULE_TRIM_H
#define RNC_GEN_MODULE_TRIM_H

/* Call after compiling and linking. Returns free heap to the system and unmaps clean pages of shared libraries (LLVM's
   relocations and code). These pages stay in the page cache and are mapped again on the next access. Only the resident
   size changes. Takes about a millisecond. */
void gen_trim(void);

#endif
