"""Compares what a page shows with what a command prints.

A line "..." or "…" stands for any lines, "…" within a line for any text. Times and rates, the number of threads and the
CPU's name always may differ; with "numbers vary" every number may."""

import re

TIME = re.compile(r"\d[\d.,]*(?= ?(?:s|ms|min|h|images/s|GFLOP/s|GB/s|threads?)\b)")
CPU = re.compile(
    r"(compiled for|for) (?:x86-64-v\d|[a-z]+rapids[a-z-]*|znver\d|skylake[a-z0-9-]*|icelake[a-z-]*|haswell|"
    r"broadwell|cascadelake|cooperlake|alderlake|raptorlake|zen\d|armv8-a)\b"
)
NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:e[+-]?\d+)?")


def any_lines(line):
    return line.strip() in ("...", "…")


def plain(line, vary):
    """The line without what may differ."""
    line = CPU.sub(r"\1 CPU", TIME.sub("#", line.rstrip()))
    if vary:
        line = NUMBER.sub("#", line)
    return re.sub("─+", "─", re.sub(" +", " ", line))


def same(shown, got, vary):
    shown, got = plain(shown, vary), plain(got, vary)
    if shown == got:
        return True
    return "…" in shown and re.fullmatch(".*?".join(map(re.escape, shown.split("…"))), got) is not None


def match(shown, got, vary):
    """For each shown line the index of the printed one, None for a "..."; None where the two differ."""
    if not shown:
        return [] if not got else None
    if any_lines(shown[0]):
        for skip in range(len(got) + 1):
            rest = match(shown[1:], got[skip:], vary)
            if rest is not None:
                return [None] + [r if r is None else r + skip for r in rest]
        return None
    if not got or not same(shown[0], got[0], vary):
        return None
    rest = match(shown[1:], got[1:], vary)
    return None if rest is None else [0] + [r if r is None else r + 1 for r in rest]


def key(line):
    """What a line is about: its first two words and its indentation."""
    words = [w for w in re.findall(r"[^\W\d]+", line) if w not in ("KiB", "MiB", "GiB")]
    return " ".join(words[:2]), len(line) - len(line.lstrip())


def rewrite(shown, got, vary, everything):
    """What a block should show: all that was printed, or, where it leaves lines out, the lines that begin as the shown
    ones. EVERYTHING: also what may differ."""
    places = match(shown, got, vary)
    if places is not None and not everything:
        return shown
    if places is not None:
        return [s if p is None or "…" in s else got[p] for s, p in zip(shown, places)]
    old = {plain(s, vary): s for s in shown}
    if not any(map(any_lines, shown)):
        return got if everything else [old.get(plain(g, vary), g) for g in got]
    out, at = [], 0
    for s in shown:
        near = next((i for i in range(at, len(got)) if key(got[i]) == key(s)), None)
        if any_lines(s):
            out.append(s)
        elif near is not None:
            out.append(old.get(plain(got[near], vary), got[near]))
            at = near + 1
    return out
