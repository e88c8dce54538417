#!/usr/bin/env bash
# Wrong input at the command line: one clear diagnostic, the right exit status, nothing half-written, nothing lost.
# A WORD runs only the cases whose name contains it. From anywhere; RNC names the program.
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
rnc=${RNC:-build/rnc}
case $rnc in /*) ;; *) rnc=$root/$rnc ;; esac
export NO_COLOR=1 LC_ALL=C
word=${1:-}
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2

# ---- saying what is expected

complain() {
    echo "FAILED: $name: $*    (alone: tests/bad/run.sh $name)"
    sed 's/^/    /' "$work/.out"
    ok=0
}

# Runs the rest of the command line in the folder of the case; its output goes to .out.
attempt() {
    (cd "$work/case" && "$@") >"$work/.out" 2>&1 </dev/null
    status=$?
}

# begin NAME: an empty folder; false when the case is not wanted.
begin() {
    name=$1 ok=1
    case $name in *"$word"*) ;; *) return 1 ;; esac
    rm -rf "$work/case"
    mkdir "$work/case"
}

finish() {
    if [ $ok = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# No sanitizer's report, no assertion, no signal; STATUS; as many errors as were expected, and the PATTERN in them.
check() {
    local want=$1 errors=$2 pattern=$3
    [ "$status" = "$want" ] || complain "exit status $status, not $want"
    grep -qE 'Sanitizer|runtime error|Assertion' "$work/.out" && complain "a bug shows"
    [ "$errors" = any ] || [ "$(grep -c 'error: ' "$work/.out")" = "$errors" ] || complain "not $errors error(s)"
    grep -qE -- "$pattern" "$work/.out" || complain "nothing says /$pattern/"
}

# The folder of the case holds these files and nothing else.
only_files() {
    local have
    have=$(cd "$work/case" && find . -mindepth 1 ! -type d | sed 's|^\./||' | sort | tr '\n' ' ')
    [ "$have" = "${*:+$(printf '%s\n' "$@" | sort | tr '\n' ' ')}" ] || complain "files left: $have"
}

# expect STATUS PATTERN COMMAND…: a whole case after its begin. The files that are there before are there after, and no
# others.
expect() {
    local want=$1 pattern=$2 before after
    shift 2
    before=$(cd "$work/case" && find . ! -type d -exec cksum {} + | sort)
    attempt "$@"
    check "$want" 1 "$pattern"
    after=$(cd "$work/case" && find . ! -type d -exec cksum {} + | sort)
    [ "$before" = "$after" ] || complain "files have changed: $(diff <(echo "$before") <(echo "$after") | tr '\n' ' ')"
    finish
}

# ---- what the cases work with

cat >tiny.yaml <<'SPEC'
rnc: 1
model: tiny
params: {classes: 10, width: 8}
inputs: {image: {shape: [1, 20, 20]}}
targets: {label: {type: class}}
layers:
  - conv2d: {name: conv1, out: $width, kernel: 3, stride: 2, pad: 1, bias: false}
  - batch_norm: {name: bn1}
  - relu
  - conv2d: {name: conv2, out: $(width * 2), kernel: 3, stride: 2, pad: 1}
  - relu
  - global_avg_pool
  - dense: {name: fc, out: $classes, as: logits}
outputs: [logits]
loss:
  - softmax_cross_entropy: {from: logits, target: label}
metrics: [accuracy]
train:
  batch: 100
  epochs: 1
  optimizer: {sgd: {lr: 0.05, momentum: 0.9}}
SPEC
tiny=$work/tiny.yaml
"$rnc" train "$tiny" --out "$work/made" >"$work/.out" 2>&1 || { cat "$work/.out"; echo "0 passed, 1 failed"; exit 1; }
weights=$work/made/best.safetensors checkpoint=$work/made/last.safetensors
digits=$root/tests/data/digits
images=$root/tests/fuzz/corpus/image

be32() { printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) \
    $(($1 & 255)))"; }
# npy DESCR SHAPE BYTES >FILE: an array of zeros
npy() {
    local header="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
    header=$(printf '%-117s' "$header")
    printf '\x93NUMPY\x01\x00\x76\x00%s\n' "$header"
    head -c "$3" /dev/zero
}

# ---- weights

begin weights-missing && expect 1 'none.safetensors' "$rnc" eval "$tiny" --weights none.safetensors
begin weights-missing && expect 1 'none.safetensors: No such file' "$rnc" eval "$tiny" --weights none.safetensors
begin weights-folder && expect 1 'is a folder, not a file' "$rnc" eval "$tiny" --weights "$work"
begin weights-shape && expect 1 'does not fit model tiny: 0 missing, 8 of another shape' "$rnc" eval "$tiny" -p \
    width=16 --weights "$weights"
begin weights-of-another &&
    expect 1 'does not fit model resnet20: [1-9][0-9]* missing' "$rnc" eval resnet20 -p n=1 -p channels=1 -p size=20 \
    -p width=16 --weights "$weights"
begin weights-text && expect 1 'tiny.yaml is not a usable safetensors file' "$rnc" eval "$tiny" --weights "$tiny"
size=$(stat -c %s "$weights")
for length in 0 1 7 8 9 100 $((size / 2)) $((size - 1)); do
    if begin "weights-truncated-to-$length"; then
        head -c "$length" "$weights" >"$work/case/w.safetensors"
        expect 1 'w.safetensors' "$rnc" eval "$tiny" --weights w.safetensors
    fi
done
if begin weights-too-long; then
    { cat "$weights"; printf 'more'; } >"$work/case/w.safetensors"
    expect 1 'w.safetensors' "$rnc" eval "$tiny" --weights w.safetensors
fi
if begin weights-without-one; then
    sed 's/"fc.bias"/"fc.xxxx"/' "$weights" >"$work/case/w.safetensors"
    expect 1 '1 missing, 0 of another shape or type, 1 unexpected' "$rnc" eval "$tiny" --weights w.safetensors
    grep -q 'fc.bias' "$work/.out" || { echo "FAILED: $name does not name fc.bias"; failed=$((failed + 1)); }
fi

# ---- images

for image in truncated.jpg text huge.png; do
    begin "image-$image" && expect 1 "$image (is not a sound|is neither)" "$rnc" predict "$tiny" --weights "$weights" \
        "$images/$image"
done
begin image-missing && expect 1 'none.png: No such file' "$rnc" predict "$tiny" --weights "$weights" none.png
begin image-folder && expect 1 'is a folder, not a file' "$rnc" predict "$tiny" --weights "$weights" "$work"
if begin image-empty; then
    : >"$work/case/empty.png"
    expect 1 'empty.png' "$rnc" predict "$tiny" --weights "$weights" empty.png
fi
for length in 8 20 40 60; do
    if begin "image-png-cut-to-$length"; then
        head -c "$length" "$images/rgb.png" >"$work/case/cut.png"
        expect 1 'cut.png is not a sound PNG' "$rnc" predict "$tiny" --weights "$weights" cut.png
    fi
done

# ---- data

begin data-missing && expect 1 'there is no file or folder' "$rnc" train "$tiny" --data nowhere --out out
begin data-empty-folder && expect 1 'holds no data set that rnc knows' "$rnc" train "$tiny" --data . --out out
begin data-text && expect 1 'is no data set that rnc knows' "$rnc" train "$tiny" --data "$tiny" --out out
begin data-classes && expect 1 'has 3 classes' "$rnc" train "$tiny" -p classes=3 --out out
if begin data-gzip-truncated; then
    for part in train t10k; do cp "$digits/$part-labels-idx1-ubyte.gz" "$work/case"; done
    cp "$digits/t10k-images-idx3-ubyte.gz" "$work/case"
    head -c 100000 "$digits/train-images-idx3-ubyte.gz" >"$work/case/train-images-idx3-ubyte.gz"
    expect 1 'train-images-idx3-ubyte.gz' "$rnc" train "$tiny" --data . --out out
fi
if begin data-images-truncated; then
    { printf '\0\0\010\003'; be32 10; be32 20; be32 20; head -c 3999 /dev/zero; } >"$work/case/train-images-idx3-ubyte"
    { printf '\0\0\010\001'; be32 10; head -c 10 /dev/zero; } >"$work/case/train-labels-idx1-ubyte"
    expect 1 'train-images-idx3-ubyte' "$rnc" train "$tiny" --data . --out out
fi
if begin data-counts-differ; then
    { printf '\0\0\010\003'; be32 10; be32 20; be32 20; head -c 4000 /dev/zero; } >"$work/case/train-images-idx3-ubyte"
    { printf '\0\0\010\001'; be32 9; head -c 9 /dev/zero; } >"$work/case/train-labels-idx1-ubyte"
    expect 1 '(10.*9|9.*10)' "$rnc" train "$tiny" --data . --out out
fi
if begin data-huge-header; then
    { printf '\0\0\010\003'; be32 4294967295; be32 4294967295; be32 4294967295; } >"$work/case/train-images-idx3-ubyte"
    { printf '\0\0\010\001'; be32 4294967295; } >"$work/case/train-labels-idx1-ubyte"
    expect 1 'ubyte' "$rnc" train "$tiny" --data . --out out
fi
if begin data-size; then
    { printf '\0\0\010\003'; be32 10; be32 5; be32 5; head -c 250 /dev/zero; } >"$work/case/train-images-idx3-ubyte"
    { printf '\0\0\010\001'; be32 10; head -c 10 /dev/zero; } >"$work/case/train-labels-idx1-ubyte"
    expect 1 'does not fit' "$rnc" train "$tiny" --data . --out out
fi
if begin data-cifar-cut; then
    head -c 5000 /dev/zero >"$work/case/data_batch_1.bin"
    expect 1 'data_batch_1.bin' "$rnc" train "$tiny" --data . --out out
fi
if begin data-not-the-specs; then
    mkdir "$work/case/data" && head -c 30730 /dev/zero >"$work/case/data/data_batch_1.bin"
    expect 1 'data holds data of the format cifar10, and the spec says idx' "$rnc" train "$tiny" --set \
        train.data.idx.train=data --out out
fi
if begin data-image-folder-damaged; then
    mkdir -p "$work/case/train/a" "$work/case/train/b"
    for i in 1 2 3 4 5 6; do cp "$images/grey.png" "$work/case/train/a/$i.png";
        cp "$images/rgb.png" "$work/case/train/b/$i.png"; done
    cp "$images/text" "$work/case/train/b/4.png"
    attempt "$rnc" train "$tiny" -p classes=2 --data . --out out --batch 4
    check 1 1 'train/b/4.png is neither'
    [ -z "$(find "$work/case/out" -name '*.safetensors' 2>/dev/null)" ] || complain "a checkpoint of broken data"
    finish
fi

# ---- arrays

npy '<f4' '1, 1, 20, 20,' 1600 >"$work/x.npy"
for length in 0 5 10 100 1000 1727; do
    if begin "array-truncated-to-$length"; then
        head -c "$length" "$work/x.npy" >"$work/case/x.npy"
        expect 1 'x.npy' "$rnc" run "$tiny" --weights "$weights" --input x.npy --output y.npy
    fi
done
if begin array-huge; then
    npy '<f4' '4294967296, 4294967296, 4294967296,' 0 >"$work/case/x.npy"
    expect 1 'x.npy' "$rnc" run "$tiny" --input x.npy --output y.npy
fi
if begin array-batch-huge; then
    npy '<f4' '9999999, 1, 20, 20,' 1600 >"$work/case/x.npy"
    expect 1 'x.npy' "$rnc" run "$tiny" --input x.npy --output y.npy
fi
if begin array-shape; then
    npy '<f4' '1, 3, 20, 20,' 4800 >"$work/case/x.npy"
    expect 1 'x.npy' "$rnc" run "$tiny" --input x.npy --output y.npy
fi
if begin array-keeps-the-old-output; then # a run that fails leaves the output of the one before
    echo 'the old output' >"$work/case/y.npy"
    npy '<f4' '1, 3, 20, 20,' 4800 >"$work/case/x.npy"
    expect 1 'x.npy' "$rnc" run "$tiny" --input x.npy --output y.npy
fi

# ---- places that cannot be written

begin out-is-a-file && { : >"$work/case/file";
    expect 2 'a file of this name is in the way' "$rnc" train "$tiny" --out file; }
begin out-below-a-file && { : >"$work/case/file"; expect 2 'Not a directory' "$rnc" train "$tiny" --out file/out; }
begin output-in-no-folder && expect 2 'none/y.npy' "$rnc" run "$tiny" --input "$work/x.npy" --output none/y.npy
begin object-in-no-folder && expect 2 'none/tiny.o' "$rnc" compile "$tiny" -o none/tiny.o
begin plan-in-no-folder && expect 2 'none/plan.svg' "$rnc" plan "$tiny" -o none/plan.svg
begin output-is-a-folder && { mkdir "$work/case/y.npy";
    expect 2 'y.npy' "$rnc" run "$tiny" --input "$work/x.npy" --output y.npy; }

# as_user COMMAND…: without root's power to write anywhere
if [ "$(id -u)" = 0 ]; then
    as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    chmod 755 "$work"
else
    as_user() { "$@"; }
fi
if as_user "$rnc" check "$tiny" >/dev/null 2>&1; then # nobody may not read where the repository lies
    if begin folder-unwritable; then
        mkdir "$work/case/out"
        chmod 555 "$work/case/out" "$work/case"
        expect 2 'Permission denied' as_user "$rnc" train "$tiny" --out out
        chmod 755 "$work/case"
    fi
    if begin output-unwritable; then
        chmod 555 "$work/case"
        expect 2 'Permission denied' as_user "$rnc" run "$tiny" --input "$work/x.npy" --output y.npy
        chmod 755 "$work/case"
    fi
    if begin weights-unreadable; then
        install -m 600 "$weights" "$work/case/w.safetensors"
        if [ "$(id -u)" != 0 ]; then chmod 000 "$work/case/w.safetensors"; fi
        attempt as_user "$rnc" eval "$tiny" --weights w.safetensors
        check 2 1 'w.safetensors: Permission denied'
        finish
    fi
fi

# ---- a disk that is full: a limit on the size of files does as well as a full one

# limited BLOCKS COMMAND…: no file may be longer than BLOCKS KiB; writing on fails, as on a full disk
limited() { (trap '' XFSZ; ulimit -f "$1"; shift; exec "$@"); }
if begin disk-full-output; then
    echo 'the old output' >"$work/case/g.safetensors"
    npy '<i8' '1,' 8 >"$work/case/t.npy"
    expect 2 'g.safetensors' limited 1 "$rnc" run "$tiny" --input "$work/x.npy" --train --target t.npy --grads \
        g.safetensors
fi
begin disk-full-object && expect 2 'tiny.o' limited 2 "$rnc" compile "$tiny" -o tiny.o
if begin disk-full-checkpoint; then
    # a new run sets the old one's checkpoint aside; it is whole afterwards, and nothing half-written is left
    cp "$checkpoint" "$work/case"
    before=$(cksum <"$checkpoint")
    attempt limited 4 "$rnc" train "$tiny" --init last.safetensors --out . --overwrite
    check 2 1 '(File too large|No space left)'
    [ "$before" = "$(cksum <"$work/case/last.safetensors.old")" ] || complain "the old checkpoint is damaged"
    [ -z "$(find "$work/case" -name '*tmp*' -o -name '.*' -type f)" ] || complain "left: $(ls -A "$work/case")"
    finish
fi
# A real one, where a file system may be mounted.
if unshare -m true 2>/dev/null && begin disk-really-full; then
    cat >"$work/full.sh" <<'FULL'
mount -t tmpfs -o size=16k none case && cd case && "$1" train "$2" --out . ; status=$?
ls -A >../full.files # what is there must be whole
for f in *.safetensors; do
    [ ! -e "$f" ] || "$1" eval "$2" --weights "$f" >/dev/null 2>&1 || echo "torn $f" >>../full.files
done
exit $status
FULL
    (cd "$work" && unshare -m bash full.sh "$rnc" "$tiny") >"$work/.out" 2>&1 </dev/null
    status=$?
    check 2 1 'No space left'
    grep -qE '^(torn|\.)' "$work/full.files" && complain "left: $(tr '\n' ' ' <"$work/full.files")"
    finish
fi

# ---- resuming

if begin resume-nothing; then
    expect 1 'there is nothing to resume' "$rnc" train "$tiny" --resume --out out
    [ ! -e "$work/case/out" ] || { echo "FAILED: $name: the folder has been made"; failed=$((failed + 1)); }
fi
begin resume-another-spec && { cp "$checkpoint" "$work/case";
    expect 1 "can't be resumed exactly" "$rnc" train "$tiny" -p width=4 --resume --out .; }
begin resume-truncated && { head -c 3000 "$checkpoint" >"$work/case/last.safetensors";
    expect 1 'last.safetensors' "$rnc" train "$tiny" --resume --out .; }
begin resume-weights-only && { cp "$weights" "$work/case/last.safetensors";
    expect 1 'last.safetensors' "$rnc" train "$tiny" --resume --out .; }

# ---- interruption: SIGNAL the training once its log has a line

interrupted() {
    (cd "$work/case" && exec "$rnc" train "$tiny" --epochs 100000 --out out) >"$work/.out" 2>&1 </dev/null &
    local pid=$!
    for _ in $(seq 600); do
        [ -s "$work/case/out/last.safetensors" ] && break
        sleep 0.05
    done
    sleep 0.2
    kill -s "$1" $pid
    wait $pid 2>/dev/null
    status=$?
}
for signal in INT TERM; do
    if begin "interrupt-$signal"; then
        interrupted $signal
        [ $signal = INT ] && want=130 || want=143
        check $want 0 'stopped by signal [0-9]+ in epoch [0-9]+, after step [0-9]+; `rnc train out/ --resume` goes on'
        step=$(sed -n 's/.*after step \([0-9]*\);.*/\1/p' "$work/.out")
        [ -z "$(find "$work/case/out" -name '*tmp*' -o -name '.*' -type f)" ] ||
            complain "left: $(ls -A "$work/case/out")"
        attempt "$rnc" eval "$tiny" --weights out/last.safetensors
        check 0 0 'accuracy'
        (cd "$work/case" && exec "$rnc" train out/ --resume) >"$work/.out" 2>&1 </dev/null &
        until grep -q '^epoch' "$work/.out" || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
        kill -TERM $!
        wait $!
        status=$?
        check 143 0 'stopped by signal 15'
        [ "$(sed -n 's/.*after step \([0-9]*\);.*/\1/p' "$work/.out")" -ge "${step:-0}" ] || complain "it began anew"
        finish
    fi
done
if begin interrupt-KILL; then
    interrupted KILL
    attempt "$rnc" eval "$tiny" --weights out/last.safetensors
    check 0 0 'accuracy'
    finish
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
