/* normalize.h: normalisations by name: a data set's mean and standard deviation, none, or what training measures. */
#ifndef RNC_RUNTIME_RECIPE_NORMALIZE_H
#define RNC_RUNTIME_RECIPE_NORMALIZE_H

#include "runtime/recipe/recipe.h"

extern const struct rnc_kind rnc_normalizations;
const struct rnc_normalize *rnc_normalize_named(const char *name); /* NULL: there is none */

/* "MEAN,…/STD,…", a number for each channel, for a command line: false, with what was expected, where it is not that.
 */
bool rnc_normalize_numbers(const char *text, struct rnc_normalize *out, struct rnc_status *s);
/* Have the numbers a sense? Finite, std above 0. Fails with what is wrong. */
bool rnc_normalize_check(const struct rnc_normalize *n, struct rnc_status *s);

#endif
