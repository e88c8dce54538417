# cases.sh: what the scripts of cases about the cache's folder share; sourced at their top. WHO (the script's path, as
# `alone:` shows it) is set; a WORD runs only the cases whose name contains it; RNC names the program. Each case has a
# folder and a cache of its own.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
rnc=${RNC:-build/rnc}
case $rnc in /*) ;; *) rnc=$PWD/$rnc ;; esac
export NO_COLOR=1 LC_ALL=C
unset RNC_CACHE RNC_CACHE_SIZE XDG_CACHE_HOME
word=${1:-}
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 2
export HOME=$work/home
mkdir "$HOME"

# begin NAME: a folder that does not exist yet; false when the case is not wanted.
begin() {
    name=$1 ok=1
    case $name in *"$word"*) ;; *) return 1 ;; esac
    export RNC_CACHE_DIR=$work/$name/cache
    mkdir -p "$work/$name"
}
finish() { if [ $ok = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }
complain() {
    echo "FAILED: $name: $*    (alone: $WHO $name)"
    [ -f "$work/out" ] && head -n 20 "$work/out" | sed 's/^/    /'
    ok=0
}
