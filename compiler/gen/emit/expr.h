/* expr.h: the scalar expressions of pointwise operators (struct op_def .expr) as vector code. */
#ifndef RNC_GEN_EMIT_EXPR_H
#define RNC_GEN_EMIT_EXPR_H

#include "gen/emit/emit.h"

/* All operators of a body as one expression graph without equal subexpressions. A node's level says what its value
   depends on. */
enum { MAX_EXPR = 640 };
enum expr_level {
    LEVEL_CONST, /* attributes and literals: known now */
    LEVEL_RUN,   /* n, lr, step: one f64, computed once in the kernel's entry block */
    LEVEL_FIXED, /* CHANNEL and SCALAR operands: a vector, computed once for each channel block */
    LEVEL_FULL,  /* changes with every element */
};
struct expr_node {
    uint8_t op, level;
    uint16_t uses;  /* by needed nodes and results */
    int16_t arg[3]; /* nodes; an operand's or a result's number in arg[0] */
    double value;   /* LEVEL_CONST */
};

/* Values of a body that are the same for all pixels, computed once for each channel block. */
struct body_state {
    const struct gen_body *body;
    int nnodes, out[MAX_OUTS], term[MAX_SUMS][2];
    struct expr_node node[MAX_EXPR];
    V run[MAX_EXPR];              /* RUN: f64, or i1 of a comparison */
    V vec[MAX_EXPR];              /* the same as a vector, and FIXED: vf, or vi1 of a comparison */
    V operand[MAX_BODY_OPERANDS]; /* CHANNEL: vf; SCALAR: f32 */
};
/* Emits the computation that depends on CHANNEL and SCALAR operands, attributes and run-time scalars only. Call it
   outside the pixel loop, once for each channel block. OPERAND[k]: vf for CHANNEL, f32 for SCALAR, NULL for FULL. */
void body_begin(struct emit *e, struct body_state *s, const struct gen_body *b, const V *operand);
/* body_begin for channel block BLOCK of a result with CHANNELS channels. POINTERS[k] is the address of operand k;
   CHANNEL and SCALAR operands are loaded from it. Sets *LANES for body_apply: NULL if every lane of every block is a
   channel, or if padding lanes become zero anyway. */
void body_begin_block(struct emit *e, struct body_state *s, const struct gen_body *b, const V *pointers,
                      int64_t channels, V block, V *lanes);
/* Emits the computation for one vector of v channels. ACC: the anchor's results (vf). FULL[k]: operand k (vf) if it is
   FULL. RESULT receives b->nout values. LANES: NULL, or a mask (vi1) of the real channels; other lanes of the results
   are zero. */
void body_apply(struct emit *e, const struct body_state *s, const V *acc, const V *full, V lanes, V *result);
/* body_apply for a prologue. It reads the vector FURTHER elements behind element AT of IN (of type DT) and of its FULL
   operands, whose addresses are in POINTERS. */
V body_apply_pre(struct emit *e, const struct body_state *s, const V *pointers, V in, enum dtype dt, V at,
                 int64_t further, V lanes);
/* body_apply, and the term of this vector for each of the body's sums: TERM[k][0], multiplied by TERM[k][1] if that is
   not NULL. */
void body_apply_sums(struct emit *e, const struct body_state *s, const V *acc, const V *full, V lanes, V *result,
                     V (*term)[2]);
/* Lanes that are zero in every operand come out as zero: no LANES needed. */
bool body_keeps_zero(const struct gen_body *b);

/* Vector math used by the expressions (gen/emit/vmath.c): relative error at most 2 ulp (exp, log), 4 ulp (tanh, erf).
   On vf.
 */
V e_exp(struct emit *e, V x);
V e_log(struct emit *e, V x);
V e_tanh(struct emit *e, V x);
V e_erf(struct emit *e, V x);
V e_fabs(struct emit *e, V x); /* vf, f32 or f64 */

#endif
