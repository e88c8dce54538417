/* attr.h: an operator's attributes as a spec writes them, checked against the operator's table. */
#ifndef RNC_SPEC_ATTR_H
#define RNC_SPEC_ATTR_H

#include "spec/value.h"

/* T as the attribute ROW. *pad (may be NULL): same or valid instead of numbers. A value not known yet leaves the
   default in *out. False after an error. */
bool attr_eval(const struct scope *s, const struct op_attr *row, const struct tree *t, struct attr *out, uint8_t *pad);
/* A key that names an operand: add's `with`, resize's `like`. */
bool attr_is_label(const struct op_attr *row);

#endif
