"""Follows the advice on a missing projection in SPEC, as a reader would: follow.py SPEC, which is rewritten."""

import re, subprocess, os, sys

spec = sys.argv[1]
said = subprocess.run([os.environ["rnc"], "check", spec], capture_output=True, text=True)
notes = [line[8:] for line in (said.stdout + said.stderr).splitlines() if line.startswith("      = ")]
at = int(re.search(r":(\d+):\d+: error: add", said.stdout + said.stderr).group(1))
start = next(i for i, n in enumerate(notes) if "needs a projection" in n)
parameter = notes[start + 1].strip()
block = []
for note in notes[start + 3 :]:
    if not note.startswith("    "):
        break
    block.append(note[4:])
uses = next(n for n in notes if n.startswith("and `"))
given = re.search(r"`(.*?)`", uses).group(1)
lines = open(spec).read().split("\n")
for line in map(int, re.findall(r"\(line (\d+)\)", uses)):
    old, text = lines[line - 1], given
    inside = re.search(r"first: \{(.*?)\}", old)
    if inside and "first" in given:
        lines[line - 1] = old.replace(
            inside.group(0), "first: {" + inside.group(1) + ", " + re.search(r"\{(.*)\}", given).group(1) + "}"
        )
    else:
        lines[line - 1] = re.sub(r"\}\s*$", ", " + given + "}", old)
indent = re.match(r" *", lines[at - 1]).group(0)
lines[at - 1 : at] = [indent + b for b in block]
lines = [re.sub(r"(params: \{)(out: \{type: int\})", r"\1" + parameter.replace("\\", "") + r", \2", l) for l in lines]
open(spec, "w").write("\n".join(lines))
