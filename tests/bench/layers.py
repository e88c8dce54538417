"""Each convolution of a network in three directions: rnc's step, part by part, beside oneDNN. `layers.py FOLDER
THREADS SECONDS` is the oneDNN part."""

import json
import os
import statistics
import sys

import numpy as np

import models
import onednn
import report
import worker

DIRECTIONS = ("forward", "dgrad", "wgrad")
LIMIT = 1e-4


class Convolution:
    """One shape with random data, in oneDNN's own layouts."""

    def __init__(self, library, shape):
        self.lib, self.shape = library, shape
        random = np.random.default_rng(1)
        self.dims = {k: shape[k] for k in ("src", "weights", "dst")}
        self.plain = {k: random.standard_normal(d, np.float32) for k, d in self.dims.items()}
        self.any = {k: library.layout(d, "fp32") for k, d in self.dims.items()}
        self.window = [
            onednn.array(v) for v in (shape["stride"], [d - 1 for d in shape["dilation"]], shape["pad"], shape["pad"])
        ]
        self.forward = self.describe(
            "forward",
            onednn.TRAINING,
            onednn.DIRECT,
            self.any["src"],
            self.any["weights"],
            None,
            self.any["dst"],
            *self.window
        )

    def describe(self, direction, *args):
        return self.lib.make("convolution_%s_primitive_desc_create" % direction, self.lib.engine, *args, None)

    def problem(self, direction):
        """(description, what it reads, what it writes)"""
        a = self.any
        if direction == "forward":
            return self.forward, {"src": "src", "weights": "weights"}, ("dst", "dst")
        if direction == "dgrad":
            d = self.describe(
                "backward_data", onednn.DIRECT, a["src"], a["weights"], a["dst"], *self.window, self.forward
            )
            return d, {"diff_dst": "dst", "weights": "weights"}, ("diff_src", "src")
        d = self.describe(
            "backward_weights", onednn.DIRECT, a["src"], a["weights"], None, a["dst"], *self.window, self.forward
        )
        return d, {"src": "src", "diff_dst": "dst"}, ("diff_weights", "weights")

    def place(self, layout, what, given):
        """Memory in LAYOUT with the random values of WHAT if GIVEN; the buffer comes with it."""
        buffer = onednn.aligned(self.lib.size(layout))
        memory = self.lib.memory(layout, buffer)
        if given:
            self.copy(self.plain[what], what, layout, memory, True)
        return memory, buffer

    def copy(self, array, what, layout, memory, into):
        dims = self.dims[what]
        plain = self.lib.layout(dims, "fp32", "abcd")
        pair = (plain, self.lib.memory(plain, array)), (layout, memory)
        self.lib.execute(*self.lib.reorder(*(pair if into else pair[::-1])))
        self.lib.wait()
        return array

    def compute(self, direction):
        """A function that runs it once, and one that returns its result."""
        d, reads, (writes, kind) = self.problem(direction)
        memories = {k: self.place(self.lib.chosen(d, k), what, True) for k, what in reads.items()}
        layout = self.lib.chosen(d, writes)
        memories[writes] = self.place(layout, kind, False)
        step = self.lib.bind(d, **{k: m for k, (m, _) in memories.items()})

        def run():
            self.lib.execute(*step)
            self.lib.wait()

        return run, lambda: self.copy(np.empty(self.dims[kind], np.float32), kind, layout, memories[writes][0], False)

    def reference(self, direction):
        import torch

        x, w, dy = (torch.from_numpy(self.plain[k]) for k in ("src", "weights", "dst"))
        args = self.shape["stride"], self.shape["pad"], self.shape["dilation"]
        if direction == "forward":
            return torch.nn.functional.conv2d(x, w, None, *args).numpy()
        grad = (
            torch.nn.grad.conv2d_input(x.shape, w, dy, *args)
            if direction == "dgrad"
            else torch.nn.grad.conv2d_weight(x, w.shape, dy, *args)
        )
        return grad.numpy()

    def time(self, direction, seconds, threads, check):
        run, result = self.compute(direction)
        run()
        if check and not models.relative_error([result()], [self.reference(direction)]) <= LIMIT:
            raise SystemExit("oneDNN's %s of %s differs" % (direction, self.shape))
        return worker.measure(run, seconds, threads)


def key(shape):
    return json.dumps({k: v for k, v in shape.items() if k != "name"})


def distinct(folder):
    """[(a shape, the layers that have it)] of the convolutions that models.py listed."""
    with open(os.path.join(folder, "convolutions.json")) as f:
        shapes = json.load(f)
    groups = {}
    for s in shapes:
        groups.setdefault(key(s), []).append(s)
    return [(g[0], [s["name"] for s in g]) for g in groups.values()]


def ours(bench):
    """{(layer, direction): (ms, nominal FLOPs)} of a `rnc bench --mode train --per-layer`, transforms of weights
    included."""
    out = {}
    for node in bench["layers"]:
        operator, (name, _, weight) = node["operator"].split("+")[0], node["name"].partition(".weight.")
        direction = {"conv2d": "forward", "conv2d_dgrad": "dgrad", "conv2d_wgrad": "wgrad"}.get(operator)
        if "winograd" in weight:
            direction = "dgrad" if weight.endswith("_t") else "forward"
        if direction:
            ms, flops = out.get((name, direction), (0, 0))
            out[name, direction] = ms + node["median_ms"], flops + (node.get("gflops") or 0) * node["median_ms"] * 1e6
    return out


def compared(folder, rounds):
    """The lines of a table: ROUNDS holds (what `ours` gives, oneDNN's medians by shape and direction)."""
    lines = []
    for i, (shape, names) in enumerate(distinct(folder)):
        line = {"shape": shape, "layers": names}
        for d in DIRECTIONS:
            mine = [r[n, d] for r, _ in rounds for n in names if (n, d) in r]
            if mine:
                line[d] = {
                    "rnc_ms": statistics.median(m for m, _ in mine),
                    "onednn_ms": statistics.median(o[i][d]["median_ms"] for _, o in rounds),
                    "flops": mine[0][1],
                    "noisy": sum(o[i][d]["disturbed"] for _, o in rounds),
                }
        lines.append(line)
    return lines


def total(lines, direction):
    """All layers of a network: milliseconds of both."""
    found = [(len(l["layers"]), l[direction]) for l in lines if direction in l]
    return [sum(count * d[who] for count, d in found) for who in ("rnc_ms", "onednn_ms")]


def shape_text(shape):
    n, c, h, w = shape["src"]
    o, _, kh, kw = shape["weights"]
    return "%d→%d %d×%d/%d on %d×%d" % (c, o, kh, kw, shape["stride"][0], h, w)


def cell(mine, theirs):
    return "%s %s %.2f" % (report.ms(mine), report.ms(theirs), theirs / mine)


def write(folder, rows):
    """Tables of rnc's and oneDNN's ms with their ratio, and layers.json."""
    for r in rows:
        report.say("\n" + report.title(r) + ": ms of rnc, of oneDNN, and their ratio; each convolution of the step")
        cells = lambda l: [cell(l[d]["rnc_ms"], l[d]["onednn_ms"]) if d in l else "–" for d in DIRECTIONS]
        lines = [[shape_text(l["shape"]), str(len(l["layers"]))] + cells(l) for l in r["layers"]]
        report.table(
            ["", "layers", *DIRECTIONS], lines + [["all", ""] + [cell(*total(r["layers"], d)) for d in DIRECTIONS]]
        )
    path = os.path.join(folder, "layers.json")
    with open(path, "w") as f:
        json.dump({"machine": report.machine(), "rows": rows}, f, indent=1)
    report.say(os.path.relpath(path))


def main(folder, threads, seconds, check):
    library = onednn.Library()
    out = []
    for shape, _ in distinct(folder):
        convolution = Convolution(library, shape)
        out.append({d: convolution.time(d, float(seconds), int(threads), check == "check") for d in DIRECTIONS})
    print(json.dumps(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
