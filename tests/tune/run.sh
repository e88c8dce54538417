#!/usr/bin/env bash
# --tune and what it keeps, from the command line: a table decides, is listed, cleared and never trusted when damaged;
# the bits do not depend on threads; plain runs do not look at it; a resumed training takes the checkpoint's choices.
# Nothing here looks at a clock: the time given is more than all measurements need. A WORD runs only the cases whose
# name contains it. From anywhere; RNC names the program.
set -u
WHO=tests/tune/run.sh
. "$(dirname "$0")/../cases.sh"
model="resnet20 -p n=1 -p channels=1 -p size=20 -p width=16"
time="--tune 60m"
table() { echo "$RNC_CACHE_DIR"/tuned-*.txt; }
# report [OPTION…]: the passes' line on algorithms; run [OPTION…]: what the model says
report() { "$rnc" compile $model "$@" >"$work/out" 2>&1 && grep '^  algorithm:' "$work/out"; }
tuner() { grep -E '^  tuner:' "$work/out"; }
# claim WHICH: rewrites the table so that algorithm WHICH costs next to nothing and all others a lot, and signs it
claim() {
    local file
    file=$(table)
    sed -E '/^sum /d; /=/{s/:[-0-9.e]+/:1/g; s/ '"$1"':1/ '"$1"':1e-06/; s/='"$1"':1/='"$1"':1e-06/}' "$file" >table.new
    printf 'sum %s\n' "$(sha256sum <table.new | cut -d' ' -f1)" >>table.new
    cat table.new >"$file"
}

if begin measures; then
    report $time >/dev/null || complain "it fails"
    tuner | grep -qE ' [1-9][0-9]* convolutions measured in .*, 0 known from before, 0 left' ||
        complain "nothing was measured: $(tuner)"
    rows=$(grep -c = "$(table)")
    [ "$(stat -c %a "$(table)")" = 600 ] || complain "the table's mode is $(stat -c %a "$(table)")"
    report $time >/dev/null
    tuner | grep -q " 0 convolutions measured in .*, $rows known from before, 0 left" || complain "again: $(tuner)"
    report --tune 0s >/dev/null
    tuner | grep -q " 0 convolutions measured in .*, $rows known from before, 0 left" || complain "--tune 0s: $(tuner)"
    "$rnc" cache >"$work/out"
    grep -q " $rows tuned convolutions for 1 CPU" "$work/out" || complain "rnc cache does not list them"
    "$rnc" cache --json | grep -q "\"tuned\": $rows" || complain "rnc cache --json does not list them"
    "$rnc" cache --clear >"$work/out"
    grep -q " $rows tuned convolutions" "$work/out" || complain "rnc cache --clear does not say that they go"
    [ ! -e "$(table)" ] || complain "the table is still there"
    report --tune 0s >/dev/null
    tuner | grep -q ' 0 convolutions measured in .*, 0 known from before, [1-9][0-9]* left' ||
        complain "nothing is known, but: $(tuner)"
    finish
fi

if begin decides; then
    plain=$(report)
    report $time >/dev/null || complain "it fails"
    claim winograd2
    two=$(report --tune 0s)
    case $two in *"by F(2,3)"*) ;; *) complain "the table says F(2), the report $two" ;; esac
    case $two in *"by F(4,3)"*) complain "the table says F(2), the report $two" ;; esac
    "$rnc" compile $model --tune 0s --emit ir >two.ir 2>&1
    grep -q 'algorithm=winograd2' two.ir && ! grep -q 'algorithm=winograd4' two.ir ||
        complain "the IR does not have the table's choices"
    claim direct
    case $(report --tune 0s) in *by*) complain "the table says direct" ;; esac
    [ "$(report)" = "$plain" ] || complain "a plain run looks at the table"
    case $(report --tune 0s --winograd f2) in *"by F(2,3)"*) ;;
        *) complain "--winograd does not win over the table" ;; esac
    RNC_CACHE=off report --tune 0s >/dev/null
    tuner | grep -q ' 0 known from before' || complain "RNC_CACHE=off uses the table"
    finish
fi

if begin damaged; then
    plain=$(report)
    report $time >/dev/null || complain "it fails"
    rows=$(grep -c = "$(table)")
    sed -i '2s/direct:/direct:9/' "$(table)" # not signed
    [ "$(report --tune 0s)" = "$plain" ] || complain "a damaged table decides"
    tuner | grep -q ' 0 known from before' || complain "a damaged table counts: $(tuner)"
    report $time >/dev/null || complain "it fails with a damaged table"
    report --tune 0s >/dev/null
    tuner | grep -q " $rows known from before" || complain "the table was not written anew: $(tuner)"
    chmod 666 "$(table)"
    report --tune 0s >/dev/null
    tuner | grep -q ' 0 known from before' || complain "a table that others may write to counts"
    finish
fi

# 3 samples of 1 × 20 × 20 of 0.5, -1.25, 2, 0.75, -0.375
header="{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1, 20, 20), }"
{
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"
    for _ in $(seq 240); do printf '\0\0\0\077\0\0\240\277\0\0\0\100\0\0\100\077\0\0\300\276'; done
} >x.npy

if begin threads; then
    "$rnc" compile $model --batch 3 $time >"$work/out" 2>&1 || complain "it fails"
    for which in winograd2 winograd4 direct; do
        claim $which
        for threads in 1 2 3; do
            rm -f "$RNC_CACHE_DIR"/*.rnc
            "$rnc" run $model --batch 3 --input x.npy --output $which$threads.npy --tune 0s --threads $threads \
                >"$work/out" 2>&1 || complain "run fails"
            cmp $which$threads.npy ${which}1.npy || complain "$which: other bits on $threads threads"
        done
    done
    cmp -s winograd21.npy winograd41.npy && complain "F(2) and F(4) give the same bits: is the table used?"
    finish
fi

if begin resume; then
    train="$rnc train $model --set train.batch=64 --seed 3"
    $train --epochs 1 --out tuned $time >"$work/out" 2>&1 || complain "train fails"
    claim winograd2
    $train --epochs 1 --out two --tune 0s >"$work/out" 2>&1 || complain "train with the table fails"
    claim direct
    cp -r two again
    $train --extend 1 --lr 0.01 --out two >"$work/out" 2>&1 || complain "--resume fails: $(cat "$work/out")"
    $train --extend 1 --lr 0.01 --out again --tune 0s --threads 1 >"$work/out" 2>&1 ||
        complain "--resume --tune fails: $(cat "$work/out")"
    cmp two/last.safetensors again/last.safetensors || complain "--resume does not take the checkpoint's choices alone"
    grep -aq 'winograd2' two/last.safetensors && ! grep -aq 'winograd4' two/last.safetensors ||
        complain "the checkpoint does not name its choices"
    $train --extend 1 --lr 0.01 --out tuned --winograd off >"$work/out" 2>&1 &&
        grep -aq 'winograd[24]' tuned/last.safetensors && complain "--winograd does not win over the checkpoint"
    finish
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
