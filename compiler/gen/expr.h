/* expr.h: the scalar expressions of pointwise operators (struct op_def .expr) as vector code. */
#ifndef RNC_GEN_EXPR_H
#define RNC_GEN_EXPR_H

#include "gen/emit.h"

/* Values of a body that do not change along the pixels, computed once for each channel block. */
struct body_state {
    const struct gen_body *body;
    V invariant[MAX_BODY][64]; /* internal to expr.c: by instruction and expression node */
    V operand[16];             /* CHANNEL: vf; SCALAR: f32 */
};
/* Emits what depends on CHANNEL and SCALAR operands, attributes and run-time scalars only. Call outside the pixel loop, once for each
   channel block; OPERAND[k]: vf for CHANNEL, f32 for SCALAR, NULL for FULL. */
void body_begin(struct emit *e, struct body_state *s, const struct gen_body *b, const V *operand);
/* Emits the rest for one vector of v channels: ACC: the anchor's results (vf), FULL[k]: vf of operand k where it is FULL (else ignored);
   RESULT: b->nout values. LANES: NULL, or vi1, the lanes that are real channels: the others come out as zero. */
void body_apply(struct emit *e, const struct body_state *s, const V *acc, const V *full, V lanes, V *result);

/* Vector math used by the expressions: relative error at most 2 ulp (exp, log), 4 ulp (tanh, erf). */
V e_exp(struct emit *e, V x);
V e_log(struct emit *e, V x);
V e_tanh(struct emit *e, V x);
V e_erf(struct emit *e, V x);

#endif
