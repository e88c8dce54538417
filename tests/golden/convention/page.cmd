# Each convention is in the operator's page.
for op in batch_norm avg_pool leaky_relu prelu; do $rnc op $op | sed -n '/^attributes/,$p'; done
