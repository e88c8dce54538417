/* clock.h: the clock of the runtime and the compiler. It is monotonic: only differences have a meaning. Thread-safe. */
#ifndef RNC_RUNTIME_RT_CLOCK_H
#define RNC_RUNTIME_RT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t rnc_clock_read(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t rnc_clock_ns(void) { return rnc_clock_read(CLOCK_MONOTONIC); }
static inline double rnc_clock_ms(void) { return 1e-6 * (double)rnc_clock_ns(); }
static inline double rnc_clock_seconds(void) { return 1e-9 * (double)rnc_clock_ns(); }

/* The processor time of the calling thread. Other programs hardly disturb it. */
static inline double rnc_clock_thread_seconds(void) { return 1e-9 * (double)rnc_clock_read(CLOCK_THREAD_CPUTIME_ID); }

#endif
