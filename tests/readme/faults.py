"""Shows that the checks of pages can fail: each of these pages has one fault, and the last two have none."""

import contextlib, io, os, sys, tempfile
import run

CASES = [
    ("another output", "```\n$ echo one\ntwo\n```\n", "$ echo one"),
    ("lines too many", "```\n$ echo one; echo two\none\n```\n", "$ echo one"),
    ("another text around …", "```\n$ echo one two\none …x\n```\n", "$ echo one two"),
    ("another number", "```\n$ echo 12 files\n13 files\n```\n", "$ echo 12"),
    ("an output with a language", "<!-- test: output echo b -->\n```c\na\n```\n", "$ echo b"),
    ("another file", "<!-- test: file = LICENSE -->\n```text\nno licence\n```\n", "is not what LICENSE ends with"),
    ("a block that shows no line", "```\n$ echo one\n…\n```\n", "$ echo one"),
    ("a setup that fails", "<!-- test: setup false -->\n```\n$ true\n```\n", "setup false"),
    ("nothing checks it", "```\nwords\n```\n", "nothing checks"),
    ("no such file", "[a](b.md)\n", "there is no /"),
    ("no such heading", "# One\n\n[a](#two)\n", "no such heading"),
    ("no such command", "`rnc fly x.yaml`\n", "no command 'fly'"),
    ("no such option", "`rnc train --fly`\n", "no help knows --fly"),
    ("a needed module is missing", "<!-- test: needs no_such_module -->\n```\n$ false\nx\n```\n", "SKIPPED"),
    (
        "what may differ",
        "<!-- test: numbers vary -->\n```\n$ echo 12 files, 3 ms; echo; echo x=1 y z\n"
        "13 files, 4 ms\n…\nx=2 … z\n```\n",
        "",
    ),
    (
        "headings and links",
        "# A `b`, c\n\n## A b c\n\n[one](#a-b-c-1) [two](ROOT/LICENSE) [three](https://x.y/z)\n",
        "",
    ),
]


def main():
    failed = 0
    for name, text, expected in CASES:
        with tempfile.NamedTemporaryFile("w", suffix=".md") as page, contextlib.redirect_stdout(io.StringIO()) as out:
            page.write(text.replace("ROOT", run.ROOT))
            page.flush()
            sys.argv = ["run.py", page.name]
            run.main()
        printed = out.getvalue()
        ok = expected in printed if expected else ", 0 failed" in printed and "FAILED" not in printed
        failed += not ok
        if not ok:
            print(f"FAILED: a page where {name}: expected '{expected}', printed:\n{printed}")
    print(f"{len(CASES) - failed} of {len(CASES)} faulty and faultless pages are told apart")
    return failed != 0


sys.exit(main())
