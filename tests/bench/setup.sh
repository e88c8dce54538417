#!/bin/sh
# setup.sh DIR: a Python virtual environment in DIR with the peers of requirements.txt. A peer that cannot be installed
# is left out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:?usage: setup.sh DIR}
python=${RNC_PEERS_PYTHON:-python3}

# Done before, from these same pins?
if [ -x "$venv/bin/python" ] && cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    exit 0
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
    echo "bench-peers: $python cannot make a virtual environment (Debian: apt-get install python3-venv)" >&2
    exit 2
}
# One by one: a peer without a wheel for this Python must not keep the others away.
pip="$venv/bin/pip install -q --disable-pip-version-check"
left_out=
while read -r pin; do
    case $pin in '' | '#'*) continue ;; esac
    echo "bench-peers: installing $pin"
    # PyTorch's own index, if it can be reached, has it without CUDA; the line below then only adds what it depends on.
    case $pin in torch*) $pip --retries 0 --index-url https://download.pytorch.org/whl/cpu --no-deps "$pin" </dev/null \
        >/dev/null 2>&1 || : ;; esac
    $pip "$pin" </dev/null || left_out="$left_out $pin"
done <"$here/requirements.txt"

if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    echo "bench-peers: there is no PyTorch, which makes the weights and the reference of every row" >&2
    exit 2
fi
[ -z "$left_out" ] || echo "bench-peers: left out, no release for this machine:$left_out" >&2
cp "$here/requirements.txt" "$venv/installed.txt"
