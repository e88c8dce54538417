/* policy.h: constants of the plans. Plans depend on shapes and lanes alone, not on the caches and cores of a machine,
   so a network is partitioned the same way and gives the same bits everywhere. The constants were measured on Sapphire
   Rapids and Zen 4 (tests/bench/MEASUREMENTS.md). */
#ifndef RNC_KERNEL_POLICY_H
#define RNC_KERNEL_POLICY_H

/* The largest number of partials of per-channel sums and losses. */
enum { REDUCE_MAX_PARTIALS = 8 };

/* Sums in one chain of single precision (kernel/chain.h). */
enum {
    SUM_CHAIN = 2048,     /* products */
    SUM_WIDE = 256,       /* terms of a pooling's lane; tiles of a statistic's task */
    SUM_PIXELS = 1 << 16, /* of a task of a convolution that takes statistics, 14 or so to a tile */
};

/* Direct weight gradients. */
enum {
    WGRAD_MAX_PARTIALS = 8,
    WGRAD_TASKS = 16,     /* to go round */
    WGRAD_DW = 512 << 10, /* bytes of a task's dw, which stays in the second-level cache */
};

/* Winograd's convolutions. */
enum {
    WINOGRAD_L2 = 5 << 18,           /* bytes of transformed weights that stay in the second-level cache */
    WINOGRAD_V = 512 << 10,          /* bytes of V, fused */
    WINOGRAD_WEIGHTS = 3 << 20,      /* bytes of transformed weights beyond which they are read once, split */
    WINOGRAD_WORKSPACE = 64 << 20,   /* bytes of V and M for that */
    WINOGRAD_TASKS = 12,             /* fewer blocks do not go round: split */
    WINOGRAD_CHUNK = 8 << 20,        /* bytes of transformed weights that a training step has at a time: a share of a
                                        third-level cache */
    WINOGRAD_TASK_VECTORS = 128,     /* of the split transforms: enough work to be worth handing out, … */
    WINOGRAD_MIN_TASKS = 16,         /* … and tasks enough to go round */
    WINOGRAD_SUM = 256,              /* channels of a sum in sequence; longer ones are sums of such sums */
    WINOGRAD_STRIDED_MOST = 32 << 20 /* bytes of transformed weights of a strided convolution. Larger ones come from
                                        memory for a single product each: 512 to 512 channels at 7×7 gain a tenth of
                                        their time, 0.4% of ResNet-50's, for 27 MiB more */
};

/* Weight gradients by Winograd. */
enum {
    WINOGRAD_WGRAD_CHANNELS = 64,     /* of a task, on either side: sums of 64 × 64 are 0.6 MB for m = 4 */
    WINOGRAD_WGRAD_BYTES = 900 << 10, /* of both transformed operands of a block, fused: with the sums 1.5 MB. Beyond
                                         the second-level cache they still come in time */
    WINOGRAD_WGRAD_TILES = 64,        /* of a block, at most: the rounding error of its sums grows with them */
    WINOGRAD_WGRAD_PARTIALS = 8,
    WINOGRAD_WGRAD_TASKS = 16,
    WINOGRAD_WGRAD_WORKSPACE = 64 << 20, /* of both transformed operands of all tiles, split */
    WINOGRAD_WGRAD_REPEATS = 3,          /* how often a fused kernel transforms an operand's vector where splitting it
                                          is worth it */
    WINOGRAD_WGRAD_LINE = 16,            /* floats of a cache line */
};

/* Lanes of the plan that a weight gradient's error is estimated of, on every target, and channels below which a graph's
   input is a stem's to the tuner's keys. By the target's own lanes, 8 or 4, channels that are no multiple of 16 would
   be rounded up to fewer, a block could have more tiles and its sums more terms: a gradient near the budget might get
   another algorithm there, and an input of 4 to 15 channels another key. */
enum { POLICY_LANES = 16 };

/* The number of vector registers of targets with LANES lanes (base/target.c): 16 for AVX2, else 32. */
static inline int policy_registers(int lanes) { return lanes == 8 ? 16 : 32; }

#endif
