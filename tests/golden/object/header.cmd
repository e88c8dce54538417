# The header, whole.
$rnc compile tests/object/net.yaml --train --batch 2 -o $tmp/net.h >/dev/null
sed -E "s/[0-9A-F]{16}_H/HASH_H/; s/_BYTES [0-9]+/_BYTES …/" $tmp/net.h
