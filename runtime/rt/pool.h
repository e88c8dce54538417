/* pool.h: a persistent pool of threads. Workers sleep on a futex-like condition after a short spin; each sets
   flush-to-zero. The caller takes part as worker 0, and its floating-point state is restored. */
#ifndef RNC_RUNTIME_RT_POOL_H
#define RNC_RUNTIME_RT_POOL_H

#include "abi.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rnc_pool;
/* THREADS ≥ 1 workers in all, the caller among them; 0: one for each CPU this process may run on. */
struct rnc_pool *rnc_pool_new(int threads, struct rnc_status *s);
void rnc_pool_free(struct rnc_pool *p);
struct rnc_parallel rnc_pool_parallel(struct rnc_pool *p);
int rnc_pool_threads(const struct rnc_pool *p);

#ifdef __cplusplus
}
#endif

#endif
