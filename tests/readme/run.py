"""Checks the Markdown pages of the repository: see README.md beside this file."""

import difflib, os, re, subprocess, sys, tempfile
from compare import any_lines, match, rewrite
from markdown import anchors, blocks, links, prose

ROOT = os.getcwd()


def sanitized():
    """The compiler's options for programs that link the runtime library of this build."""
    names = {"asan": "address,undefined", "ubsan": "undefined", "tsan": "thread"}.get(os.environ.get("MODE"))
    return f"-fsanitize={names}" if names else ""


def folder(rnc):
    """A folder with bin/rnc and an empty work/, and the environment of the commands."""
    top = tempfile.TemporaryDirectory()
    bin, built = os.path.join(top.name, "bin"), os.path.dirname(os.path.abspath(rnc))
    os.mkdir(bin)
    os.mkdir(os.path.join(top.name, "work"))
    os.symlink(os.path.abspath(rnc), os.path.join(bin, "rnc"))
    if sanitized():
        with open(os.path.join(bin, "cc"), "w") as f:
            f.write(f'#!/bin/sh\nexec gcc {sanitized()} "$@"\n')
        os.chmod(f.name, 0o755)
    peers = os.path.join(os.environ.get("RNC_PEERS_VENV", os.path.join(built, "peers")), "bin")
    env = dict(
        os.environ,
        NO_COLOR="1",
        RNC_CACHE="off",
        ROOT=ROOT,
        PATH=":".join([bin, peers, os.environ["PATH"]]),
        C_INCLUDE_PATH=built + "/include",
        LIBRARY_PATH=built,
    )
    return top, env


class Page:
    def __init__(self, path, rnc):
        self.path, self.failed, self.passed, self.skipped = path, 0, 0, set()
        with open(path) as f:
            self.lines = f.read().split("\n")
        self.found = blocks(self.lines, path)
        self.text = prose(self.lines, self.found)
        self.top, self.env = folder(rnc)
        self.work = os.path.join(self.top.name, "work")

    def check(self, ok, what):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print(f"FAILED: {self.path}{what}")

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

    def compared(self, block, command, shown, bless):
        """Runs COMMAND; the lines that the block should show."""
        got = self.shell(command)
        if bless:
            shown = rewrite(shown, got, block.vary, bless == "all")
        ok = match(shown, got, block.vary) is not None and not (shown and all(map(any_lines, shown)))
        self.check(ok, f":{block.begin + 1}: $ {command}")
        if not ok:
            for line in difflib.unified_diff(shown, got, "shown", "printed", n=1, lineterm=""):
                print("    " + line)
            print(f"    alone: RNC={os.environ['RNC']} tests/readme/run.sh {self.path}")
        return shown

    def console(self, block, bless):
        commands, out = [], []
        for line in block.lines:
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        for command, shown in commands:
            out += ["$ " + command] + self.compared(block, command, shown, bless)
        block.lines = out

    def missing(self, block):
        return [
            m
            for m in block.needs
            if subprocess.run(["python3", "-c", f"import {m}"], env=self.env, stderr=subprocess.DEVNULL).returncode
        ]

    def take(self, block, words, bless):
        missing = self.missing(block)
        if missing:
            return self.skipped.add(f"{self.path}: its blocks that need {', '.join(missing)}")
        for command in block.setup:
            self.check(self.shell(command + " && echo done")[-1:] == ["done"], f":{block.begin + 1}: setup {command}")
        text = "\n".join(block.lines) + "\n"
        if block.file:
            with open(os.path.join(self.work, block.file), "w") as f:
                f.write(text)
        if block.same:
            with open(block.same) as f:
                ok = f.read().endswith(text)
            self.check(ok, f":{block.begin + 1}: is not what {block.same} ends with")
        wanted = not words or any(w in text + str(block.output) for w in words)
        if block.skip:
            print(f"not run: {self.path}:{block.begin + 1}: {block.skip}")
        elif block.output and wanted:
            block.lines = self.compared(block, block.output, block.lines, bless)
        elif block.console and wanted:
            self.console(block, bless)
        elif not (block.language or block.console or block.file or block.same or block.output):
            self.check(
                False,
                f":{block.begin + 1}: a block that nothing checks: begin it with '$ ', mark it, or name "
                "its language",
            )

    def known(self, names, options):
        """Every command and option of rnc that the page names is in the help."""
        ours = not self.path.startswith(("tests/", ".github/"))
        for at, line in self.text:
            for code in re.findall(r"`([^`\n]+)`", line):
                for name in re.findall(r"^rnc ([a-z]+)\b", code):
                    self.check(name in names, f":{at}: `{code}`: rnc has no command '{name}'")
                if code.startswith("rnc ") or ours and code.startswith("--"):
                    for o in re.findall(r"--[a-z][a-z-]*", code):
                        self.check(o in options, f":{at}: `{code}`: no help knows {o}")

    def linked(self):
        """Every relative link leads to a file, and its #anchor to a heading."""
        for at, target in links(self.text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(self.path), name)) if name else self.path
            self.check(os.path.exists(path), f":{at}: {target}: there is no {path}")
            if not anchor or not path.endswith(".md") or not os.path.exists(path):
                continue
            with open(path) as f:
                lines = f.read().split("\n")
            self.check(anchor in anchors(prose(lines, blocks(lines, path))), f":{at}: {target}: no such heading")

    def write(self):
        lines = list(self.lines)
        for b in reversed(self.found):
            lines[b.begin : b.begin + b.length] = b.lines
        with open(self.path, "w") as f:
            f.write("\n".join(lines))


def help_of(page):
    """The commands and the options of rnc."""
    names = ["help"] + re.findall(r"^  ([a-z]+)  ", "\n".join(page.shell("rnc help")), re.M)
    text = "\n".join(page.shell("; ".join(f"rnc {n} --help" for n in names)))
    return names, {"--help"} | set(re.findall(r"--[a-z][a-z-]*", text))


def pages():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], capture_output=True, text=True)
    return [p for p in listed.stdout.split() if os.path.exists(p)]


def main():
    given, words = [a for a in sys.argv[1:] if a.endswith(".md")], [a for a in sys.argv[1:] if not a.endswith(".md")]
    bless, rnc, known = os.environ.get("BLESS", ""), os.environ["RNC"], None
    passed = failed = 0
    for path in given or pages():
        page = Page(path, rnc)
        known = known or help_of(page)
        for b in page.found:
            page.take(b, words, bless)
        if not words:
            page.known(*known)
            page.linked()
        if bless:
            page.write()
        for why in sorted(page.skipped):
            print(f"SKIPPED {why}")
        passed, failed = passed + page.passed, failed + page.failed
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
