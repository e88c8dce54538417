# Interrupted by a signal, or by a pipe that nobody reads: saved, and the status says so.
. tests/golden/run/small.sh
# (What runs the tests may have the signals ignored, as nohup does.)
for signal in INT TERM HUP; do
    : >"$tmp/$signal.log" # a log of its own: that of the signal before says that an epoch is done
    env --default-signal $train --epochs 4000 --out "$tmp/$signal" >>"$tmp/$signal.log" 2>&1 &
    until grep -q '^epoch 1/' "$tmp/$signal.log"; do sleep 0.02; done
    kill -$signal $!
    wait $!
    echo "$signal: exit $?, $(ls "$tmp/$signal/last.safetensors" | sed 's|.*/||')"
done
{ $train --epochs 4000 --out "$tmp/pipe" 2>"$tmp/err"; echo "pipe: exit $?" >"$tmp/status"; } | head -4 >/dev/null
cat "$tmp/status"; cat "$tmp/err"; ls "$tmp/pipe/last.safetensors" | sed 's|.*/||'
