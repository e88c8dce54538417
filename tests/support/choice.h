/* choice.h: rows of the training vocabulary (optimizers, schedules, losses, …) with settings, as tests write them. */
#ifndef TESTS_SUPPORT_CHOICE_H
#define TESTS_SUPPORT_CHOICE_H

#include "runtime/recipe/recipe.h"

/* The row NAME of a kind with its defaults, changed by SETTINGS: "momentum=0.9 nesterov=1 milestones=2,3".
   Aborts when there is no such row or field. The result is static memory, valid until 64 choices later; a text in it
   until 16 texts later. One thread at a time. */
struct rnc_choice choice_of(const struct rnc_kind *kind, const char *name, const char *settings);

#endif
