/* clock.h: the only clock, for the runtime and the compiler. Monotonic: it starts somewhere and never goes back, so
   that only differences mean something. Any thread may ask. */
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

/* The processor time of the calling thread: what other programs do hardly disturbs it. */
static inline double rnc_clock_thread_seconds(void) { return 1e-9 * (double)rnc_clock_read(CLOCK_THREAD_CPUTIME_ID); }

#endif
