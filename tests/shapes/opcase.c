/* Random numbers are those of the operator tests. */
#include "tests/op/opcase.c"
