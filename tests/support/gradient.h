/* gradient.h: an operator's gradient rule against finite differences of its reference, in double. */
#ifndef TESTS_SUPPORT_GRADIENT_H
#define TESTS_SUPPORT_GRADIENT_H

#include "tests/support/opcase.h"

/* NULL: they agree within 1e-6; otherwise what differs. An operator without a rule passes. */
const char *gradient_check(struct arena *a, const struct op_def *op, const char *text);

#endif
