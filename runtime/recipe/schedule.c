/* schedule.c: the schedules. To add one: a struct of its settings, its fields and defaults, a function that gives the
   factor, and a row. */
#include "runtime/recipe/schedule.h"

#include <math.h>

#define WARMUP(settings) RNC_FIELD(settings, warmup_epochs, NUMBER, 0, 1e6, "epochs in which the rate rises from 0")

/* ---- those that have nothing but a warm-up */

struct warmup {
    double warmup_epochs;
};
static const struct rnc_field warmup_fields[] = {WARMUP(warmup)};
static const struct warmup warmup_defaults = {0};

static double constant(const void *settings, const struct rnc_when *w)
{
    (void)settings, (void)w;
    return 1.0;
}

/* One cycle. */
static double cosine(const void *settings, const struct rnc_when *w)
{
    (void)settings;
    return 0.5 * (1.0 + cos(3.14159265358979324 * w->done));
}

static double linear(const void *settings, const struct rnc_when *w)
{
    (void)settings;
    return 1.0 - w->done;
}

/* ---- step */

struct step {
    double warmup_epochs, gamma;
    struct rnc_numbers milestones;
};
static const struct rnc_field step_fields[] = {
    RNC_FIELD(step, milestones, NUMBERS, 0, 1e6, "epochs at which the rate is multiplied by gamma"),
    RNC_FIELD(step, gamma, NUMBER, 0, 1, "factor at each milestone"),
    WARMUP(step),
};

static bool step_check(const void *settings, int64_t height, int64_t width, struct rnc_status *s)
{
    (void)height, (void)width;
    return ((const struct step *)settings)->milestones.n > 0 ||
           rnc_fail(s, RNC_USER, "the step schedule needs milestones: `step: {milestones: [30, 60]}`");
}

static double step(const void *settings, const struct rnc_when *w)
{
    const struct step *o = settings;
    double factor = 1.0;
    for (int64_t k = 0; k < o->milestones.n; k++)
        if (w->step >= o->milestones.v[k] * w->per_epoch) factor *= o->gamma;
    return factor;
}

/* ---- polynomial */

struct polynomial {
    double warmup_epochs, power;
};
static const struct rnc_field polynomial_fields[] = {
    RNC_FIELD(polynomial, power, NUMBER, 0, 100, "exponent of the share that is left; 1: a straight line"),
    WARMUP(polynomial),
};

static double polynomial(const void *settings, const struct rnc_when *w)
{
    return pow(1.0 - w->done, ((const struct polynomial *)settings)->power);
}

/* ---- the rows */

static const struct rnc_schedule rows[] = {
    {.row = {.name = "constant",
             .help = "the same rate all the way",
             RNC_FIELDS(warmup_fields),
             .size = sizeof(struct warmup),
             .defaults = &warmup_defaults},
     .factor = constant},
    {.row = {.name = "cosine",
             .help = "half a cosine down to 0 (Loshchilov and Hutter 2017)",
             RNC_FIELDS(warmup_fields),
             .size = sizeof(struct warmup),
             .defaults = &warmup_defaults},
     .factor = cosine},
    {.row = {.name = "step",
             .help = "multiplied by gamma at each milestone",
             RNC_FIELDS(step_fields),
             .size = sizeof(struct step),
             .defaults = &(const struct step){.gamma = 0.1},
             .check = step_check},
     .factor = step},
    {.row = {.name = "linear",
             .help = "a straight line down to 0",
             RNC_FIELDS(warmup_fields),
             .size = sizeof(struct warmup),
             .defaults = &warmup_defaults},
     .factor = linear},
    {.row = {.name = "polynomial",
             .help = "a power of the share of steps that is left, down to 0, as in PyTorch's PolynomialLR",
             RNC_FIELDS(polynomial_fields),
             .size = sizeof(struct polynomial),
             .defaults = &(const struct polynomial){.power = 1}},
     .factor = polynomial},
};
const struct rnc_kind rnc_schedules = {.name = "schedule", RNC_ROWS(rows)};

double rnc_schedule_lr(const struct rnc_choice *c, double lr, int64_t step_number, int64_t per_epoch, int64_t total)
{
    const struct rnc_schedule *s = (const struct rnc_schedule *)(const void *)c->row;
    double warm = *(const double *)c->settings * (double)per_epoch, x = (double)step_number,
           rest = (double)total - warm, done = rest > 0.0 ? (x - warm) / rest : 1.0;
    if (x < warm) return lr * (x + 1.0) / (warm + 1.0);
    return lr * s->factor(c->settings, &(struct rnc_when){x, (double)per_epoch, done < 1.0 ? done : 1.0});
}
