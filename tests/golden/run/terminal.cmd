# On a terminal of any width the line that is redrawn never fills it: nothing wraps.
. tests/golden/run/small.sh
cat >"$tmp/wide.py" <<'PY'
import fcntl, os, pty, re, struct, sys, termios
def widest(columns, command):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.dup2(slave, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(command[0], command)
    os.close(slave)
    text = b""
    while True:
        try: part = os.read(master, 65536)
        except OSError: break
        if not part: break
        text += part
    os.waitpid(pid, 0)
    lines = [l for l in re.split(r"\r\x1b\[K|\r?\n", text.decode()) if l.startswith("epoch")]
    return max(map(len, lines)), max(lines, key=len)
for columns in (200, 80, 60, 40, 20, 12):
    wide, line = widest(columns, sys.argv[2:] + ["--out", f"{sys.argv[1]}/{columns}"])
    print(columns, "fits" if wide < columns else "too wide")
    if columns == 80: print(re.sub("[█░]+", "[bar]", re.sub("[0-9.]+", "0", re.sub("ETA.*", "ETA 0", line))))
PY
python3 "$tmp/wide.py" "$tmp" "$(realpath "$rnc")" train "$tmp/t.yaml" --data "$tmp/data" --threads 1 --epochs 1
