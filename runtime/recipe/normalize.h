/* normalize.h: named normalisations: the mean and standard deviation of well-known data sets, none, or measured on the
   training data. */
#ifndef RNC_RUNTIME_RECIPE_NORMALIZE_H
#define RNC_RUNTIME_RECIPE_NORMALIZE_H

#include "runtime/recipe/recipe.h"

extern const struct rnc_kind rnc_normalizations;
const struct rnc_normalize *rnc_normalize_named(const char *name); /* NULL: there is none */

/* Parses "MEAN,…/STD,…", a number for each channel, from a command line. Fails with what was expected. */
bool rnc_normalize_numbers(const char *text, struct rnc_normalize *out, struct rnc_status *s);
/* Fails unless the numbers are finite and every std is above 0. */
bool rnc_normalize_check(const struct rnc_normalize *n, struct rnc_status *s);

#endif
