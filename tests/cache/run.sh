#!/usr/bin/env bash
# The cache of compiled models: the same bits from it, nothing damaged used, nothing of others trusted, many processes
# at once, a size cap. A WORD runs only the cases whose name contains it. From anywhere; RNC names the program.
set -u
WHO=tests/cache/run.sh
. "$(dirname "$0")/../cases.sh"
model="resnet20 -p n=1 -p channels=1 -p size=12 -p width=8"

# was true|false WHAT ARGUMENTS…: `rnc compile ARGUMENTS` has, or has not, taken its code from the cache. Nothing is
# said on stderr.
was() {
    local want=$1 what=$2
    shift 2
    "$rnc" compile --json "$@" >"$work/out" 2>"$work/err" || complain "$what: it failed: $(cat "$work/err")"
    grep -q "\"cached\": $want" "$work/out" || complain "$what: cached is not $want"
    [ ! -s "$work/err" ] || complain "$what: it says $(cat "$work/err")"
}
hit() { was true "$@"; }
miss() { was false "$@"; }
entries() { find "$RNC_CACHE_DIR" -name '*.rnc' -type f 2>/dev/null | wc -l; }
holds() { [ "$(entries)" = "$1" ] || complain "$2: $(entries) entries, not $1"; }
nothing_temporary() { [ -z "$(find "$RNC_CACHE_DIR" -name 'tmp-*')" ] ||
    complain "temporary files are left: $(ls "$RNC_CACHE_DIR")"; }
the_entry() { echo "$RNC_CACHE_DIR"/*.rnc; }

# 3 samples of 1 × 12 × 12 of 0.5, -1.25, 2, 0.75, -0.375
header="{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1, 12, 12), }"
{
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"
    for _ in $(seq 100); do printf '\0\0\0\077\0\0\240\277\0\0\0\100\0\0\100\077\0\0\300\276';
        done | head -c $((3 * 144 * 4))
} >x.npy
header="{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }"
{ printf '\x93NUMPY\x01\x00\x76\x00%-117s\n\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0' "$header"; } >t.npy
# infer OUT [OPTION…], step OUT [OPTION…]
infer() { "$rnc" run $model --input x.npy --output "$1.npy" "${@:2}" >"$1.txt" 2>&1 ||
    complain "rnc run: $(cat "$1.txt")"; }
step() { "$rnc" run $model --train --input x.npy --target t.npy --grads "$1.st" "${@:2}" >"$1.txt" 2>&1 ||
    complain "rnc run --train: $(cat "$1.txt")"; }

# ---- the same bits

if begin same-bits; then
    infer none --no-cache
    step none --no-cache
    [ ! -e "$RNC_CACHE_DIR" ] || complain "--no-cache makes the folder"
    infer cold && step cold
    holds 2 "after two models"
    for threads in 1 2 3; do
        infer warm --threads $threads && step warm --threads $threads
        for file in npy st txt; do cmp none.$file cold.$file && cmp none.$file warm.$file ||
            complain "$file differs on $threads threads"; done
    done
    holds 2 "after the same two models again"
    [ "$(stat -c %a "$RNC_CACHE_DIR")" = 700 ] || complain "the folder's mode is $(stat -c %a "$RNC_CACHE_DIR")"
    [ "$(stat -c %a "$RNC_CACHE_DIR"/*.rnc | sort -u)" = 600 ] || complain "an entry's mode"
    nothing_temporary
    finish
fi

# ---- what an entry is for, and what not

if begin keys; then
    miss "the first time" $model
    hit "the second time" $model
    miss "--no-cache" $model --no-cache
    RNC_CACHE=off miss "RNC_CACHE=off" $model
    hit "another seed" $model --seed 7
    hit "other threads" $model --threads 3
    miss "the training step" $model --train
    miss "another batch" $model --batch 3
    miss "another parameter" $model -p width=16
    miss "another algorithm" $model --winograd f2
    miss "another CPU" $model --cpu x86-64-v3
    hit "that CPU again" $model --cpu x86-64-v3
    hit "the first one, after all" $model
    before=$(entries)
    miss "an object file" $model -o "$work/$name/model.o"
    "$rnc" compile $model --emit llvm >"$work/out" && grep -q '^define' "$work/out" || complain "--emit llvm"
    "$rnc" compile $model --emit asm >"$work/out" && [ -s "$work/out" ] || complain "--emit asm"
    holds "$before" "files and text are not kept"
    finish
fi

if begin edited-spec; then
    "$rnc" expand $model >net.yaml || complain "expand"
    miss "a spec of one's own" net.yaml
    hit "again" net.yaml
    sed -i 's/eps: 1e-05/eps: 1e-04/; s/^model: .*/model: other/' net.yaml
    miss "edited" net.yaml
    finish
fi

if begin report; then
    "$rnc" compile $model >"$work/out"
    grep -q 'from the cache' "$work/out" && complain "cold: from the cache"
    "$rnc" compile $model >"$work/out"
    grep -qE '^time +[0-9.]+ ms: spec [0-9.]+, passes [0-9.]+, code from the cache [0-9.]+' "$work/out" ||
        complain "warm: not from the cache"
    "$rnc" bench $model --seconds 0.1 --json >"$work/out" || complain "bench"
    grep -q '"cached": true' "$work/out" || complain "bench --json does not say so"
    "$rnc" bench $model --seconds 0.1 --json --no-cache >"$work/out" || complain "bench"
    grep -q '"cached": false' "$work/out" || complain "bench --json says it of a cold start"
    finish
fi

# ---- damage

# damaged NAME COMMAND…: after the command has had its way with the entry it is compiled, replaced, and right.
damaged() {
    begin "$1" || return
    infer good
    local file size
    file=$(the_entry)
    size=$(stat -c %s "$file")
    cp "$file" whole
    "${@:2}" "$file" "$size" || complain "the case itself failed"
    miss "damaged" $model --batch 3
    cmp -s "$file" whole || complain "it was not replaced"
    hit "replaced" $model --batch 3
    infer after && cmp good.npy after.npy || complain "another result"
    nothing_temporary
    finish
}
cut_to() { truncate -s "$(($1 * $3 / 100))" "$2"; }
# flip PERCENT: one bit of the byte there
flip() {
    local at=$(($1 * ($3 - 1) / 100)) byte
    byte=$(od -An -tu1 -j "$at" -N 1 "$2")
    printf "\\$(printf '%03o' $((byte ^ 4)))" | dd of="$2" bs=1 seek="$at" conv=notrunc status=none
}
put_at() { printf "$2" | dd of="$3" bs=1 seek="$1" conv=notrunc status=none; }
longer() { echo more >>"$1"; }
text() { echo "this is not a model" >"$1"; }
zeros() { head -c "$2" /dev/zero >"$1"; }
a_link_there() { rm "$1" && ln -s "$work/whole" "$1"; }
others_may_write() { chmod 666 "$1"; }
another_entry() {
    "$rnc" compile $model --batch 5 >/dev/null
    for other in "$RNC_CACHE_DIR"/*.rnc; do [ "$other" = "$1" ] || mv "$other" "$1"; done
}
for percent in 0 1 50 99; do damaged truncated-to-$percent cut_to $percent; done
for percent in 2 10 50 90 100; do damaged bit-flipped-at-$percent flip $percent; done
damaged wrong-magic put_at 0 'XNCMODEL'
damaged wrong-version put_at 8 '\177'
damaged wrong-size put_at 16 '\377\377\377\377\377\377\377\177'
damaged wrong-key put_at 24 'another key, another model'
damaged too-long longer
damaged some-text text
damaged only-zeros zeros
damaged a-link a_link_there
damaged others-may-write others_may_write
damaged another-model-s-entry another_entry

if begin a-folder-in-its-place; then
    miss "first" $model
    file=$(the_entry)
    rm "$file" && mkdir "$file"
    miss "a folder" $model
    miss "still a folder" $model
    nothing_temporary
    finish
fi

# ---- the folder

# unused NAME PATTERN: the folder is left alone, models are compiled, and `rnc cache` says why.
unused() {
    local before
    before=$(ls -A "$RNC_CACHE_DIR" 2>&1)
    miss "$1" $model
    miss "$1, again" $model
    [ "$before" = "$(ls -A "$RNC_CACHE_DIR" 2>&1)" ] || complain "$1: files have changed"
    "$rnc" cache >"$work/out" 2>&1 || complain "rnc cache fails"
    [ "$(grep -c 'warning: ' "$work/out")" = 1 ] && grep -qE -- "$2" "$work/out" ||
        complain "rnc cache does not say /$2/ once"
    "$rnc" cache --clear >"$work/out" 2>&1 && complain "rnc cache --clear pretends to succeed"
    finish
}
begin mode-777 && mkdir -m 777 "$RNC_CACHE_DIR" && unused "everybody may write" 'others may write to it .mode 0777'
begin mode-770 && mkdir -m 770 "$RNC_CACHE_DIR" && unused "the group may write" 'others may write to it'
if [ "$(id -u)" = 0 ]; then
    begin owned-by-another && mkdir -m 700 "$RNC_CACHE_DIR" && chown 65534 "$RNC_CACHE_DIR" &&
        unused "another's" 'belongs to another user'
else
    begin owned-by-another && RNC_CACHE_DIR=/usr && unused "root's" 'belongs to another user'
fi
begin a-file && : >"$RNC_CACHE_DIR" && unused "a file" 'Not a directory'
begin below-a-file && : >"$work/$name/file" && RNC_CACHE_DIR=$work/$name/file/cache &&
    unused "below a file" 'Not a directory'
if [ "$(id -u)" != 0 ] && begin read-only; then
    miss "first" $model
    chmod 500 "$RNC_CACHE_DIR"
    hit "what is there is used" $model
    miss "what isn't is compiled" $model --batch 2
    chmod 700 "$RNC_CACHE_DIR"
    holds 1 "nothing was written"
    finish
fi
if begin proc-is-read-only; then
    RNC_CACHE_DIR=/proc/rnc
    miss "a file system without files" $model
    finish
fi
if begin which-folder; then
    unset RNC_CACHE_DIR
    miss "in the home folder" $model
    [ -n "$(ls "$HOME/.cache/rnc")" ] || complain "not in ~/.cache/rnc"
    XDG_CACHE_HOME=$work/$name/xdg miss "XDG_CACHE_HOME" $model
    [ -n "$(ls "$work/$name/xdg/rnc")" ] || complain "not in XDG_CACHE_HOME"
    XDG_CACHE_HOME=relative hit "a relative XDG_CACHE_HOME is none" $model
    env -u HOME "$rnc" compile --json $model >"$work/out" 2>&1 && grep -q '"cached": false' "$work/out" ||
        complain "without HOME"
    env -u HOME "$rnc" cache >"$work/out" 2>&1
    [ $? = 2 ] && grep -q 'RNC_CACHE_DIR' "$work/out" || complain "rnc cache without HOME"
    rm -rf "$HOME/.cache"
    finish
fi
if begin wrong-environment; then
    RNC_CACHE=of "$rnc" compile $model >"$work/out" 2>&1
    [ $? = 1 ] && grep -q "RNC_CACHE: there is no 'of'" "$work/out" || complain "RNC_CACHE=of"
    for size in x 5x -1 1e300 nan 5MiBB; do
        RNC_CACHE_SIZE=$size "$rnc" compile $model >"$work/out" 2>&1
        [ $? = 1 ] && grep -q "RNC_CACHE_SIZE: '$size' is not a size" "$work/out" || complain "RNC_CACHE_SIZE=$size"
    done
    finish
fi

# ---- many at once

if begin writers; then
    infer alone --no-cache
    pids=
    for i in 1 2 3 4 5 6; do
        "$rnc" run $model --threads 1 --input x.npy --output "writer$i.npy" >"writer$i.txt" 2>&1 &
        pids="$pids $!"
    done
    for pid in $pids; do wait "$pid" || complain "a writer failed: $(cat writer?.txt)"; done
    for i in 1 2 3 4 5 6; do cmp alone.npy "writer$i.npy" || complain "writer $i differs"; done
    holds 1 "one model"
    nothing_temporary
    infer after && cmp alone.npy after.npy || complain "the entry differs"
    hit "after six writers" $model --batch 3
    finish
fi
if begin writers-and-clearing; then
    pids=
    for i in 1 2 3 4; do
        "$rnc" run $model --threads 1 --input x.npy --output "writer$i.npy" >"writer$i.txt" 2>&1 &
        pids="$pids $!"
    done
    for _ in 1 2 3 4 5 6 7 8; do "$rnc" cache --clear >"$work/out" 2>&1 || complain "clear failed"; sleep 0.05; done
    for pid in $pids; do wait "$pid" || complain "a writer failed: $(cat writer?.txt)"; done
    for i in 2 3 4; do cmp writer1.npy "writer$i.npy" || complain "writer $i differs"; done
    nothing_temporary
    finish
fi

# ---- the cap

if begin cap; then
    miss "first" $model --batch 1
    size=$(stat -c %s "$(the_entry)")
    export RNC_CACHE_SIZE=$((size * 7 / 2))
    for batch in 2 3; do miss "batch $batch" $model --batch $batch; sleep 0.02; done
    holds 3 "three fit"
    hit "the first is used again" $model --batch 1
    sleep 0.02
    miss "a fourth" $model --batch 4
    holds 3 "after the fourth"
    hit "the first stays" $model --batch 1
    hit "the third stays" $model --batch 3
    miss "the second went: the least recently used" $model --batch 2
    holds 3 "after the second came back"
    RNC_CACHE_SIZE=100B miss "too small for any" $model --batch 9
    holds 3 "what is too large is not kept"
    RNC_CACHE_SIZE=$((size * 3 / 2))B miss "room for one" $model --batch 8
    holds 1 "room for one"
    unset RNC_CACHE_SIZE
    finish
fi

# ---- rnc cache

if begin command; then
    "$rnc" cache >"$work/out" 2>"$work/err" && [ ! -s "$work/err" ] || complain "before there is a folder"
    [ ! -e "$RNC_CACHE_DIR" ] || complain "looking made the folder"
    "$rnc" cache --clear >"$work/out" || complain "clearing nothing"
    miss "one" $model
    miss "two" $model --batch 2
    "$rnc" cache >"$work/out" || complain "rnc cache"
    grep -qF "$RNC_CACHE_DIR" "$work/out" && grep -q '2 compiled models' "$work/out" || complain "rnc cache"
    RNC_CACHE_SIZE=1.5MiB "$rnc" cache --json >"$work/out" || complain "rnc cache --json"
    bytes=$(cat "$RNC_CACHE_DIR"/*.rnc | wc -c)
    for part in '"entries": 2' "\"bytes\": $bytes" '"cap_bytes": 1572864' '"used": true'; do
        grep -qF -- "$part" "$work/out" || complain "--json has no $part"; done
    RNC_CACHE=off "$rnc" cache >"$work/out" 2>&1
    grep -q 'switched off' "$work/out" || complain "it does not say that it is off"
    echo mine >"$RNC_CACHE_DIR/notes.txt"
    touch -d '2 hours ago' "$RNC_CACHE_DIR/tmp-0123456789abcdef"
    "$rnc" cache --clear >"$work/out" || complain "rnc cache --clear"
    grep -q 'removed   2 compiled models' "$work/out" || complain "rnc cache --clear"
    [ "$(ls -A "$RNC_CACHE_DIR")" = notes.txt ] || complain "left: $(ls -A "$RNC_CACHE_DIR")"
    miss "after clearing" $model
    finish
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
