/* word.h: which word was meant. */
#ifndef RNC_BASE_WORD_H
#define RNC_BASE_WORD_H

#include <stddef.h>

/* The one of COUNT candidates (NULLs are skipped) that WORD stands for: spelt in another way (BatchNorm for
   batch_norm), called so by another framework (filters for out), or the nearest by edit distance; NULL when none is
   near enough to suggest. Of very many candidates only the first are compared by distance. */
const char *did_you_mean(const char *word, const char *const *candidates, size_t count);

#endif
