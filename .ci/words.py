"""words.py GLOSSARY FILE…: where comments and pages use a word that the glossary replaces.

The glossary is the table below "## Glossary": term | meaning | not. The third column holds regular expressions in
backticks. In C files comments are searched, in pages everything but code.
"""

import re, sys


def rules(path):
    """(expression, term to use) of each backticked expression."""
    table = open(path, encoding="utf-8").read().split("\n## Glossary\n", 1)
    if len(table) < 2:
        sys.exit(f"{path}: no section '## Glossary'")
    found = []
    for line in table[1].split("\n## ", 1)[0].splitlines():
        cells = line.split(" | ")
        if line.startswith("| ") and len(cells) == 3:
            for e in re.findall(r"`([^`]+)`", cells[2]):
                found.append((re.compile(e.replace("\\|", "|"), re.I), cells[0][2:]))
    return found or sys.exit(f"{path}: the glossary forbids nothing")


def blank(text):
    """TEXT as blanks, of as many lines."""
    return re.sub(r"[^\n]", " ", text)


def prose(path):
    text = open(path, encoding="utf-8").read()
    if path.endswith(".md"):
        text = re.sub(r"^```.*?^```", lambda m: blank(m[0]), text, flags=re.S | re.M)
        return re.sub(r"`[^`\n]*`", lambda m: blank(m[0]), text)
    token = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(/\*.*?\*/|//[^\n]*)'
    out, at = [], 0
    for m in re.finditer(token, text, re.S):
        out += [blank(text[at : m.start()]), m[0] if m[1] else blank(m[0])]
        at = m.end()
    return "".join(out) + blank(text[at:])


def main():
    forbidden = rules(sys.argv[1])
    for path in sys.argv[2:]:
        for number, line in enumerate(prose(path).splitlines(), 1):
            for expression, term in forbidden:
                m = expression.search(line)
                if m:
                    print(f'{path}:{number}: "{m[0]}": write "{term}" (glossary of {sys.argv[1]})')


main()
