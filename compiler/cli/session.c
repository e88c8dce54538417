/* session.c: a loaded model with threads, memory and weights. */
#include "cli/session.h"
#include <stdlib.h>
#include <string.h>
#include "runtime/weights.h"

bool session_fail(struct cli *c, const struct rnc_status *st)
{
    if (st->code == RNC_ENV) diag_env(c->diags, "%s", st->message);
    else diag_error(c->diags, (struct span){ 0 }, "%s", st->message);
    return false;
}

static unsigned exec_flags(void)
{
#ifdef RNC_DEBUG
    return RNC_EXEC_CHECK;
#else
    return getenv("RNC_VERIFY") ? RNC_EXEC_CHECK : 0;
#endif
}

static void note_lines(struct diag *d, char *text)
{
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (*line) diag_note(d, "%s", line);
}

static bool load_weights(struct cli *c, struct rnc_instance *i, const char *path)
{
    struct rnc_status st = { 0 };
    char *details = NULL;
    if (rnc_weights_load(i, path, 0, &details, &st)) {
        free(details);
        return true;
    }
    struct diag *d = st.code == RNC_ENV ? diag_env(c->diags, "%s", st.message) : diag_error(c->diags, (struct span){ 0 }, "%s", st.message);
    if (details) note_lines(d, details);
    free(details);
    return false;
}

bool session_open(struct cli *c, const struct rnc_model *m, const char *weights, unsigned flags, struct session *s)
{
    struct rnc_status st = { 0 };
    *s = (struct session){ 0 };
    s->pool = rnc_pool_new((int)c->threads, &st);
    if (s->pool) {
        s->par = rnc_pool_parallel(s->pool);
        s->instance = rnc_open(m, &s->par, flags | exec_flags(), &st);
    }
    bool ok = s->instance || session_fail(c, &st);
    if (ok && weights) ok = load_weights(c, s->instance, weights);
    else if (ok) ok = rnc_initialize(s->instance, (uint64_t)c->seed, &st) || session_fail(c, &st);
    if (!ok) session_close(s);
    return ok;
}

void session_close(struct session *s)
{
    if (s->instance) rnc_close(s->instance);
    if (s->pool) rnc_pool_free(s->pool);
    *s = (struct session){ 0 };
}

const struct rnc_tensor *session_tensor(const struct rnc_model *m, enum rnc_role role, const char *name)
{
    for (uint32_t i = 0; i < m->ntensors; i++)
        if (m->tensors[i].role == role && strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    return NULL;
}
