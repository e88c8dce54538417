/* status.c: one failure, one sentence. */
#include "runtime/rt/status.h"

#include <stdarg.h>
#include <stdio.h>

bool rnc_fail(struct rnc_status *s, enum rnc_code code, const char *fmt, ...)
{
    if (!s || s->code != RNC_OK) return false;
    s->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->message, sizeof s->message, fmt, ap);
    va_end(ap);
    return false;
}
