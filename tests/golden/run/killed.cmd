# SIGKILL after an epoch, five times over, of a run with dropout, batch norm and random crops, and of one of masks: the same bits in the end.
# (Before each call that matters: tests/runtime/test_kill.c.)
. tests/golden/run/small.sh
python3 - "$tmp/masks" <<'PY'
import random
import sys
from files import png
random.seed(2)
for k in range(24):
    rows = [[(x // 6 + y // 6 * 2 + k) % 4 for x in range(12)] for y in range(12)]
    png(sys.argv[1] + f"/masks/{k:02}.png", rows)
    png(sys.argv[1] + f"/images/{k:02}.png", [[v * 60 + random.randrange(20) for v in row] for row in rows])
PY
killed() { # DIR COMMAND…
    local dir=$1 pid
    shift
    "$@" >"$tmp/log" 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q '^epoch ' "$tmp/log"; do sleep 0.01; done
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    grep -q error "$tmp/log" && cat "$tmp/log"
}
while read -r name data; do
    train="$rnc train tests/golden/run/$name.yaml --data $tmp/$data --epochs 30"
    $train --out "$tmp/$name" >/dev/null || exit
    killed "$name" $train --out "$tmp/$name-killed"
    for again in 1 2 3 4; do [ -e "$tmp/$name-killed/last.safetensors" ] && killed "$name" $rnc train "$tmp/$name-killed" --resume --threads $again; done
    $rnc train "$tmp/$name-killed" --resume >/dev/null || $train --overwrite --out "$tmp/$name-killed" >/dev/null
    for f in last.safetensors best.safetensors steps.csv; do cmp "$tmp/$name/$f" "$tmp/$name-killed/$f" && echo "$name: $f: the same"; done
    ls -A "$tmp/$name-killed" | grep -c '^\.\|next'
done <<'RUNS' 2>/dev/null
t data
seg masks
RUNS
# The best weights of a first epoch that was not finished go, too.
mkdir "$tmp/first" && cp "$tmp/t/best.safetensors" "$tmp/first/best.safetensors.next"
$rnc train tests/golden/run/t.yaml --data "$tmp/data" --epochs 1 --out "$tmp/first" >/dev/null
ls -A "$tmp/first" | grep -c 'next'
exit 0
