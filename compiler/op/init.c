/* init.c: the ways in which weights are drawn. Keras's are its VarianceScaling (Glorot and Bengio 2010, He et al. 2015,
   LeCun et al. 1998). */
#include "op/init.h"

#include <math.h>

enum mode { FAN_IN, FAN_AVERAGE };
/* One row for each of init_choices. Those before FIRST_SCALED have a kind of their own. */
static const struct {
    bool uniform;
    enum mode mode;
    double scale; /* variance · fan */
} scaled[] = {
    {true, FAN_AVERAGE, 1}, {false, FAN_AVERAGE, 1}, {true, FAN_IN, 2},
    {false, FAN_IN, 2},     {true, FAN_IN, 1},       {false, FAN_IN, 1},
};
enum { FIRST_SCALED = INIT_CHOICE_KAIMING_UNIFORM + 1 };
const char *const init_choices[] = {"kaiming_normal", "kaiming_uniform", "glorot_uniform",
                                    "glorot_normal",  "he_uniform",      "he_normal",
                                    "lecun_uniform",  "lecun_normal",    NULL};
const char *const bias_init_choices[] = {"uniform", "zeros", NULL};
enum { BIAS_UNIFORM };

/* The standard deviation of a standard normal distribution that is cut at ±2. */
#define CUT_STD 0.87962566103423978

static struct param_decl weight_of(int64_t init, const struct type *w, const struct init_fans *fans)
{
    struct param_decl d = {.suffix = "weight", .kind = VALUE_PARAM, .type = *w};
    if (init < FIRST_SCALED) {
        bool normal = init == INIT_CHOICE_KAIMING_NORMAL;
        d.init = normal ? INIT_KAIMING_NORMAL : INIT_UNIFORM_FAN_IN;
        d.fan = normal ? fans->group_out : fans->in;
        return d;
    }
    int64_t k = init - FIRST_SCALED;
    double fan = scaled[k].mode == FAN_IN ? (double)fans->in : ((double)fans->in + (double)fans->out) / 2;
    double variance = scaled[k].scale / fan;
    d.init = scaled[k].uniform ? INIT_UNIFORM : INIT_TRUNCATED_NORMAL;
    d.value = scaled[k].uniform ? sqrt(3 * variance) : sqrt(variance) / CUT_STD;
    return d;
}

int init_declare(int64_t init, int64_t bias_init, const struct type *w, const struct init_fans *fans, int64_t bias,
                 struct param_decl *out)
{
    bool zeros = bias_init != BIAS_UNIFORM;
    out[0] = weight_of(init, w, fans);
    if (!bias) return 1;
    out[1] = (struct param_decl){.suffix = "bias", .kind = VALUE_PARAM, .type = type_make(DT_F32, 1, &bias)};
    out[1].init = zeros ? INIT_ZEROS : INIT_UNIFORM_FAN_IN;
    if (!zeros) out[1].fan = init == INIT_CHOICE_KAIMING_UNIFORM ? fans->in : fans->bias;
    return 2;
}
