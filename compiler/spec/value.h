/* value.h: scopes, and what a scalar of a spec means where it stands: literals, $name, $(arithmetic), match. */
#ifndef RNC_SPEC_VALUE_H
#define RNC_SPEC_VALUE_H

#include "spec/ast.h"

/* What names mean at one place. A block is checked once as written (dynamic == false: parameters are unknown, all cases
   of a match are looked at, labels are only known to exist) and expanded at each use (dynamic == true). */
struct scope {
    struct spec_file *file;
    const struct scope *parent; /* the file's parameters, or NULL */
    bool dynamic;
    const struct ast_param *params;
    int nparams;
    const struct ast_value *values; /* dynamic, or the file's */
    struct strmap *labels;          /* label -> struct label *; NULL: no labels here */
    int in, prev;                   /* refs */
    const struct frame *frame;
    const char *path;       /* prefix of names, "" at the top */
    const char *param_path; /* the same for parameters (differs in a module's later applications) */
    int application;
    int depth;
    bool top;    /* the main spec's own list of layers */
    bool has_in; /* `in` and `prev` mean something */
};

struct label {
    int ref;
    struct span span;
};

/* Each returns false after an error. *out->known tells whether there is a value yet. */
bool value_eval(const struct scope *s, const struct tree *t, enum ast_type want, struct ast_value *out);
bool value_int(const struct scope *s, const struct tree *t, int64_t min, int64_t max, const char *what,
               struct ast_value *out);
/* The literal text of T as a value of type WANT (after the command line's -p, and in one_of). */
bool value_literal(const struct scope *s, const struct tree *t, enum ast_type want, struct ast_value *out);
/* A scalar of whatever type it has by itself. */
bool value_any(const struct scope *s, const struct tree *t, struct ast_value *out);
/* The type that a plain literal has by itself: 3 an integer, 0.5 a number, true a truth value, else text. */
enum ast_type value_type_of(const struct tree *t);

/* Is T a `match`? Then, when the subject is known, *chosen is the case (NULL after an error); else *chosen is NULL and
   every case is to be looked at: items of T other than the subject. */
bool value_is_match(const struct tree *t);
bool value_match(const struct scope *s, const struct tree *t, const struct tree **chosen);
/* T after any match: the chosen node; or NULL when it is not known or an error was reported (*ok tells). */
const struct tree *value_choose(const struct scope *s, const struct tree *t, bool *ok);

/* A label's ref (dynamic) or REF_NONE (static); REF_BAD after an error. */
int value_label(const struct scope *s, const struct tree *at, const char *text);

bool param_check(const struct scope *s, const struct ast_param *p, const struct ast_value *v, struct span at);
/* Parses `name: default` or `name: {default: …}`; BLOCK: {type: …} is allowed. */
bool param_parse(const struct scope *s, const struct tree *key, const struct tree *t, bool block, struct ast_param *p);

const char *type_words_of(enum ast_type t);
const char *value_print(struct arena *a, const struct ast_value *v);
bool is_name(const char *s, bool dots); /* letters, digits and _ ; with dots between them */

struct diag *scope_error(const struct scope *s, struct span at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Notes "in block basic, used at line 55" for every frame. */
void frame_notes(struct diag *g, const struct frame *f, const struct source *main);

#endif
