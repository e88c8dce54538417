# The layout of the tables and the keys of --json; figures are the machine's.
run="$rnc bench resnet20 -p n=1 -p width=4 -p size=8 --batch 2 --threads 1 --seconds 0.01 --winograd off"
tidy() { sed 's/  */ /g; s/──*/─/; s/ $//'; }
echo "# inference"
$run --per-layer >"$tmp/text" || exit
tidy <"$tmp/text" | grep '^layer '
tidy <"$tmp/text" | grep -Ec '^layer[123]\.0\.conv[12] conv2d.* direct '
grep -o '^estimate .*wait for memory' "$tmp/text" | tidy | sed 's/[0-9.]*%/N%/'
grep -c '^kind' "$tmp/text"
echo "# training"
$run --mode train --per-layer >"$tmp/text" || exit
tidy <"$tmp/text" | sed -n '/^kind/,/^all/p' | sed 's/ [0-9].*//'
# What is recomputed is a kind of its own: with everything kept there is none.
$run --mode train --per-layer --memory-budget none | grep -c '^recompute'
grep -oE '^(memory|  +of that) .*' "$tmp/text" | tidy | sed 's/[0-9.]* [KMG]*i*B/N/g; s/[0-9]* bytes/N/g'
echo "# --json"
$run --mode train --json >"$tmp/json" || exit
grep -oE '"[a-z_0-9]+":' "$tmp/json" | sort -u | tr -d '":' | tr '\n' ' ' | sed 's/ $/\n/'
# The kinds' shares are all of the time.
sed -n '/"kinds": \[/,/^  \]/p' "$tmp/json" | awk '/"percent":/ { s += $2 } END { printf "%.3f\n", s }'
