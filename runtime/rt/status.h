/* status.h: how the runtime reports a failure: a code and one sentence. */
#ifndef RNC_RUNTIME_RT_STATUS_H
#define RNC_RUNTIME_RT_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum rnc_code { RNC_OK = 0, RNC_USER = 1 /* the user's data or weights */, RNC_ENV = 2 /* I/O, memory, CPU */ };
struct rnc_status {
    enum rnc_code code;
    char message[512];
};

/* Sets the status (the first failure wins) and returns false. */
bool rnc_fail(struct rnc_status *s, enum rnc_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
