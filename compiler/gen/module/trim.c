/* trim.c: see rest.h. Measured: loading libLLVM leaves 44 MiB resident, of which 5.5 MiB (relocated pointers) are the
   process's own. */
#include "gen/module/trim.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* A debugger puts its breakpoints into those pages: in builds for it they stay. */
#ifdef RNC_DEBUG
static const bool debugged = true;
#else
static const bool debugged = false;
#endif

/* Text relocations would be lost with the pages: no library of x86-64 or aarch64 should have any. */
static bool has_text_relocations(const struct dl_phdr_info *info)
{
    for (int k = 0; k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[k];
        if (p->p_type != PT_DYNAMIC) continue;
        for (const ElfW(Dyn) *d = (const ElfW(Dyn) *)(info->dlpi_addr + p->p_vaddr); d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL))) return true;
    }
    return false;
}

/* Segments that are not writable are as they are in the file; the program itself (which has no name here) stays as it
   is. */
static int drop_clean(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (!info->dlpi_name || info->dlpi_name[0] != '/' || has_text_relocations(info)) return 0;
    for (int k = 0; k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[k];
        if (p->p_type != PT_LOAD || (p->p_flags & PF_W)) continue;
        uintptr_t from = (info->dlpi_addr + p->p_vaddr) & ~(page - 1),
                  to = (info->dlpi_addr + p->p_vaddr + p->p_filesz + page - 1) & ~(page - 1);
        madvise((void *)from, to - from, MADV_DONTNEED); /* advice: if it is refused all is as before */
    }
    return 0;
}

void gen_trim(void)
{
    malloc_trim(0);
    if (!debugged) dl_iterate_phdr(drop_clean, NULL);
}
