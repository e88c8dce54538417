/* test_torch.c: the references against numbers from PyTorch (torch.txt, see make_torch.py), from the root of the
   repository:

       build/tests/op/test_torch [WORD…]     the cases whose line contains a WORD */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/opcase.h"

#define PATH "tests/op/torch.txt"
#define TOLERANCE 1e-6 /* PyTorch computes nearest's coordinates and bilinear's weights of doubles in double */

struct expected {
    char *line, *y, *dx;
};

/* x of the script; the word ties=true is the script's, not the operator's. */
static bool cut_ties(char *text)
{
    char *word = strstr(text, " ties=true");
    if (word) *word = '\0';
    return word != NULL;
}

static void fill(const struct opcase *c, struct eval *e, bool ties)
{
    const struct value *x = c->node->in[0];
    double *data = eval_data(e, x);
    for (int64_t i = 0; i < type_elements(&x->type); i++)
        data[i] = ties ? (double)(5 * i % 3) : (double)((37 * i + 11) % 101) / 50 - 1;
}

static const char *compare(struct arena *a, const char *what, const double *got, int64_t count, const char *text)
{
    for (int64_t i = 0; i < count; i++) {
        char *end;
        double want = strtod(text, &end);
        if (end == text)
            return arena_printf(a, "%s has %lld elements, PyTorch's only %lld", what, (long long)count, (long long)i);
        if (!(fabs(got[i] - want) <= TOLERANCE))
            return arena_printf(a, "%s[%lld] is %.9g, PyTorch's %.9g", what, (long long)i, got[i], want);
        text = end;
    }
    return text[strspn(text, " \n")] ? arena_printf(a, "%s has fewer elements than PyTorch's", what) : NULL;
}

static const char *shape_differs(struct arena *a, const struct type *t, char **text)
{
    for (int k = 0; k < t->rank; k++) {
        int64_t want = strtoll(*text, text, 10);
        if (want != t->dim[k])
            return arena_printf(a, "dimension %d of y is %lld, PyTorch's %lld", k, (long long)t->dim[k],
                                (long long)want);
        *text += **text == ',';
    }
    return **text == ' ' ? NULL : "y has another rank than PyTorch's";
}

static const char *run_case(struct arena *a, struct expected *x)
{
    char *space = strchr(x->line, ' ');
    bool ties = cut_ties(x->line);
    const struct op_def *op = op_find(arena_strndup(a, x->line, (size_t)(space - x->line)));
    if (!op) return "there is no such operator";
    struct opcase *c = opcase_new(a, op, space + 1);
    if (c->error) return c->error;
    struct value *y = c->node->out[0], *dy = graph_arg(c->graph, VALUE_INPUT, "dy", y->type), *dx = NULL;
    op->grad(&(struct grad_call){.graph = c->graph, .node = c->node, .dy = &dy, .need = (bool[]){true}, .dx = &dx});
    struct eval *e = eval_new(c->graph, (struct ref_run){.n = c->batch, .step = 1});
    fill(c, e, ties);
    for (int64_t i = 0; i < type_elements(&dy->type); i++) eval_data(e, dy)[i] = (double)((29 * i + 5) % 47) / 20 - 1;
    eval_run(e, false);
    const char *error = shape_differs(a, &y->type, &x->y);
    if (!error) error = compare(a, "y", eval_data(e, y), type_elements(&y->type), x->y);
    if (!error) error = compare(a, "dx", eval_data(e, dx), type_elements(&dx->type), x->dx);
    eval_free(e);
    return error;
}

static bool wanted(const char *line, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(line, argv[i])) return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    FILE *f = fopen(PATH, "r");
    char *text[3] = {NULL, NULL, NULL};
    size_t size[3] = {0, 0, 0};
    int passed = 0, failed = 0;
    if (!f) {
        fprintf(stderr, "%s: run this from the root of the repository\n", PATH);
        return 2;
    }
    while (getline(&text[0], &size[0], f) > 0) {
        if (text[0][0] == '#') continue;
        text[0][strcspn(text[0], "\n")] = '\0';
        if (getline(&text[1], &size[1], f) < 2 || getline(&text[2], &size[2], f) < 3) break;
        if (!wanted(text[0], argc, argv)) continue;
        struct arena *a = arena_new();
        char *line = arena_strdup(a, text[0]);
        const char *error = run_case(a, &(struct expected){text[0], text[1] + 2, text[2] + 3});
        if (error) printf("FAIL %s\n     %s\n     alone: %s '%s'\n", line, error, argv[0], line);
        failed += error != NULL;
        passed += error == NULL;
        arena_free(a);
    }
    for (int k = 0; k < 3; k++) free(text[k]);
    fclose(f);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
