# Each convention is in the operator's page, an optimizer's in its update's.
for op in batch_norm avg_pool resize leaky_relu prelu; do $rnc op $op | sed -n '/^attributes/,/^$/p; /^defaults/,/^$/p'; done
for op in sgd_update sgd_momentum_update adam_update rmsprop_update; do $rnc op $op | sed -n '/^defaults/,/^$/p'; done
