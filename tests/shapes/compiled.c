/* The comparison of compiled code with the reference is that of the operator tests. */
#include "tests/op/compiled.c"
