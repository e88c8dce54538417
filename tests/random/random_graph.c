/* The graphs are those of the unit tests. */
#include "tests/unit/random_graph.c"
