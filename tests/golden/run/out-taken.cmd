# A run is never destroyed: another folder, another name, or --overwrite, which sets it aside.
. tests/golden/run/small.sh
short() { calm | grep -v '^batch\|^epoch\|^t on'; }
$train --epochs 1 --out "$tmp/a" >/dev/null || exit
before=$(cksum <"$tmp/a/last.safetensors")
$train --epochs 1 --seed 5 --out "$tmp/a/"; echo "exit $?"
[ "$before" = "$(cksum <"$tmp/a/last.safetensors")" ] && echo "as it was"
$train --epochs 1 --seed 5 --out "$tmp/a" --overwrite | short
[ "$before" = "$(cksum <"$tmp/a/last.safetensors.old")" ] && echo "set aside"
ls "$tmp/a"
echo "my own" >"$tmp/spec.yaml"
$train --epochs 1 --out "$tmp"; echo "exit $?"
cat "$tmp/spec.yaml"
$train --out "$tmp/a" --resume --overwrite; echo "exit $?"
