"""Tables, JSON and chart of a comparison."""

import datetime
import json
import os

import chart

MODES = {"infer": "inference", "train": "training step"}
NAMES = {
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet20": "ResNet-20",
    "unet": "U-Net",
    "retinanet": "RetinaNet",
}


def say(text):
    print(text, flush=True)


def title(row):
    name = "%s %s, batch %d, %d thread%s" % (
        NAMES[row["model"]],
        MODES[row["mode"]],
        row["batch"],
        row["threads"],
        "s" * (row["threads"] > 1),
    )
    return name + ", bf16" * (row["dtype"] == "bf16")


def ms(value):
    return "%.*f" % (max(0, 3 - len("%d" % value)), value)


def table(head, rows):
    widths = [max(len(r[i]) for r in [head] + rows) for i in range(len(head))]
    for r in [head] + rows:
        say("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())
    say("")


def families_of(rows):
    """Those that have a result, in the order of their first."""
    return list(dict.fromkeys(p["family"] for r in rows for p in r["peers"].values()))


def noisy(row):
    """How many of the rounds were disturbed by other programs."""
    everyone = [row["rnc"]] * bool(row["rnc"]) + list(row["peers"].values())
    return "%d of %d" % (sum(p["disturbed"] for p in everyone), sum(len(p["rounds_ms"]) for p in everyone))


def times(rows, families):
    say("\nMedian ms, and how many times the fastest peer's time is rnc's")
    lines = []
    for r in rows:
        cells = [ms(r["rnc"]["median_ms"]) if r["rnc"] else "–"]
        cells += [ms(r["peers"][r["families"][f]]["median_ms"]) if f in r["families"] else "–" for f in families]
        lines.append(
            [title(r)] + cells + [r.get("fastest_peer", "–"), "%.2f" % r["ratio"] if "ratio" in r else "–", noisy(r)]
        )
    table(["", "rnc"] + families + ["fastest peer", "ratio", "noisy"], lines)


def smallest(row, family):
    """(total, increment) of the variant of a family that takes the least beyond its libraries."""
    found = [(p["rss_increment_bytes"], p["rss_peak_bytes"]) for p in row["peers"].values() if p["family"] == family]
    return min(found)[::-1] if found else None


def memory(rows, families):
    say(
        "Peak resident MiB of a fresh process: in all, and more than when it had only loaded its libraries "
        "(the smallest variant of each peer)"
    )
    mib = lambda pair: "%.0f, %.0f" % tuple(b / 2**20 for b in pair) if pair else "–"
    lines = []
    for r in rows:
        ours, peers = [None, None], [smallest(r, f) for f in families]
        if r["rnc"]:
            ours = [(r["rnc"]["rss_peak" + k], r["rnc"]["rss_increment" + k]) for k in ("_bytes", "_cold_bytes")]
        ratios = [
            (
                "%.2f, %.2f" % tuple(ours[0][i] / min(p[i] for p in peers if p) for i in (0, 1))
                if ours[0] and any(peers)
                else "–"
            )
        ]
        lines.append([title(r)] + [mib(p) for p in ours + peers] + ratios)
    table(["", "rnc", "rnc compiling"] + families + ["of the smallest peer"], lines)


def machine():
    name = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": name,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release,
        "date": datetime.date.today().isoformat(),
    }


def merged(paths):
    """One result of several files; of rows with the same work the last one counts."""
    rows, out = {}, {}
    for path in paths:
        with open(path) as f:
            out = json.load(f)
        for r in out["rows"]:
            rows[tuple(r[k] for k in ("model", "mode", "dtype", "batch", "threads", "size"))] = r
    return dict(out, rows=list(rows.values()))


def write(folder, name, results):
    """Prints the tables of RESULTS and writes NAME.json and NAME.svg."""
    rows, base = results["rows"], os.path.join(folder, name)
    times(rows, families_of(rows))
    memory(rows, families_of(rows))
    with open(base + ".json", "w") as f:
        json.dump(results, f, indent=1)
    with open(base + ".svg", "w") as f:
        f.write(chart.svg(rows, results["machine"]))
    say("%s.json, %s.svg" % (os.path.relpath(base), os.path.relpath(base)))
