/* memory.h: out-of-memory and fatal errors of LLVM. */
#ifndef RNC_GEN_MODULE_MEMORY_H
#define RNC_GEN_MODULE_MEMORY_H

/* If LLVM runs out of memory, the process ends with a message and status 2. LLVM's fatal errors end it with their text.
   Call once in a process, before LLVM is used. */
void memory_end_with_message(void);

#endif
