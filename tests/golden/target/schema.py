"""schema.py RNC: what `rnc schema` says of small specs beside what `rnc check` says: one line for each case, and what
they disagree in. JSON is YAML, so one
text does for both. What only names and shapes decide is check's alone: no such case stands here."""

import copy, json, re, subprocess, sys

rnc = sys.argv[1]
schema = json.loads(subprocess.check_output([rnc, "schema"]))
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}


def is_kind(x, kind):
    return isinstance(x, KINDS[kind]) and (kind == "boolean" or not isinstance(x, bool))


def keywords(s, x):
    """Draft 2020-12, as far as the schema uses it: whether each keyword holds."""
    number = is_kind(x, "number")
    for key, want in s.items():
        if key == "$ref":
            yield valid(schema["$defs"][want.split("/")[-1]], x)
        elif key == "type":
            yield any(is_kind(x, kind) for kind in ([want] if isinstance(want, str) else want))
        elif key == "enum":
            yield x in want
        elif key == "const":
            yield x == want
        elif key == "anyOf":
            yield any(valid(one, x) for one in want)
        elif key == "not":
            yield not valid(want, x)
        elif key == "pattern":
            yield not isinstance(x, str) or re.search(want, x) is not None
        elif key == "minimum":
            yield not number or x >= want
        elif key == "maximum":
            yield not number or x <= want
        elif key == "required":
            yield not isinstance(x, dict) or all(k in x for k in want)
        elif key in ("minItems", "minProperties"):
            yield not isinstance(x, list if key == "minItems" else dict) or len(x) >= want
        elif key in ("maxItems", "maxProperties"):
            yield not isinstance(x, list if key == "maxItems" else dict) or len(x) <= want
        elif key == "items":
            yield not isinstance(x, list) or all(valid(want, item) for item in x)
        elif key == "properties":
            yield not isinstance(x, dict) or all(valid(want[k], v) for k, v in x.items() if k in want)
        elif key == "additionalProperties" and isinstance(x, dict):
            rest = [v for k, v in x.items() if k not in s.get("properties", {})]
            yield not rest if want is False else all(valid(want, v) for v in rest)
        elif key not in ("description", "title", "$schema", "$defs", "additionalProperties"):
            raise SystemExit(f"the schema uses '{key}', which this does not know")


def valid(s, x):
    return s is True or all(keywords(s, x))


def sound(spec):
    text = re.sub(r'"([$]\w+)"', r"\1", json.dumps(spec))  # what is quoted is no parameter
    return subprocess.run([rnc, "check", "-"], input=text.encode(), capture_output=True).returncode == 0


good = {
    "rnc": 1,
    "model": "m",
    "inputs": {"image": {"shape": [3, 8, 8]}},
    "targets": {"label": {"type": "class"}},
    "layers": [
        {"conv2d": {"name": "c", "out": 4, "kernel": 3}},
        "global_avg_pool",
        {"dense": {"name": "fc", "out": 2, "as": "y"}},
    ],
    "outputs": ["y"],
    "loss": [{"softmax_cross_entropy": {"from": "y", "target": "label"}}],
    "train": {"batch": 4, "optimizer": {"sgd": {"lr": 0.1}}},
}
map_ = {
    "targets.label": {"type": "class_map", "shape": [6, 6]},
    "layers": [{"conv2d": {"name": "c", "out": 2, "kernel": 3, "as": "y"}}],
}
number = {
    "targets.label": {"type": "tensor", "shape": [2]},
    "loss": [{"mean_squared_error": {"from": "y", "target": "label"}}],
}
binary = {
    "targets.label": {"type": "binary", "positive": "ill"},
    "loss": [{"binary_cross_entropy": {"from": "y", "target": "label"}}],
    "layers.2.dense.out": 1,
}
CASES = [  # (is it sound?, what differs from the good spec)
    (True, {}),
    (True, map_),
    (True, number),
    (True, binary),
    (True, {"inputs.image.shape": [3, "$size", "$size"], "params": {"size": 8}}),
    (True, {**binary, "targets.label": {"type": "multi_label", "shape": [1]}}),
    (
        True,
        {
            **binary,
            "targets.label": {"type": "binary_map", "shape": [6, 6]},
            "layers": [{"conv2d": {"name": "c", "out": 1, "kernel": 3, "as": "y"}}],
        },
    ),
    (False, {"inputs.image.shape": [3, 8]}),
    (False, {"inputs.image.shape": []}),
    (False, {"inputs.image.shape": [3, 8, 8, 8]}),
    (False, {"inputs.image.shape": [3, 8, 0]}),
    (False, {"inputs.image.shape": [3, 8, -8]}),
    (False, {"inputs.image.shape": 3}),
    (False, {"inputs.image.shape": [3, 8, 1.5]}),
    (False, {"inputs.image.size": 3}),
    (False, {"inputs.image": {}}),
    (False, {"inputs": {}}),
    (False, {"targets.label.type": "klass"}),
    (False, {"targets.label": {}}),
    (False, {"targets.label.shape": [3]}),
    (False, {"targets.label.positive": "ill"}),
    (False, {"targets.label.ignore": -2}),
    (False, {"targets.label.size": 3}),
    (False, {**map_, "targets.label.shape": [6]}),
    (False, {**map_, "targets.label.shape": [1, 6, 6]}),
    (False, {**map_, "targets.label.shape": [6, 0]}),
    (False, {**number, "targets.label": {"type": "tensor"}}),
    (False, {**number, "targets.label.shape": []}),
    (False, {**number, "targets.label.shape": [1, 1, 1, 2]}),
    (False, {**number, "targets.label.ignore": 1}),
    (False, {**binary, "targets.label.shape": [1]}),
    (False, {**binary, "targets.label.ignore": 1}),
    (False, {**binary, "targets.label": {"type": "multi_label", "shape": [1, 1]}}),
    (False, {**binary, "targets.label": {"type": "binary_map", "shape": [1, 6, 6]}}),
    (False, {"train.batch": 0}),
    (False, {"train.epochs": -1}),
    (False, {"train.batch": 1.5}),
    (False, {"train.optimizer.sgd.lr": -1}),
    (False, {"train.optimizer.sgd.momentum": 2}),
    (False, {"train.optimizer": {"sgd": {}, "adam": {}}}),
    (False, {"train.seed": 1}),
    (False, {"layers.0.conv2d.out": 0}),
    (False, {"layers.0.conv2d.kernel": [3, 0]}),
    (False, {"layers.0.conv2d.kernel": [3, 3, 3]}),
    (False, {"layers.0.conv2d.strides": 2}),
    (False, {"layers.0.conv2d": {"out": 4}}),
    (False, {"outputs": []}),
    (False, {"layers": 3}),
    (False, {"loss.0.softmax_cross_entropy.label_smoothing": 2}),
    (False, {"loss.0.softmax_cross_entropy": {"from": "y"}}),
    (False, {"loss": [{"cross_entropy": {}}]}),
    (False, {"rnc": 0}),
    (False, {"modell": "m"}),
    (False, {"dtype": "f8"}),
    (False, {"metrics": ["acc"]}),
]


def change(spec, changes):
    for path, value in changes.items():
        at, keys = spec, path.split(".")
        for k in keys[:-1]:
            at = at[int(k) if isinstance(at, list) else k]
        at[int(keys[-1]) if isinstance(at, list) else keys[-1]] = copy.deepcopy(value)
    return spec


bad = 0
for want, changes in CASES:
    spec = change(copy.deepcopy(good), changes)
    says = {"check": sound(spec), "schema": valid(schema, spec)}
    for who, ok in says.items():
        if ok != want:
            bad += 1
            print(f"{who} {'takes' if ok else 'refuses'} {json.dumps(changes)}")
print(f"{len(CASES)} specs, {bad} disagreements")
