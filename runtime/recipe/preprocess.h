/* preprocess.h: what a spec says about its images, and the text form of a preprocessing. The same text stands in specs
   (below an input), in checkpoints (metadata rnc.preprocess) and in the commands' output:

       fit: {crop: {share: 0.875}}, channels: rgb, scale: 0..1, normalize: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}

   runtime/rt/preprocess.h applies it to pixels. */
#ifndef RNC_RUNTIME_RECIPE_PREPROCESS_H
#define RNC_RUNTIME_RECIPE_PREPROCESS_H

#include "runtime/recipe/recipe.h"

extern const struct rnc_kind rnc_fits;    /* the settings of a row are a struct rnc_geometry */
extern const struct rnc_kind rnc_colours; /* without settings */
extern const struct rnc_kind rnc_scales;  /* without settings */

/* The settings that were given: a choice's row may be NULL, normalize may be "not given". */
struct rnc_image_rules {
    struct rnc_choice fit, channels, scale;
    struct rnc_normalize normalize;
};
extern const struct rnc_field rnc_image_fields[]; /* of struct rnc_image_rules */
extern const int rnc_image_nfields;

/* Checks the rules for images of CHANNELS. On failure *FIELD is the wrong setting and the status says why. */
bool rnc_image_check(const struct rnc_image_rules *r, int64_t channels, const char **field, struct rnc_status *s);

/* The preprocessing by RULES for images of CHANNELS. What RULES leave open gets defaults: OTHERWISE, grey or rgb, 0..1,
   no normalisation. MEAN and STD: measured on pixels from 0 to 1, one for each channel, or NULL. */
struct rnc_preprocess rnc_preprocess_of(const struct rnc_image_rules *rules, int64_t channels,
                                        struct rnc_geometry otherwise, const double *mean, const double *std);

/* Overwrites in P what RULES say. */
void rnc_preprocess_apply(struct rnc_preprocess *p, const struct rnc_image_rules *rules, const double *mean,
                          const double *std);
/* Sets P's mean and std by N; MEAN and STD as above. Named and measured normalisations list red first, numbers follow
   the model's order. */
void rnc_preprocess_normalize(struct rnc_preprocess *p, const struct rnc_normalize *n, const double *mean,
                              const double *std);

/* Prints P, and parses such a text for images of CHANNELS: false if it is ill-formed or incomplete. */
void rnc_preprocess_print(const struct rnc_preprocess *p, struct rnc_sink to);
bool rnc_preprocess_parse(const char *text, int64_t channels, struct rnc_preprocess *p);

#endif
