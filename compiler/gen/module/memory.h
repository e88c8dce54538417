/* memory.h: what LLVM does where memory runs out. */
#ifndef RNC_GEN_MODULE_MEMORY_H
#define RNC_GEN_MODULE_MEMORY_H

/* From now on LLVM's failures of memory end the process with a message and status 2, its fatal errors with their text.
   Once for the process, before LLVM is used. */
void memory_end_with_message(void);

#endif
