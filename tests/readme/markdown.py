"""Reads a Markdown page: its fenced blocks with the marks before them, its headings' anchors, its links."""

import re

MARK = re.compile(r"<!-- test: (.*) -->")
FENCE = re.compile(r"(`{3,})(.*)")


class Block:
    """A fenced block. BEGIN is the index of its first line, LENGTH how many the page has."""

    def __init__(self, begin, language):
        self.begin, self.language, self.lines, self.length = begin, language, [], 0
        self.file = self.same = self.skip = self.output = None
        self.setup, self.needs, self.vary = [], [], False

    @property
    def console(self):
        return bool(self.lines) and self.lines[0].startswith("$ ")

    def mark(self, text, page):
        word, _, rest = text.partition(" ")
        if word == "file":
            self.file, _, self.same = (s.strip() for s in rest.partition("="))
        elif word == "setup":
            self.setup.append(rest)
        elif word == "output":
            self.output = rest
        elif word == "needs":
            self.needs += rest.split()
        elif text == "numbers vary":
            self.vary = True
        elif text.startswith("not run: "):
            self.skip = text[9:]
        else:
            raise SystemExit(f"{page}:{self.begin}: no such mark: test: {text}")


def blocks(lines, page):
    found, marks, block, fence = [], [], None, None
    for at, line in enumerate(lines):
        mark, begin = MARK.fullmatch(line), FENCE.fullmatch(line)
        if block is not None and line.startswith(fence) and not line.strip("`"):
            block.length = at - block.begin
            found.append(block)
            block = None
        elif block is not None:
            block.lines.append(line)
        elif mark:
            marks.append(mark[1])
        elif begin:
            fence, block = begin[1], Block(at + 1, begin[2].strip())
            for m in marks:
                block.mark(m, page)
            marks = []
    if block is not None:
        raise SystemExit(f"{page}:{block.begin}: a block without an end")
    if marks:
        raise SystemExit(f"{page}: no block follows the mark: test: {marks[0]}")
    return found


def prose(lines, found):
    """[(line number, text)] outside the blocks."""
    inside = {i for b in found for i in range(b.begin - 1, b.begin + b.length + 1)}
    return [(i + 1, line) for i, line in enumerate(lines) if i not in inside and not line.startswith("    ")]


def anchors(text):
    """The anchors of the headings, as GitHub makes them."""
    seen, out = {}, set()
    for _, line in text:
        heading = re.fullmatch(r"#{1,6} +(.*?)(?: #+)?", line)
        if not heading:
            continue
        name = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
        name = re.sub(r"[^\w\- ]", "", name).replace(" ", "-")
        n = seen[name] = seen.get(name, -1) + 1
        out.add(f"{name}-{n}" if n else name)
    return out


def links(text):
    """[(line number, target)] of links and pictures, without those in code."""
    out = []
    for at, line in text:
        line = re.sub(r"`[^`]*`", "", line)
        for target in re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", line):
            out.append((at, target))
        for target in re.findall(r"^\[[^]]+\]: +(\S+)", line):
            out.append((at, target))
        for target in re.findall(r"(?:src|href)=\"([^\"]+)\"", line):
            out.append((at, target))
    return out
