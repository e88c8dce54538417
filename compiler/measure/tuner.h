/* tuner.h: measures the algorithms of each convolution on this CPU within a time limit, and stores the results. It is a
   source of costs for the pass `algorithm`, beside the analytic model. Its only effect is the nodes' attribute
   `algorithm`, which is in the graph's text. Measurements use one thread: plans do not depend on the number of threads.
 */
#ifndef RNC_MEASURE_TUNER_H
#define RNC_MEASURE_TUNER_H

#include "gen/module/cache.h"
#include "kernel/algorithm.h"
#include "pass/pass.h"

/* How a candidate (the planned graph of one convolution) is compiled and run, and how time is read: tuner_host, or a
   test's own functions. */
struct tuner_machine {
    double (*now)(void *ctx);                                                   /* seconds */
    void *(*compile)(void *ctx, const struct graph *g, const struct target *t); /* NULL: it cannot be */
    double (*run)(
        void *ctx, void *code,
        double until); /* the seconds of one run on random data; less than 0: it would not have ended by then */
    void (*release)(void *ctx, void *code);
    void *ctx;
};
extern const struct tuner_machine tuner_host; /* measure/tuner_run.c */
/* Can this process run T's code? */
bool tuner_runs(const struct target *t);

struct tuner_options {
    struct target target; /* from gen_target_init */
    double
        seconds; /* so long it may measure at most, over all graphs, compilation included; 0: what is known must do */
    const char *dir;                     /* the folder of its tables, that of the cache; NULL: nothing is kept */
    const struct tuner_machine *machine; /* NULL: tuner_host */
};
struct tuner_stats {
    int known, measured, left;
    double seconds;
}; /* distinct convolutions with a choice; left: to the cost model, because time ran out */
struct tuner;

struct tuner *tuner_new(struct arena *a, const struct tuner_options *o);
/* For pass_context.cost. The costliest convolutions are measured first: the model's cost times the number of
   occurrences. All allowed algorithms of a convolution are run in turn, several times; the fastest run of each counts.
   A convolution whose algorithms were not all measured is left to the model. */
struct algorithm_cost tuner_cost(struct tuner *t);
struct tuner_stats tuner_stats(const struct tuner *t);

/* ---- the tables: what was learnt, a text file for each kind of CPU and target, beside the compiled models
   (measure/tuner_table.c) */

/* Seconds by key and name of the algorithm. */
struct tuner_table {
    struct arena *arena;
    struct strmap rows;
};
struct tuner_row {
    int count;
    const char *name[ALGORITHMS_MOST];
    double seconds[ALGORITHMS_MOST];
};

void tuner_table_init(struct tuner_table *t, struct arena *a);
void tuner_table_set(struct tuner_table *t, const char *key, const char *algorithm, double seconds);
double tuner_table_get(const struct tuner_table *t, const char *key,
                       const char *algorithm); /* less than 0: not known */
/* Adds the rows of the file in DIR for target T and this build of rnc; rows that TABLE has already stay. A file is
   ignored if its checksum is wrong, if other users may write to it, or if another build wrote it. */
void tuner_table_read(struct tuner_table *table, const char *dir, const struct target *t);
/* Writes TABLE's rows, merged with rows that the file has gained meanwhile. Safe with other processes. */
void tuner_table_write(struct tuner_table *table, const char *dir, const struct target *t);

/* The number of tables, convolutions and bytes in the folder. With REMOVE, the tables are deleted. */
struct tuner_usage {
    int tables, rows;
    uint64_t bytes;
};
struct tuner_usage tuner_usage(struct cache *c, bool remove);

#endif
