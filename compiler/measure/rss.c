/* rss.c: Linux, proc(5). */
#include "measure/rss.h"

#include <stdio.h>
#include <string.h>

static size_t status_field(const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    size_t length = strlen(name);
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, length) && line[length] == ':' && sscanf(line + length + 1, "%llu", &kib) == 1) break;
    if (f) fclose(f);
    return (size_t)kib * 1024;
}

size_t rss_now(void) { return status_field("VmRSS"); }
size_t rss_peak(void) { return status_field("VmHWM"); }

bool rss_peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return false;
    bool ok = fputs("5", f) >= 0;
    return fclose(f) == 0 && ok;
}
