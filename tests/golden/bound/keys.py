"""Every key of the spec language (rnc schema) refuses bad values, with a message at its place: keys.py FOLDER."""

import copy, json, os, re, subprocess, sys

rnc, folder = os.environ["rnc"], sys.argv[1]
schema = json.loads(subprocess.run([rnc, "schema"], capture_output=True, text=True).stdout)
definitions = schema["$defs"]
MARK = "nosuch_bad"
HUGE = "-1000000000000000000000000000000"
base = {
    "rnc": 1,
    "model": "m",
    "params": {"p": {"default": 1}},
    "inputs": {"x": {"shape": [4, 8, 8]}},
    "targets": {"t": {"type": "class"}},
    "blocks": {"b": {"params": {"q": 1}, "layers": ["relu"]}},
    "shared": {"s": {"layers": ["relu"]}},
    "layers": [{"flatten": {}}, {"dense": {"name": "fc", "out": 4, "as": "y"}}],
    "outputs": ["y"],
    "loss": [{"softmax_cross_entropy": {"from": "y", "target": "t"}}],
    "train": {"batch": 1},
}


def variants(s):
    """The alternatives of a schema, references followed; what chooses by a parameter is left out."""
    while "$ref" in s:
        s = definitions[s["$ref"].rsplit("/", 1)[1]]
    for one in s.get("anyOf", [s]):
        if one is not s and ("$ref" in one or "anyOf" in one):
            yield from variants(one)
        elif one.get("required") != ["match"]:
            yield one


def sample(s):
    """A value that the schema takes."""
    one = next(v for v in variants(s) if "pattern" not in v)
    kinds = one.get("type", "string" if "enum" not in one else "enum")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        keys = one.get("required") or (list(one.get("properties", {}))[:1] if one.get("minProperties") else [])
        return {k: sample(one["properties"][k]) for k in keys}
    return {
        "enum": (one.get("enum") or [""])[0],
        "integer": 4,
        "number": 0.5,
        "boolean": True,
        "string": "t",
        "array": [1, 2],
    }[kind]


def bad_values(s):
    kinds = set()
    for v in variants(s):
        kinds |= set(v["type"]) if isinstance(v.get("type"), list) else {v.get("type", "enum")}
    number = kinds & {"integer", "number"}
    free = "string" in kinds and not any("pattern" in v for v in variants(s)) or not kinds - {"string", "null"}
    yield [[MARK]]
    if not free:
        yield MARK
    if number and not free:
        yield HUGE


def keys(s, path, put):
    """(path, spec with a bad value there) for every key below S. PUT: a whole spec with a value at PATH."""
    for one in variants(s):
        properties = one.get("properties", {})
        if one.get("maxProperties") == 1:
            for name, row in properties.items():
                yield from keys(row, path + [name], lambda v, name=name: put({name: v}))
            continue
        needed = {k: sample(properties[k]) for k in one.get("required", []) if k in properties}
        for name, row in properties.items():
            inner = lambda v, name=name: put({**needed, name: v})
            for bad in bad_values(row):
                yield path + [name], inner(bad)
            yield from keys(row, path + [name], inner)


def placed(*where):
    """A function that puts a value into the base at a place."""

    def put(value):
        doc = copy.deepcopy(base)
        at = doc
        for k in where[:-1]:
            at = at[k]
        at[where[-1]] = value
        return doc

    return put


def cases():
    properties = schema["properties"]
    for name, row in properties.items():
        for bad in bad_values(row):
            yield [name], placed(name)(bad)
    yield from keys(properties["train"], ["train"], placed("train"))
    for name in ("inputs", "targets"):
        row = properties[name].get("additionalProperties")
        yield from keys(row, [name, "x"], placed(name, "x" if name == "inputs" else "t"))
    layer = definitions["layer"]
    yield from keys(layer, ["layers"], lambda v: placed("layers")([v] + base["layers"]))
    yield from keys(definitions["loss"], ["loss"], lambda v: placed("loss")([v]))
    yield from keys(definitions["parameter"], ["params", "p"], placed("params", "p"))


def main():
    wrong, files, seen = [], {}, set()
    for path, doc in cases():
        text = json.dumps(doc, indent=1).replace(f'"{HUGE}"', HUGE)
        if (tuple(path), text) in seen:
            continue
        seen.add((tuple(path), text))
        file = os.path.join(folder, f"{len(files)}.yaml")
        open(file, "w").write(text)
        files[file] = (path, text)
    said = ""
    names = list(files)
    for i in range(0, len(names), 20):  # check stops at 100 errors
        p = subprocess.run([rnc, "check", *names[i : i + 20]], capture_output=True, text=True)
        if p.returncode not in (0, 1):
            wrong.append(f"exit {p.returncode}: {p.stderr[-500:]}")
        said += p.stdout + p.stderr
    places = {}
    for file, line in re.findall(r"^(.*?):(\d+):\d+: error: ", said, re.M):
        places.setdefault(file, []).append(int(line))
    for file, (path, text) in files.items():
        lines = text.split("\n")
        at = next(i for i, line in enumerate(lines, 1) if MARK in line or HUGE in line)
        if not any(at - 3 <= line <= at for line in places.get(file, [])):
            wrong.append(
                ".".join(path) + ": " + lines[at - 1].strip() + f": errors at {places.get(file)} instead of line {at}"
            )
    print("\n".join(wrong) or "every key refuses its bad values at their place")
    print("many were tried" if len(files) > 300 else f"only {len(files)} were tried")


main()
