"""Every option of every command (rnc help --json) refuses bad values, with a message that names it: options.py FOLDER.
A number's bad values come from its range, a text's from the word that stands for its value in the help; an option
without
either fails."""

import json, math, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

rnc, folder = os.environ["rnc"], sys.argv[1]
spec, image, array, label, weights, ir = (
    os.path.join(folder, name) for name in ("t.yaml", "x.png", "x.npy", "label.npy", "w.safetensors", "t.ir")
)
# What stands for an argument in a command's usage, and what a command needs beside it and the option that is tried.
arguments = {"SPEC": [spec], "[SPEC]": [spec], "IMAGE": [image], "FILE.ir": [ir]}
needed = {
    "predict": {"weights": weights},
    "eval": {"weights": weights},
    "run": {"input": array, "output": os.path.join(folder, "y.npy")},
    "opt": {"passes": "fold"},
    "train": {"epochs": "1"},
}
train_only = {
    ("run", "grads"): {"train": None, "target": label},
    ("run", "target"): {"train": None},
    ("bench", "memory-budget"): {"mode": "train"},
    ("compile", "memory-budget"): {"train": None},
    ("plan", "memory-budget"): {"train": None},
}
# By what stands for the value in the help. A path is bad where a file is taken for a folder.
below = os.path.join(image, "x")
texts = {
    "FILE": [below],
    "PATH": [below],
    "DIR": [below],
    "FILE.svg": [below + ".svg"],
    "NAME=VALUE": ["nosuch=1", "size"],
    "FOLDER=CLASS": ["nosuch", "nosuch=x"],
    "PATH=VALUE": ["nosuch.key=1", "train.batch"],
    "NAME": ["nosuch"],
    "TYPE": ["f31"],
    "SIZE": ["lots", "-1MiB", "0MiB"],
    "RULE": ["nosuch"],
    "TRIPLE": ["vax-dec-ultrix"],
    "A,B": ["nosuch"],
    "[NAME=]FILE.npy": [below, "nosuch=" + array],
    "[NAME=]FILE": [below, "nosuch=" + array],
    "NAME=FILE.npy": ["nosuch=" + os.path.join(folder, "y.npy"), "y.npy"],
}


def bad_values(option):
    kind = option["kind"]
    if kind == "integer":
        return ["x", "1.5", "", str(option["min"] - 1), str(option["max"] + 1), "9" * 40]
    if kind in ("number", "time"):
        unit = "s" if kind == "time" else ""
        least = option.get("min", option.get("above"))
        below = least if "above" in option else least - 1
        return ["x", "nan", "inf", "", f"{below!r}{unit}", f"{option['max'] * 2!r}{unit}"] + (["3"] if unit else [])
    if kind == "word":
        return ["nosuch", ""]
    return texts.get(option.get("value"))


def complaint(command, option, value):
    """What is wrong with how the command takes the value, or None."""
    rest = needed.get(command["name"], {}) | train_only.get((command["name"], option["name"]), {})
    words = [rnc, command["name"], *command["arguments"]]
    for name, text in rest.items():
        if name != option["name"]:
            words.append(f"--{name}" if text is None else f"--{name}={text}")
    words.append(f"--{option['name']}={value}")
    p = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=folder, stdin=subprocess.DEVNULL)
    text = " ".join(words[1:])
    if p.returncode not in (1, 2):
        return f"{text}: exit {p.returncode}"
    if (
        "--" + option["name"] not in p.stderr
        and "-" + option.get("letter", "?") + " " not in p.stderr
        and (not value or value.split("=")[0] not in p.stderr)
    ):
        return f"{text}: neither the option nor the value is named:\n{p.stderr}"
    return None


def main():
    commands = json.loads(subprocess.run([rnc, "help", "--json"], capture_output=True, text=True).stdout)
    jobs, seen = [], set()
    for command in commands:
        command["arguments"] = [a for word in command["usage"].split() for a in arguments.get(word.rstrip("…."), [])][
            :2
        ]
        for option in command["options"]:
            if option["kind"] == "flag":
                jobs.append((command, option, "yes"))
                continue
            values = bad_values(option)
            if (
                not values
                or (option["kind"] == "integer" and option["min"] >= option["max"])
                or math.inf in (option.get("max"),)
            ):
                print(f"{command['name']} --{option['name']} {option.get('value')}: no bad value is known")
                continue
            # An option that several commands share is read by the same row: one value shows that it is there.
            row = json.dumps(option, sort_keys=True)
            jobs += [(command, option, value) for value in (values[:1] if row in seen else values)]
            seen.add(row)
    with ThreadPoolExecutor(4) as pool:
        wrong = [w for w in pool.map(lambda job: complaint(*job), jobs) if w]
    print("\n".join(wrong) or "every option refuses its bad values by name")
    print("many were tried" if len(jobs) > 150 else f"only {len(jobs)} were tried")


main()
