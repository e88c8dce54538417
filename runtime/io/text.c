/* text.c: names that are not UTF-8, as archives from elsewhere leave them. */
#include "runtime/io/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the character at P has (RFC 3629: no overlong form, no surrogate, at most 10FFFF); 0: it is none. */
static size_t character(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80) return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    uint32_t code = p[0] & (0x7fu >> n);
    for (size_t k = 1; k < n; k++) {
        if ((p[k] & 0xc0) != 0x80) return 0;
        code = code << 6 | (p[k] & 0x3f);
    }
    return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n : 0;
}

char *rnc_text_of_name(const char *name)
{
    enum { ESCAPED = 4 };
    size_t length = strlen(name);
    char *text = length < SIZE_MAX / (ESCAPED + 1) ? malloc(length * ESCAPED + 1) : NULL, *to = text;
    for (const unsigned char *p = (const unsigned char *)name; text && *p;) {
        size_t n = character(p);
        if (n) memcpy(to, p, n);
        else snprintf(to, ESCAPED + 1, "\\x%02x", *p);
        to += n ? n : ESCAPED;
        p += n ? n : 1;
    }
    if (text) *to = 0;
    return text;
}
