#!/usr/bin/env bash
# The spec language. NAME.err is what `rnc check NAME.yaml` prints; NAME.expand is what `rnc expand NAME.yaml` prints, which must build the
# same graph as NAME.yaml and expand to itself. NAME.args holds further arguments. BLESS=1 rewrites. A WORD runs only the cases whose
# name contains it. The shipped specs are expanded and compared, too.
set -u
cd "$(dirname "$0")/../../.." || exit 2
rnc=${RNC:-build/rnc}
export NO_COLOR=1
here=tests/golden/spec
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 word=${1:-}

# report NAME STATUS: counts the case; STATUS 0 is good.
report() {
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        echo "FAILED: $1    (alone: $here/run.sh $1)"
        failed=$((failed + 1))
    fi
}

# The graph of a spec, without the places in its file.
graph() { "$rnc" compile --emit ir-raw "$@" 2>&1 | sed 's/ loc "[^"]*":[0-9]*:[0-9]*//'; }

# expands SPEC [ARG…]: does the expanded spec build the same graph, and expand to itself?
expands() {
    "$rnc" expand "$@" >"$tmp/one.yaml" && "$rnc" expand "$tmp/one.yaml" >"$tmp/two.yaml" || return 1
    diff -u "$tmp/one.yaml" "$tmp/two.yaml" || return 1
    graph "$@" >"$tmp/one.ir"
    graph "$tmp/one.yaml" >"$tmp/two.ir"
    grep -q '^graph ' "$tmp/one.ir" && diff -u "$tmp/one.ir" "$tmp/two.ir"
}

for want in "$here"/*.err "$here"/*.expand; do
    base=${want%.*}
    name=$(basename "$base")
    [ $# = 0 ] || [[ $name == *$1* ]] || continue
    args=()
    [ -f "$base.args" ] && read -r -a args <"$base.args"
    status=0
    if [[ $want == *.err ]]; then
        "$rnc" check "$base.yaml" "${args[@]}" >"$tmp/got" 2>&1
        [ $? = 1 ] || { echo "rnc check: exit status is not 1"; status=1; }
    else
        expands "$base.yaml" "${args[@]}" || status=1
        "$rnc" expand "$base.yaml" "${args[@]}" >"$tmp/got" 2>&1
    fi
    [ "${BLESS:-}" = 1 ] && cp "$tmp/got" "$want"
    diff -u "$want" "$tmp/got" || status=1
    report "$name" $status
done
for spec in specs/*.yaml; do
    name=shipped-$(basename "$spec" .yaml)
    [ $# = 0 ] || [[ $name == *$1* ]] || continue
    expands "$spec"
    report "$name" $?
done
# whole NAME COMMAND…: what the command prints is NAME.
whole() {
    local want=$here/$1
    [ -z "$word" ] || [[ $1 == *$word* ]] || return 0
    "${@:2}" >"$tmp/got" 2>&1
    [ "${BLESS:-}" = 1 ] && cp "$tmp/got" "$want"
    diff -u "$want" "$tmp/got"
    report "$1" $?
}
whole shipped.check "$rnc" check specs/*.yaml
whole schema.json "$rnc" schema
echo "$passed passed, $failed failed"
[ $failed = 0 ]
