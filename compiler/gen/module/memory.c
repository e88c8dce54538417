/* memory.c: LLVM where memory runs out. It is C++ without exceptions: an allocation that fails ends the process by
   abort, with a message for LLVM's own developers or with none. Its two hooks have no names in the C API; they are
   looked up by those of the C++ ABI, and where a library has no such name everything stays as it is. */
#include "gen/module/memory.h"

#include <dlfcn.h>
#include <llvm-c/ErrorHandling.h>
#include <stdbool.h>
#include <string.h>
#include "base/arena.h"
#include "base/diag.h"

static void out_of_memory(void) { arena_out_of_memory(" in the code generator (LLVM)", 0); }

static void bad_alloc(void *ctx, const char *reason, bool crash)
{
    (void)ctx, (void)reason, (void)crash;
    out_of_memory();
}

/* What LLVM gives up on: memory that it could not map; all else is a bug. */
static void fatal(const char *reason)
{
    if (strstr(reason, "memory")) out_of_memory();
    diag_bug("LLVM: %s", reason);
}

/* dlsym gives an object pointer; POSIX lets it be a function's. */
static void *symbol(const char *name) { return dlsym(RTLD_DEFAULT, name); }

void memory_end_with_message(void)
{
    union {
        void *object;
        void (*(*function)(void (*)(void)))(void); /* std::set_new_handler */
    } new_handler = {symbol("_ZSt15set_new_handlerPFvvE")};
    union {
        void *object;
        void (*function)(void (*)(void *, const char *, bool), void *);
    } alloc_handler = {symbol("_ZN4llvm31install_bad_alloc_error_handlerEPFvPvPKcbES0_")};
    if (new_handler.object) new_handler.function(out_of_memory);
    if (alloc_handler.object) alloc_handler.function(bad_alloc, NULL);
    LLVMInstallFatalErrorHandler(fatal);
}
