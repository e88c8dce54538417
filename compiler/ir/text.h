/* text.h: the IR's one text form. graph_parse(graph_print(g)) prints the same bytes.

   graph @resnet18 batch=1 {
     input  %image : f32[N=1,3,224,224]
     target %label : i64[N=1]
     param  %conv1.weight : f32[64,3,7,7] init=kaiming_normal fan=3136
     buffer %bn1.running_mean : f32[64] init=zeros

     %conv1 = conv2d(%image, %conv1.weight) {stride=[2, 2], pad=[3, 3, 3, 3]} : f32[N=1,64,112,112] layer "conv1"

     %y = conv2d(%x, %w | %b, %r) {pad=[1, 1, 1, 1]} [t0 = add(acc, %b), t1 = add(t0, %r) -> t1] : f32[N=1,64,56,56]:b16

     %mean, %var = bn_stats(%x) : f32[64], f32[64]

     prepare %wf, %bf = bn_fold(…) : …

     output "logits" %fc

     update %conv1.weight = %conv1.weight.new
   }

   %r = region(_, %count, %index) { %g = gather_samples(%x, %index) : f32[N=4,3]  yield %g } : f32[N=4,3], over several
   lines

   Only attributes that differ from the operator's default are printed, in the table's order. An absent optional input
   prints as `_`. */
#ifndef RNC_IR_TEXT_H
#define RNC_IR_TEXT_H

#include "base/buf.h"
#include "ir/graph.h"

void graph_print(const struct graph *g, struct buf *out);
/* The graph of SRC, or NULL with diagnostics at the exact place. Types are checked by op_infer at STAGE_RAW. */
struct graph *graph_parse(struct arena *a, struct diags *d, const struct source *src);

#endif
