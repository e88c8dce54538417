/* init.h: how weights are drawn before training: `init` and `bias_init` of convolutions and dense layers. */
#ifndef RNC_OP_INIT_H
#define RNC_OP_INIT_H

#include "ir/op.h"

/* Inputs of one output (in) and outputs of one input (out), as PyTorch and Keras count them: from the weight's own
   shape, [O, I/groups, KH, KW] having O·KH·KW outputs. */
struct init_fans {
    int64_t in, out;
    int64_t group_out; /* O/groups·KH·KW: kaiming_normal's */
    int64_t bias;      /* 1/sqrt of it bounds the bias */
};

/* Values of the attribute `init`; the row of INIT in op/init.c. */
extern const char *const init_choices[];
extern const char *const bias_init_choices[];
enum { INIT_CHOICE_KAIMING_NORMAL, INIT_CHOICE_KAIMING_UNIFORM };

#define ATTR_INIT(otherwise)                                                                                         \
    {                                                                                                                \
        .name = "init", .def = {.type = ATTR_ENUM, .i = (otherwise)}, .spec_only = true, .choices = init_choices,    \
        .help = "how weights are drawn. kaiming_normal: normal, variance 2/fan_out (He et al. 2015; torchvision's "  \
                "ResNets); kaiming_uniform: within 1/sqrt(fan_in), PyTorch's default; the others are Keras's: "      \
                "variance 2/(fan_in + fan_out) (glorot), 2/fan_in (he) or 1/fan_in (lecun), normal ones cut at two " \
                "standard deviations"                                                                                \
    }
#define ATTR_BIAS_INIT                                                                                    \
    {                                                                                                     \
        .name = "bias_init", .def = {.type = ATTR_ENUM}, .spec_only = true, .choices = bias_init_choices, \
        .help = "how the bias is drawn: within 1/sqrt(fan_in), as in PyTorch, or zeros, as in Keras"      \
    }

/* The declarations of `weight`, of type W, and of `bias` where BIAS, its length, is not 0. INIT and BIAS_INIT: the
   attributes. Returns how many. */
int init_declare(int64_t init, int64_t bias_init, const struct type *w, const struct init_fans *fans, int64_t bias,
                 struct param_decl *out);

#endif
