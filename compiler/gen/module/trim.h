/* trim.h: the memory of the compiler, given back when it is not needed. */
#ifndef RNC_GEN_MODULE_TRIM_H
#define RNC_GEN_MODULE_TRIM_H

/* After compiling and linking: returns free heap to the system, and unmaps from this process's page tables what it has
   read of its shared libraries (LLVM's relocations and code, some 40 MiB). They stay in the system's page cache and
   come back page by page when they are called again, at any time; nothing changes but the resident size. About a
   millisecond. */
void gen_trim(void);

#endif
