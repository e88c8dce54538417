/* preprocess.h: what a spec says of its images, and the one text for what images go through, which stands in specs
   (below an input), in checkpoints (the metadata's rnc.preprocess) and in what commands print:

       fit: {crop: {share: 0.875}}, channels: rgb, scale: 0..1, normalize: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}

   What it does to pixels: runtime/rt/preprocess.h. */
#ifndef RNC_RUNTIME_RECIPE_PREPROCESS_H
#define RNC_RUNTIME_RECIPE_PREPROCESS_H

#include "runtime/recipe/recipe.h"

extern const struct rnc_kind rnc_fits;    /* the settings of a row are a struct rnc_geometry */
extern const struct rnc_kind rnc_colours; /* without settings */
extern const struct rnc_kind rnc_scales;  /* without settings */

/* As far as it is said: a choice's row may be NULL, normalize not given. */
struct rnc_image_rules {
    struct rnc_choice fit, channels, scale;
    struct rnc_normalize normalize;
};
extern const struct rnc_field rnc_image_fields[]; /* of struct rnc_image_rules */
extern const int rnc_image_nfields;

/* Do the rules fit images of CHANNELS? Else *FIELD is the name of the one that does not, and the status says why. */
bool rnc_image_check(const struct rnc_image_rules *r, int64_t channels, const char **field, struct rnc_status *s);

/* What RULES say, for images of CHANNELS, and what is the same for all where they say nothing: OTHERWISE, grey or rgb,
   0..1, no normalisation. Measured: MEAN and STD of pixels from 0 to 1, a number for each channel, else NULL. */
struct rnc_preprocess rnc_preprocess_of(const struct rnc_image_rules *rules, int64_t channels,
                                        struct rnc_geometry otherwise, const double *mean, const double *std);

/* P with whatever RULES say in its place. */
void rnc_preprocess_apply(struct rnc_preprocess *p, const struct rnc_image_rules *rules, const double *mean,
                          const double *std);
/* Sets P's mean and std by N alone, with MEAN and STD as above. Names and what is measured have the channels red first,
   numbers in the model's order. */
void rnc_preprocess_normalize(struct rnc_preprocess *p, const struct rnc_normalize *n, const double *mean,
                              const double *std);

/* The text of P, and P from such a text for images of CHANNELS: false where it is none, or says too little. */
void rnc_preprocess_print(const struct rnc_preprocess *p, struct rnc_sink to);
bool rnc_preprocess_parse(const char *text, int64_t channels, struct rnc_preprocess *p);

#endif
