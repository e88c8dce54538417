/* opname.h: the operators that are named outside their family's file in op/, each for the one reason that stands beside
   it. Everything else asks the rows' traits (ir/op.h); tests/check-names.sh keeps it so. */
#ifndef RNC_IR_OPNAME_H
#define RNC_IR_OPNAME_H

/* made by passes and gradient rules */
#define OPNAME_ADD "add"                 /* sums of losses and of gradients; a convolution's bias in its body */
#define OPNAME_POINTWISE "pointwise"     /* what holds a body */
#define OPNAME_REPACK "repack"           /* every change of layout */
#define OPNAME_CHANNEL_SUM "channel_sum" /* a bias's gradient, of convolutions and dense layers */

/* rewritten by a pass: into what their readers do themselves */
#define OPNAME_CONCAT "concat"
#define OPNAME_PAD "pad"
#define OPNAME_SLICE "slice"
#define OPNAME_SUBSAMPLE "subsample"
#define OPNAME_SUBSAMPLE_GRAD "subsample_grad"

/* batch normalisation of inference, folded into weights or left as scale and shift */
#define OPNAME_BATCH_NORM "batch_norm"
#define OPNAME_BN_FOLD "bn_fold"
#define OPNAME_BN_APPLY "bn_apply"

#endif
