"""Runs the console blocks of README.md and compares what they print with what it shows. See run.sh.

A block that begins with "$ " is run, command by command, in one folder for the whole page; a line "..." stands for
any lines. Times and rates,
the number of threads and the CPU's name are whatever they are. A comment before a block says more:

    <!-- test: file NAME -->              the block is written to NAME; with "= PATH", the repository's PATH must end
    with the same text
    <!-- test: run COMMAND -->            first, unseen; $ROOT is the repository
    <!-- test: numbers vary -->           every number may be another one: of training, they depend on the CPU's vectors
    <!-- test: not run: REASON -->        and why

Every other block without a language is an error, so that nothing is shown that nobody checks. So is a command, or an
option, that no help knows.
"""

import difflib, os, re, subprocess, sys, tempfile

TIME = re.compile(r"\d[\d.,]*(?= ?(?:s|ms|min|h|images/s|GFLOP/s|GB/s|threads?)\b)")
CPU = re.compile(
    r"(compiled for|for) (?:x86-64-v\d|[a-z]+rapids[a-z-]*|znver\d|skylake[a-z0-9-]*|icelake[a-z-]*|haswell|broadwell|"
    r"cascadelake|cooperlake|"
    r"alderlake|raptorlake|zen\d|armv8-a)\b"
)
NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:e[+-]?\d+)?")


class Block:
    def __init__(self, begin, language):
        self.begin, self.language, self.lines = begin, language, []
        self.file = self.same = self.skip = None
        self.run, self.vary = [], False

    def mark(self, text):
        word, _, rest = text.partition(" ")
        if word == "file":
            self.file, _, self.same = (s.strip() for s in rest.partition("="))
        elif word == "run":
            self.run.append(rest)
        elif text == "numbers vary":
            self.vary = True
        elif text.startswith("not run: "):
            self.skip = text[9:]
        else:
            raise SystemExit(f"README.md:{self.begin}: no such mark: test: {text}")


def blocks(lines):
    """The fenced blocks, with the marks before them. BEGIN is the index of a block's first line."""
    found, marks, block = [], [], None
    for at, line in enumerate(lines):
        mark = re.fullmatch(r"<!-- test: (.*) -->", line)
        if block is not None and line == "```":
            found.append(block)
            block = None
        elif block is not None:
            block.lines.append(line)
        elif mark:
            marks.append(mark[1])
        elif line.startswith("```"):
            block = Block(at + 1, line[3:])
            for m in marks:
                block.mark(m)
            marks = []
    return found


def plain(line, vary):
    """The line without what may differ."""
    line = CPU.sub(r"\1 CPU", TIME.sub("#", line.rstrip()))
    if vary:
        line = NUMBER.sub("#", line)
    return re.sub("─+", "─", re.sub(" +", " ", line))


def commands(block):
    """[(command, shown lines)]"""
    out = []
    for line in block.lines:
        if line.startswith("$ "):
            out.append((line[2:], []))
        else:
            out[-1][1].append(line)
    return out


def match(shown, got, vary):
    """For each shown line the index of the one it stands for, or None where the two differ."""
    if not shown:
        return [] if not got else None
    if shown[0].strip() == "...":
        for skip in range(len(got) + 1):
            rest = match(shown[1:], got[skip:], vary)
            if rest is not None:
                return [None] + [r if r is None else r + skip for r in rest]
        return None
    if not got or plain(shown[0], vary) != plain(got[0], vary):
        return None
    rest = match(shown[1:], got[1:], vary)
    return None if rest is None else [0] + [r if r is None else r + 1 for r in rest]


def key(line):
    words = [w for w in re.findall(r"[^\W\d]+", line) if w not in ("KiB", "MiB", "GiB")]
    return " ".join(words[:2]), len(line) - len(line.lstrip())


def rewrite(shown, got, vary, everything):
    """What a block should show: all that was printed, or, where it leaves lines out, those that begin as the shown
    ones."""
    places = match(shown, got, vary)
    if places is not None and not everything:
        return shown
    if places is not None:
        return [s if p is None else got[p] for s, p in zip(shown, places)]
    old = {plain(s, vary): s for s in shown}
    if not any(s.strip() == "..." for s in shown):
        return got if everything else [old.get(plain(g, vary), g) for g in got]
    out, at = [], 0
    for s in shown:
        near = next((i for i in range(at, len(got)) if key(got[i]) == key(s)), None)
        if s.strip() == "...":
            out.append(s)
        elif near is not None:
            out.append(old.get(plain(got[near], vary), got[near]))
            at = near + 1
    return out


class Page:
    def __init__(self, path, rnc):
        self.path, self.lines, self.failed, self.passed, self.skipped = path, open(path).read().split("\n"), 0, 0, []
        self.folder = tempfile.TemporaryDirectory()
        os.mkdir(os.path.join(self.folder.name, "bin"))
        os.symlink(os.path.abspath(rnc), os.path.join(self.folder.name, "bin", "rnc"))
        self.env = dict(
            os.environ,
            NO_COLOR="1",
            RNC_CACHE="off",
            PATH=os.path.join(self.folder.name, "bin") + ":" + os.environ["PATH"],
        )
        built = os.path.dirname(os.path.abspath(rnc))
        self.env.update(ROOT=os.getcwd(), C_INCLUDE_PATH=built + "/include", LIBRARY_PATH=built)
        sanitize = {"asan": "address,undefined", "ubsan": "undefined", "tsan": "thread"}.get(os.environ.get("MODE"))
        if sanitize:
            with open(os.path.join(self.folder.name, "bin", "cc"), "w") as f:
                f.write(f'#!/bin/sh\nexec gcc -fsanitize={sanitize} "$@"\n')
            os.chmod(f.name, 0o755)
        self.work = os.path.join(self.folder.name, "work")
        os.mkdir(self.work)

    def check(self, ok, what):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print(f"FAILED: {what}")

    def shell(self, command):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.work,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout.rstrip("\n").split("\n") if done.stdout.strip("\n") else []

    def console(self, block, bless):
        out = []
        for command, shown in commands(block):
            got = self.shell(command)
            new = rewrite(shown, got, block.vary, bless == "all")
            if bless:
                shown = new
            ok = match(shown, got, block.vary) is not None
            self.check(ok, f"README.md:{block.begin + 1}: $ {command}")
            if not ok:
                print(
                    "\n".join(
                        "    " + line for line in difflib.unified_diff(shown, got, "shown", "printed", n=1, lineterm="")
                    )
                )
            out += ["$ " + command] + shown
        block.lines = out

    def take(self, block, word, bless):
        for command in block.run:
            self.shell(command)
        if block.file:
            text = "\n".join(block.lines) + "\n"
            open(os.path.join(self.work, block.file), "w").write(text)
            if block.same:
                self.check(
                    open(block.same).read().endswith(text),
                    f"README.md:{block.begin + 1}: is not what {block.same} ends with",
                )
        if block.language:
            return
        shown = block.lines[0].startswith("$ ")
        if block.skip:
            self.skipped.append(block.skip)
        elif not shown:
            self.check(
                False, f"README.md:{block.begin + 1}: a block that nothing checks (begin it with '$ ', or mark it)"
            )
        elif word in "\n".join(block.lines):
            self.console(block, bless)

    def known(self):
        """Every command and option that the page names is in the help."""
        listed = "\n".join(self.shell("rnc help"))
        names = ["help"] + re.findall(r"^  ([a-z]+)  ", listed, re.M)
        options = {"--help"} | set(
            re.findall(r"--[a-z][a-z-]*", "\n".join(self.shell("; ".join(f"rnc {n} --help" for n in names))))
        )
        text = re.sub(r"```.*?```", "", "\n".join(self.lines), flags=re.S)
        for code in re.findall(r"`([^`\n]+)`", text):
            for name in re.findall(r"\brnc ([a-z]+)", code):
                self.check(name in names, f"README.md: `{code}`: rnc has no command '{name}'")
            if code.startswith(("rnc ", "--")):
                for o in re.findall(r"--[a-z][a-z-]*", code):
                    self.check(o in options, f"README.md: `{code}`: no help knows {o}")

    def rebuilt(self, found):
        lines = list(self.lines)
        for b in reversed(found):
            end = lines.index("```", b.begin)
            lines[b.begin : end] = b.lines
        return "\n".join(lines)


def main():
    word, bless = sys.argv[1] if len(sys.argv) > 1 else "", os.environ.get("BLESS", "")
    page = Page("README.md", os.environ["RNC"])
    found = blocks(page.lines)
    for b in found:
        page.take(b, word, bless)
    if not word:
        page.known()
    if bless:
        open(page.path, "w").write(page.rebuilt(found))
    for why in page.skipped:
        print(f"not run: {why}")
    print(f"{page.passed} passed, {page.failed} failed")
    return page.failed != 0


sys.exit(main())
