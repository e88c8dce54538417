/* build_id.c: the linker writes the hash of what it has linked into a note of every program and library
   (NT_GNU_BUILD_ID). Unlike a version number it changes with every change of the code generator. */
#include "gen/module/build_id.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <llvm-c/Core.h>

/* The program or library that holds the code at ADDRESS. */
struct search {
    uintptr_t address;
    struct buf *out;
    bool found;
};

static bool holds(const struct dl_phdr_info *info, uintptr_t address)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type == PT_LOAD && address - (info->dlpi_addr + h->p_vaddr) < h->p_memsz) return true;
    }
    return false;
}

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Notes: a header, the owner's name, the content; each padded to the segment's alignment. */
static void read_notes(struct search *s, const uint8_t *p, size_t size, size_t align)
{
    ElfW(Nhdr) note;
    while (size >= sizeof note) {
        memcpy(&note, p, sizeof note);
        size_t content = round_up(sizeof note + note.n_namesz, align), next = round_up(content + note.n_descsz, align);
        if (content + note.n_descsz > size) return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(p + sizeof note, "GNU", 4) == 0) {
            for (size_t i = 0; i < note.n_descsz; i++) buf_printf(s->out, "%02x", p[content + i]);
            s->found = note.n_descsz > 0;
            return;
        }
        if (next >= size) return;
        p += next;
        size -= next;
    }
}

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct search *s = arg;
    if (!holds(info, s->address)) return 0;
    for (int i = 0; i < info->dlpi_phnum && !s->found; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type == PT_NOTE)
            read_notes(s, (const uint8_t *)(uintptr_t)(info->dlpi_addr + h->p_vaddr), h->p_memsz,
                       h->p_align == 8 ? 8 : 4);
    }
    return 1;
}

static bool write_id(struct buf *out, uintptr_t address)
{
    struct search s = {.address = address, .out = out};
    dl_iterate_phdr(visit, &s);
    return s.found;
}

bool build_id(struct buf *out)
{
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    buf_puts(out, "rnc ");
    bool known = write_id(out, (uintptr_t)build_id);
    buf_printf(out, " LLVM %u.%u.%u ", major, minor, patch);
    write_id(out, (uintptr_t)LLVMGetVersion);
    return known;
}
