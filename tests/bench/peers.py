"""rnc beside its peers: the same models, weights, images and threads, each in turn, in one run. See README.md."""
import argparse
import datetime
import importlib.util
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import zlib

import numpy as np

import chart
import models
import worker

HERE = os.path.dirname(os.path.abspath(__file__))
# Relative errors. A ReLU whose input is zero but for rounding passes a gradient or does not; one such element among 100,000 of a layer moves all
# gradients before it by 0.3 %, so those of the last layer, which needs the whole forward pass right, have the sharp limit.
LIMITS = {"infer": {"outputs": 1e-4}, "train": {"last layer's gradients": 1e-4, "all gradients": 2e-2}}
# A variant so much slower than its family's best (PyTorch eager beside compiled) takes no more rounds after the second.
SLOW = 1.3
# The optimiser of the training rows, in every spec.
SGD = ["--set", "train.optimizer={sgd: {lr: 0.1, momentum: 0.9, weight_decay: 1e-4}}"]


class Refused(Exception):
    pass


def environment(threads):
    count = str(threads)
    env = dict(os.environ, OMP_NUM_THREADS=count, MKL_NUM_THREADS=count, TORCHINDUCTOR_COMPILE_THREADS="1", PYTHONWARNINGS="ignore")
    env.pop("PYTHONPATH", None)
    return env


class Peer:
    """A peer's process. It is stopped (SIGSTOP) whenever it is not its turn, so that no pool of waiting threads takes the others' time."""

    def __init__(self, name, row, folder, log, limit):
        self.name, self.family, self.rounds = name, worker.PEERS[name][0], []
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "worker.py"), name, folder, row["model"], str(row["threads"]), row["mode"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment(row["threads"]), start_new_session=True)
        self.buffer = b""
        try:
            self.about = self.answer(limit)
            self.signal(signal.SIGSTOP)
            got = np.load(os.path.join(folder, name + ".npz"))
            self.errors = compare([got["arr_%d" % i] for i in range(len(got.files))], folder, row["mode"])
        except BaseException:
            self.close()
            raise

    def signal(self, which):
        try:
            os.killpg(self.process.pid, which)
        except ProcessLookupError:
            pass

    def answer(self, limit):
        end = datetime.datetime.now() + datetime.timedelta(seconds=limit)
        while b"\n" not in self.buffer:
            left = (end - datetime.datetime.now()).total_seconds()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Refused("not ready within %d s" % limit)
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise Refused("its process died (see peers.log)")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        message = json.loads(line)
        if "error" in message:
            raise Refused(message["error"])
        return message

    def turn(self, seconds):
        self.signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps({"seconds": seconds}).encode() + b"\n")
        self.process.stdin.flush()
        self.rounds.append(self.answer(600 + 10 * seconds))
        self.signal(signal.SIGSTOP)

    def close(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def result(self):
        idle, peak = self.about["rss_idle"], self.about["rss_peak"]
        return {"family": self.family, "version": self.about["version"], "errors": self.errors, "median_ms": median(self.rounds),
                "rounds_ms": [r["median_ms"] for r in self.rounds], "disturbed": sum(r["disturbed"] for r in self.rounds),
                "rss_idle_bytes": idle, "rss_peak_bytes": peak, "rss_increment_bytes": max(peak - idle, 0)}


class Rnc:
    """`rnc bench`, a process each time; it measures from the caller's buffers too, and drops disturbed runs by the same rule."""

    def __init__(self, binary, row, folder, log):
        self.binary, self.row, self.folder, self.log, self.rounds = binary, row, folder, log, []
        self.common = [row["model"], "--weights", os.path.join(folder, "weights.safetensors"), "--threads", str(row["threads"]), "-p", "size=%d" % row["size"]]
        self.version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split(",")[0].removeprefix("rnc ")
        self.errors = compare(self.check(), folder, row["mode"])

    def call(self, *args):
        p = subprocess.run([self.binary, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log.write(p.stderr)
        self.log.flush()
        if p.returncode:
            raise Refused("rnc %s: %s" % (args[0], (p.stderr.strip().splitlines() or ["exit status %d" % p.returncode])[0]))
        return p.stdout

    def check(self):
        at = lambda file: os.path.join(self.folder, file)
        run = ["run", *self.common, "--input", at("x.npy")]
        if self.row["mode"] == "train":
            self.call(*run, "--train", "--target", at("target.npy"), "--grads", at("grads.safetensors"))
            grads = models.read_safetensors(at("grads.safetensors"))
            return [grads[name] for name in np.load(at("reference.npz")).files]
        names = models.MODELS[self.row["model"]][1]
        self.call(*run, *[a for n in names for a in ("--output", "%s=%s" % (n, at(n + ".npy")))])
        return [np.load(at(n + ".npy")) for n in names]

    def turn(self, seconds):
        train = SGD if self.row["mode"] == "train" else []
        self.rounds.append(json.loads(self.call("bench", *self.common, "--batch", str(self.row["batch"]), "--mode", self.row["mode"], "--json",
                                                "--seconds", str(seconds), *train)))

    def result(self):
        last = self.rounds[-1]
        return {"family": "rnc", "version": self.version, "errors": self.errors, "median_ms": median(self.rounds),
                "rounds_ms": [r["median_ms"] for r in self.rounds], "disturbed": sum(r["disturbed"] for r in self.rounds),
                "gflops": statistics.median(r["gflops"] for r in self.rounds), "executed_gflops": statistics.median(r["executed_gflops"] for r in self.rounds),
                "peak_gflops": statistics.median(r["peak_gflops"] for r in self.rounds),
                # What a step needs is planned to the byte; the process's own peak is that of compiling.
                "rss_peak_bytes": last["peak_rss_bytes"], "rss_increment_bytes": last["planned_bytes"] + last["state_bytes"]}


def median(rounds):
    """Of the rounds that were not disturbed, if there are any."""
    return statistics.median([r["median_ms"] for r in rounds if not r["disturbed"]] or [r["median_ms"] for r in rounds])


def reference(folder, mode):
    if mode == "train":
        z = np.load(os.path.join(folder, "reference.npz"))
        return [z[name] for name in z.files]
    count = sum(f.startswith("reference") for f in os.listdir(folder))
    return [np.load(os.path.join(folder, "reference%d.npy" % i)) for i in range(count)]


def compare(got, folder, mode):
    """The relative errors by what they are of; refuses what is beyond its limit."""
    want = reference(folder, mode)
    if mode == "infer":
        errors = {"outputs": models.relative_error(got, want)}
    else:  # the last two parameters are the last layer's weights and bias
        errors = {"last layer's gradients": models.relative_error(got[-2:], want[-2:]), "all gradients": models.relative_error(got, want)}
    if not all(errors[k] <= limit for k, limit in LIMITS[mode].items()):
        raise Refused("no figures, the result differs: %s" % error_text(errors))
    return errors


def error_text(errors):
    return "relative error of " + ", ".join("%s %.1e" % e for e in errors.items())


def say(text):
    print(text, flush=True)


def helper(log, *args):
    p = subprocess.run([sys.executable, os.path.join(HERE, "models.py"), *args], stdout=log, stderr=log, env=environment(len(os.sched_getaffinity(0))))
    if p.returncode:
        raise Refused("models.py %s failed (see peers.log)" % args[0])


def prepare(row, folder, log):
    """Weights, images, reference and the ONNX file of a row: those of a row before it, where only the threads differ."""
    stamp = os.path.join(folder, "row.json")
    with open(os.path.join(HERE, "models.py"), "rb") as f:
        same = {k: row[k] for k in ("model", "batch", "size", "mode")} | {"models.py": zlib.crc32(f.read())}
    if os.path.exists(stamp):
        with open(stamp) as f:
            if json.load(f) == same:
                return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    helper(log, folder, row["model"], str(row["batch"]), str(row["size"]), row["mode"])
    if row["mode"] == "infer":
        try:
            helper(log, "onnx", folder, row["model"])
        except Refused as e:
            say("  ONNX: %s" % e)
    with open(stamp, "w") as f:
        json.dump(same, f)


def start_peers(row, options, folder, log, peers):
    """Appends to PEERS those that could be started and are right; returns why the others are not there."""
    failed = {}
    for name in options.peers:
        family, module, modes = worker.PEERS[name]
        if row["mode"] not in modes or importlib.util.find_spec(module) is None:
            continue
        if name in worker.NEEDS_ONNX and not os.path.exists(os.path.join(folder, "model.onnx")):
            failed[name] = "no ONNX file"
            continue
        try:
            peers.append(Peer(name, row, folder, log, options.limit))
            say("  %-20s %-18s %s" % (name, peers[-1].about["version"], error_text(peers[-1].errors)))
        except Refused as e:
            failed[name] = str(e)
            say("  %-20s left out: %s" % (name, e))
    return failed


def alternate(rnc, peers, options):
    """Round by round, each for a second; the order turns, so that nobody is always next to the same."""
    for i in range(options.rounds):
        best = {}
        for p in peers:
            if p.rounds:
                best[p.family] = min(best.get(p.family, np.inf), median(p.rounds))
        turns = [rnc] + [p for p in peers if i < 2 or median(p.rounds) <= SLOW * best[p.family]]
        for t in turns[i % len(turns):] + turns[: i % len(turns)]:
            t.turn(options.seconds)


def run_row(row, options, log):
    say("%(model)s, %(mode)s, batch %(batch)d, %(threads)d thread(s), %(size)d × %(size)d" % row)
    folder = os.path.join(options.out, "work", "%(model)s-%(mode)s-%(batch)d" % row)
    prepare(row, folder, log)
    rnc = Rnc(options.rnc, row, folder, log)
    say("  %-20s %-18s %s" % ("rnc", rnc.version, error_text(rnc.errors)))
    peers = []
    try:
        failed = start_peers(row, options, folder, log, peers)
        row["load_before"] = os.getloadavg()[0]
        alternate(rnc, peers, options)
        row["load_after"] = os.getloadavg()[0]
    finally:
        for p in peers:
            p.close()
    row["rnc"], row["peers"], row["left_out"] = rnc.result(), {p.name: p.result() for p in peers}, failed
    row["families"] = {}
    for name, p in row["peers"].items():
        if p["family"] not in row["families"] or p["median_ms"] < row["peers"][row["families"][p["family"]]]["median_ms"]:
            row["families"][p["family"]] = name
    if peers:
        row["fastest_peer"] = min(row["peers"], key=lambda n: row["peers"][n]["median_ms"])
        row["ratio"] = row["peers"][row["fastest_peer"]]["median_ms"] / row["rnc"]["median_ms"]
    return row


def ms(value):
    return "%.*f" % (max(0, 2 - len("%d" % value) + 1), value)


def print_table(head, rows):
    widths = [max(len(r[i]) for r in [head] + rows) for i in range(len(head))]
    for r in [head] + rows:
        say("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())
    say("")


def print_tables(rows):
    families = list(dict.fromkeys(f for f, _, _ in worker.PEERS.values()))
    families = [f for f in families if any(f in r["families"] for r in rows)]
    best = lambda r, f: r["peers"][r["families"][f]] if f in r["families"] else None
    title = lambda r: "%(model)s %(mode)s, batch %(batch)d, %(threads)d thr." % r
    say("\nMedian ms, and how many times the fastest peer's time is rnc's")
    print_table(["", "rnc"] + families + ["fastest peer", "ratio", "noisy"], [
        [title(r), ms(r["rnc"]["median_ms"])] + [ms(best(r, f)["median_ms"]) if best(r, f) else "–" for f in families]
        + [r.get("fastest_peer", "–"), "%.2f" % r["ratio"] if "ratio" in r else "–", noisy(r)] for r in rows])
    mib = lambda b: "%.0f" % (b / 2**20) if b else "–"
    say("MiB while it runs: in all, and more than the idle process with its libraries loaded (rnc: planned intermediates, weights and state)")
    print_table(["", "rnc"] + families, [
        [title(r)] + ["%s, %s" % (mib(p["rss_peak_bytes"]), mib(p["rss_increment_bytes"])) if p else "–" for p in [r["rnc"]] + [best(r, f) for f in families]]
        for r in rows])


def noisy(row):
    """How many of the rounds were disturbed by other programs."""
    everyone = [row["rnc"], *row["peers"].values()]
    return "%d of %d" % (sum(p["disturbed"] for p in everyone), sum(len(p["rounds_ms"]) for p in everyone))


def machine():
    name = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return {"cpu": name, "cpus": len(os.sched_getaffinity(0)), "kernel": os.uname().release, "date": datetime.date.today().isoformat()}


def parse_options():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--models", nargs="+", choices=list(models.MODELS), default=["resnet18", "resnet50"])
    p.add_argument("--mode", choices=["infer", "train"], default="infer")
    p.add_argument("--batch", nargs="+", type=int, help="batch sizes (1 16; training: 16)")
    p.add_argument("--threads", nargs="+", type=int, help="threads (1 2; training: 2)")
    p.add_argument("--size", type=int, help="of the images, instead of the spec's own")
    p.add_argument("--peers", nargs="+", choices=list(worker.PEERS), default=list(worker.PEERS))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1, help="of each peer in each round (1)")
    p.add_argument("--limit", type=float, default=240, help="seconds that a peer may take to load and compile (240)")
    p.add_argument("--rnc", default="build/rnc", help="the program (build/rnc)")
    p.add_argument("--out", default="build/bench", help="where results go (build/bench)")
    o = p.parse_args()
    train = o.mode == "train"
    o.batch, o.threads = o.batch or ([16] if train else [1, 16]), o.threads or ([2] if train else [1, 2])
    if train:
        for m in [m for m in o.models if not models.MODELS[m][2]]:
            p.error("%s has no training row" % m)
    if not os.access(o.rnc, os.X_OK):
        p.error("there is no %s: run make, or say --rnc PATH" % o.rnc)
    o.rnc, o.out = os.path.abspath(o.rnc), os.path.abspath(o.out)
    return o


def write_results(options, rows):
    base = os.path.join(options.out, "peers" if options.mode == "infer" else "peers-train")
    with open(base + ".json", "w") as f:
        json.dump({"machine": machine(), "rounds": options.rounds, "seconds": options.seconds, "rows": rows}, f, indent=1)
    with open(base + ".svg", "w") as f:
        f.write(chart.svg(rows, machine()))
    say("%s.json, %s.svg" % (os.path.relpath(base), os.path.relpath(base)))


def main():
    options = parse_options()
    os.makedirs(options.out, exist_ok=True)
    rows, missed = [], 0
    with open(os.path.join(options.out, "peers.log"), "w") as log:
        for model in options.models:
            for batch in options.batch:
                for threads in options.threads:
                    row = {"model": model, "mode": options.mode, "batch": batch, "threads": threads, "size": options.size or models.MODELS[model][0]}
                    try:
                        rows.append(run_row(row, options, log))
                    except Refused as e:
                        say("  %s" % e)
                        missed += 1
    if rows:
        print_tables(rows)
        write_results(options, rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
