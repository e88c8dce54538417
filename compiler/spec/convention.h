/* convention.h: what an attribute is where a spec does not give it. The operator's (the optimizer's) row has a default;
   a version of the language (`rnc: 2`) and a framework (`conventions: keras`) have others, in one table each. A spec
   that is expanded has every attribute written out, so that neither matters any more. Constant, so any thread may read
   it. */
#ifndef RNC_SPEC_CONVENTION_H
#define RNC_SPEC_CONVENTION_H

#include <stdbool.h>
#include <stddef.h>

/* One default that differs from the row's. */
struct convention_row {
    const char *subject; /* an operator's or an optimizer's name */
    const char *attr;    /* its attribute or field */
    const char *value;   /* as a spec writes it */
    bool same;           /* only where the layer's `pad` is `same` */
    const char *why;     /* of a version's: what the change mends, for the warning under the version before */
};
struct convention {
    const char *name;
    const struct convention_row *rows;
    int nrows;
};

/* The versions of the language, oldest first: what a spec says after `rnc:`. */
extern const struct convention convention_versions[];
extern const int convention_nversions;
/* The frameworks: what a spec says after `conventions:`. */
extern const struct convention convention_frameworks[];
extern const int convention_nframeworks;

/* NULL: there is none of that name. */
const struct convention *convention_find(const struct convention *all, int n, const char *name);

/* What a spec chose: its version, and its framework or NULL. */
struct convention_choice {
    const struct convention *version, *framework;
};
/* The default of SUBJECT's ATTR: the framework's, or else the version's; NULL: the subject's own. */
const struct convention_row *convention_default(const struct convention_choice *c, const char *subject,
                                                const char *attr, bool same);
/* The default of a later version, where that is another than under C. */
const struct convention_row *convention_changes(const struct convention_choice *c, const char *subject,
                                                const char *attr, bool same);
/* A value of an optimizer's: a number, or 1 and 0 for true and false. */
double convention_number(const struct convention_row *r);

#endif
