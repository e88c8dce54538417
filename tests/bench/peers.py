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
import tempfile
import zlib

import numpy as np

import layers
import models
import onednn
import report
import worker

HERE = os.path.dirname(os.path.abspath(__file__))
# Relative errors. A ReLU whose input is zero but for rounding passes a gradient or does not; one such element among
# 100,000 of a layer moves all
# gradients before it by 0.3 %, so those of the last layer, which needs the whole forward pass right, have the sharp
# limit.
LIMITS = {
    ("infer", "fp32"): {"outputs": 1e-4},
    ("train", "fp32"): {"last layer's gradients": 1e-4, "all gradients": 2e-2},
    # bfloat16 has 8 bits: one rounding is an error of up to 4e-3
    ("infer", "bf16"): {"outputs": 5e-2},
    ("train", "bf16"): {"last layer's gradients": 5e-2, "all gradients": 5e-1},
}
# A variant so much slower than its family's best (PyTorch eager beside compiled) takes no more rounds after the second.
SLOW = 1.3
# The optimiser of the training rows, in every spec.
SGD = ["--set", "train.optimizer={sgd: {lr: 0.1, momentum: 0.9, weight_decay: 1e-4}}"]


class Refused(Exception):
    pass


# Runs a program from a process that is small itself: Linux counts what its parent had resident when it was started into
# a program's peak.
FRESH = """import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss * 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))"""


def environment(threads):
    """Several threads of OpenMP stay each on its processor; caches and generated files go where main() removes them."""
    count = str(threads)
    env = dict(
        os.environ,
        OMP_NUM_THREADS=count,
        MKL_NUM_THREADS=count,
        TORCHINDUCTOR_COMPILE_THREADS="1",
        PYTHONWARNINGS="ignore",
        TMPDIR=tempfile.gettempdir(),
        TORCHINDUCTOR_CACHE_DIR=os.path.join(tempfile.gettempdir(), "inductor"),
    )
    if threads > 1:
        env.update(OMP_PROC_BIND="true", OMP_PLACES="cores")
    env.pop("PYTHONPATH", None)
    return env


class Peer:
    """A peer's process. It is stopped (SIGSTOP) whenever it is not its turn, so that no pool of waiting threads takes
    the others' time."""

    def __init__(self, name, row, folder, log, limit):
        self.name, self.family, self.rounds = name, worker.PEERS[name][0], []
        self.process = subprocess.Popen(
            [
                sys.executable,
                os.path.join(HERE, "worker.py"),
                name,
                folder,
                row["model"],
                str(row["threads"]),
                row["mode"],
                row["dtype"],
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(row["threads"]),
            start_new_session=True,
        )
        self.buffer = b""
        try:
            self.about = self.answer(limit)
            self.signal(signal.SIGSTOP)
            got = np.load(os.path.join(folder, name + ".npz"))
            self.errors = compare([got["arr_%d" % i] for i in range(len(got.files))], folder, row)
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
        idle, peak, steady = (self.about[k] for k in ("rss_idle", "rss_peak", "rss_steady"))
        return {
            "family": self.family,
            "version": self.about["version"],
            "errors": self.errors,
            "median_ms": median(self.rounds),
            "rounds_ms": [r["median_ms"] for r in self.rounds],
            "disturbed": sum(r["disturbed"] for r in self.rounds),
            "rss_idle_bytes": idle,
            "rss_peak_bytes": peak,
            "rss_increment_bytes": max(peak - idle, 0),
            "rss_steady_bytes": steady,
        }


class Rnc:
    """`rnc bench`, a process each time; it measures from the caller's buffers too, and drops disturbed runs by the
    same rule."""

    family = "rnc"

    def __init__(self, binary, row, folder, log):
        self.binary, self.row, self.folder, self.log, self.rounds = binary, row, folder, log, []
        self.common = [
            row["model"],
            "--weights",
            os.path.join(folder, "weights.safetensors"),
            "--threads",
            str(row["threads"]),
            "-p",
            "size=%d" % row["size"],
        ]
        if row["dtype"] != "fp32":
            self.common += ["--dtype", row["dtype"]]
        version, self.idle = self.call("--version")
        self.version = version.split(",")[0].removeprefix("rnc ")
        self.errors = compare(self.check(), folder, row)

    def call(self, *args, **variables):
        """What it prints, and the peak of its resident memory."""
        env = dict(os.environ, RNC_CACHE_DIR=cache_folder(), **variables)
        p = subprocess.run(
            [sys.executable, "-I", "-S", "-c", FRESH, self.binary, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        *errors, peak = p.stderr.splitlines() or [""]
        self.log.writelines(e + "\n" for e in errors)
        self.log.flush()
        if p.returncode:
            raise Refused("rnc %s: %s" % (args[0], (errors or ["exit status %d" % p.returncode])[0]))
        return p.stdout, int(peak)

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

    def bench(self, seconds, *options, **variables):
        train = SGD if self.row["mode"] == "train" else []
        printed, _ = self.call(
            "bench",
            *self.common,
            "--batch",
            str(self.row["batch"]),
            "--mode",
            self.row["mode"],
            "--json",
            "--seconds",
            str(seconds),
            *train,
            *options,
            **variables
        )
        return json.loads(printed)

    def turn(self, seconds):
        self.rounds.append(self.bench(seconds))

    def close(self):
        pass

    def memory(self):
        """The peaks of a start that finds the model in the cache, as the last turn did if it was not the only one,
        and of one that compiles."""
        warm = self.rounds[-1] if self.rounds[-1]["cached"] else self.bench(0.1)
        return warm["peak_rss_bytes"], self.bench(0.1, RNC_CACHE="off")["peak_rss_bytes"]

    def result(self):
        last, middle = self.rounds[-1], lambda key: statistics.median(r[key] for r in self.rounds)
        warm, cold = self.memory()
        return {
            "family": "rnc",
            "version": self.version,
            "errors": self.errors,
            "median_ms": median(self.rounds),
            "rounds_ms": [r["median_ms"] for r in self.rounds],
            "disturbed": sum(r["disturbed"] for r in self.rounds),
            "gflops": middle("gflops"),
            "executed_gflops": middle("executed_gflops"),
            "peak_gflops": middle("peak_gflops"),
            "rss_idle_bytes": self.idle,
            "rss_peak_bytes": warm,
            "rss_increment_bytes": warm - self.idle,
            "rss_peak_cold_bytes": cold,
            "rss_increment_cold_bytes": cold - self.idle,
            "planned_bytes": last["planned_bytes"] + last["state_bytes"],
        }


def cache_folder():
    path = os.path.join(tempfile.gettempdir(), "rnc")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def can_do(binary, dtype):
    return (
        dtype == "fp32"
        or "--dtype" in subprocess.run([binary, "bench", "--help"], capture_output=True, text=True).stdout
    )


def median(rounds):
    """Of the rounds that were not disturbed, if there are any."""
    return statistics.median([r["median_ms"] for r in rounds if not r["disturbed"]] or [r["median_ms"] for r in rounds])


def reference(folder, mode):
    if mode == "train":
        z = np.load(os.path.join(folder, "reference.npz"))
        return [z[name] for name in z.files]
    count = sum(f.startswith("reference") for f in os.listdir(folder))
    return [np.load(os.path.join(folder, "reference%d.npy" % i)) for i in range(count)]


def compare(got, folder, row):
    """The relative errors by what they are of; refuses what is beyond its limit."""
    want = reference(folder, row["mode"])
    if row["mode"] == "infer":
        errors = {"outputs": models.relative_error(got, want)}
    else:  # the last two parameters are the last layer's weights and bias
        errors = {
            "last layer's gradients": models.relative_error(got[-2:], want[-2:]),
            "all gradients": models.relative_error(got, want),
        }
    if not all(errors[k] <= limit for k, limit in LIMITS[row["mode"], row["dtype"]].items()):
        raise Refused("no figures, the result differs: %s" % error_text(errors))
    return errors


def error_text(errors):
    return "relative error of " + ", ".join("%s %.1e" % e for e in errors.items())


def helper(log, *args):
    p = subprocess.run(
        [sys.executable, os.path.join(HERE, "models.py"), *args],
        stdout=log,
        stderr=log,
        env=environment(len(os.sched_getaffinity(0))),
    )
    if p.returncode:
        raise Refused("models.py %s failed (see peers.log)" % args[0])


def prepare(row, folder, log):
    """Weights, images, reference and the ONNX file of a row: those of a row before it, where only the threads
    differ."""
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
            report.say("  ONNX: %s" % e)
    with open(stamp, "w") as f:
        json.dump(same, f)


def installed(module):
    return os.path.exists(onednn.PATH) if module == "onednn" else importlib.util.find_spec(module) is not None


def start_peers(row, options, folder, log, peers):
    """Appends to PEERS those that could be started and are right; returns why the others are not there."""
    failed = {}
    for name in options.peers:
        _, module, modes, dtypes = worker.PEERS[name]
        if row["mode"] not in modes or row["dtype"] not in dtypes:
            continue
        if not installed(module):
            failed[name] = "not installed"
            continue
        if (
            row["mode"] == "infer"
            and name in worker.NEEDS_ONNX
            and not os.path.exists(os.path.join(folder, "model.onnx"))
        ):
            failed[name] = "no ONNX file"
            continue
        try:
            peers.append(Peer(name, row, folder, log, options.limit))
            report.say("  %-20s %-18s %s" % (name, peers[-1].about["version"], error_text(peers[-1].errors)))
        except Refused as e:
            failed[name] = str(e)
            report.say("  %-20s left out: %s" % (name, e))
    return failed


def alternate(peers, options):
    """Round by round, each for a second; the order turns, so that nobody is always next to the same."""
    for i in range(options.rounds):
        best = {}
        for p in peers:
            if p.rounds:
                best[p.family] = min(best.get(p.family, np.inf), median(p.rounds))
        turns = [p for p in peers if i < 2 or median(p.rounds) <= SLOW * best[p.family]]
        for t in turns[i % len(turns) :] + turns[: i % len(turns)]:
            t.turn(options.seconds)


def run_row(row, options, log):
    report.say("%s, %d × %d" % (report.title(row), row["size"], row["size"]))
    folder = os.path.join(options.out, "work", "%(model)s-%(mode)s-%(batch)d" % row)
    prepare(row, folder, log)
    everyone = []
    if can_do(options.rnc, row["dtype"]):
        everyone.append(Rnc(options.rnc, row, folder, log))
        report.say("  %-20s %-18s %s" % ("rnc", everyone[0].version, error_text(everyone[0].errors)))
    else:
        report.say("  rnc has no --dtype: the peers alone")
    try:
        row["left_out"] = start_peers(row, options, folder, log, everyone)
        if not everyone:
            raise Refused("nobody can run this")
        row["load_before"] = os.getloadavg()[0]
        alternate(everyone, options)
        row["load_after"] = os.getloadavg()[0]
    finally:
        for p in everyone:
            p.close()
    return finish(row, everyone)


def run_layers(row, options, log):
    report.say("%s, %d × %d, convolution by convolution" % (report.title(row), row["size"], row["size"]))
    if not installed("onednn"):
        raise Refused("oneDNN is not installed")
    folder = os.path.join(options.out, "work", "%(model)s-%(mode)s-%(batch)d" % row)
    prepare(row, folder, log)
    helper(log, "convolutions", folder, row["model"], str(row["batch"]), str(row["size"]))
    rnc, rounds = Rnc(options.rnc, row, folder, log), []
    for i in range(options.rounds):
        p = subprocess.run(
            [
                sys.executable,
                os.path.join(HERE, "layers.py"),
                folder,
                str(row["threads"]),
                str(options.seconds / 10),
                "check" if i == 0 else "",
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(row["threads"]),
        )
        if p.returncode:
            raise Refused("oneDNN failed (see peers.log)")
        rounds.append((layers.ours(rnc.bench(options.seconds, "--per-layer")), json.loads(p.stdout)))
    return dict(row, layers=layers.compared(folder, rounds))


def finish(row, everyone):
    """ROW with results, the fastest variant of each family, and the ratio."""
    row["rnc"] = next((p.result() for p in everyone if p.family == "rnc"), None)
    row["peers"], row["families"] = {p.name: p.result() for p in everyone if p.family != "rnc"}, {}
    for name, p in row["peers"].items():
        if (
            p["family"] not in row["families"]
            or p["median_ms"] < row["peers"][row["families"][p["family"]]]["median_ms"]
        ):
            row["families"][p["family"]] = name
    if row["peers"]:
        row["fastest_peer"] = min(row["peers"], key=lambda n: row["peers"][n]["median_ms"])
        if row["rnc"]:
            row["ratio"] = row["peers"][row["fastest_peer"]]["median_ms"] / row["rnc"]["median_ms"]
    return row


def parse_options():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--models", nargs="+", choices=list(models.MODELS), default=["resnet18", "resnet50"])
    p.add_argument("--mode", choices=["infer", "train"], default="infer")
    p.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    p.add_argument(
        "--layers",
        action="store_true",
        help="each convolution shape of the models in three directions, rnc beside oneDNN",
    )
    p.add_argument(
        "--merge",
        nargs="+",
        metavar="JSON",
        help="measure nothing: tables and chart of the results in these files, later ones first in doubt",
    )
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
    if o.layers:
        o.mode, o.dtype, train = "train", "fp32", True
    o.batch, o.threads = o.batch or ([16] if train else [1, 16]), o.threads or ([2] if train else [1, 2])
    if train:
        for m in [m for m in o.models if not models.MODELS[m][2]]:
            p.error("%s has no training row" % m)
    if not o.merge and not os.access(o.rnc, os.X_OK):
        p.error("there is no %s: run make, or say --rnc PATH" % o.rnc)
    o.rnc, o.out = os.path.abspath(o.rnc), os.path.abspath(o.out)
    return o


def rows_of(options):
    for model in options.models:
        for batch in options.batch:
            for threads in options.threads:
                yield {
                    "model": model,
                    "mode": options.mode,
                    "dtype": options.dtype,
                    "batch": batch,
                    "threads": threads,
                    "size": options.size or models.MODELS[model][0],
                }


def measure(options, run_one):
    """The rows that could be measured, and how many could not."""
    rows, missed = [], 0
    absent = [p for p in options.peers if not installed(worker.PEERS[p][1])]
    if absent:
        report.say("not installed, left out: " + ", ".join(absent))
    with open(os.path.join(options.out, "peers.log"), "w") as log:
        for row in rows_of(options):
            try:
                rows.append(run_one(row, options, log))
            except Refused as e:
                report.say("  %s" % e)
                missed += 1
    return rows, missed


def main():
    options = parse_options()
    os.makedirs(options.out, exist_ok=True)
    if options.merge:
        report.write(options.out, "peers", report.merged(options.merge))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what follows is cleaned up
    with tempfile.TemporaryDirectory(prefix="rnc-bench-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        rows, missed = measure(options, run_layers if options.layers else run_row)
    if rows and options.layers:
        layers.write(options.out, rows)
    elif rows:
        name = "peers" + "-train" * (options.mode == "train") + "-bf16" * (options.dtype == "bf16")
        report.write(
            options.out,
            name,
            {"machine": report.machine(), "rounds": options.rounds, "seconds": options.seconds, "rows": rows},
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
