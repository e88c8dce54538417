/* normalize.h: normalisations that have a name: a data set's mean and standard deviation. */
#ifndef RNC_RUNTIME_RECIPE_NORMALIZE_H
#define RNC_RUNTIME_RECIPE_NORMALIZE_H

#include "runtime/recipe/recipe.h"

extern const struct rnc_kind rnc_normalizations;
const struct rnc_normalize *rnc_normalize_named(const char *name); /* NULL: there is none */

#endif
