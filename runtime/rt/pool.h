/* pool.h: a persistent pool of threads. Workers spin for a short time, then sleep. Every worker sets flush-to-zero. The
   caller of a run takes part as worker 0; its floating-point state is restored afterwards. */
#ifndef RNC_RUNTIME_RT_POOL_H
#define RNC_RUNTIME_RT_POOL_H

#include "abi.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rnc_pool;
/* THREADS ≥ 1: the number of workers, the caller included; 0: one for each CPU that this process may use. */
struct rnc_pool *rnc_pool_new(int threads, struct rnc_status *s);
void rnc_pool_free(struct rnc_pool *p);
struct rnc_parallel rnc_pool_parallel(struct rnc_pool *p);
int rnc_pool_threads(const struct rnc_pool *p);

#ifdef __cplusplus
}
#endif

#endif
