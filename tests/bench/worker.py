"""One peer in a process of its own: `worker.py PEER FOLDER MODEL THREADS MODE DTYPE`. Commands come as JSON lines on
stdin, answers go to stdout."""

import ctypes
import gc
import json
import os
import signal
import sys
import time

import models

# name: family (a column of the table), module it needs, modes, types
BOTH, INFER, FP32, ANY = ("infer", "train"), ("infer",), ("fp32",), ("fp32", "bf16")
PEERS = {
    "torch-eager": ("PyTorch", "torch", BOTH, ANY),
    "torch-channels-last": ("PyTorch", "torch", BOTH, ANY),
    "torch-frozen": ("PyTorch", "torch", INFER, ANY),
    "torch-compiled": ("PyTorch", "torch", BOTH, ANY),
    "onnxruntime": ("ONNX Runtime", "onnxruntime", INFER, FP32),
    "openvino": ("OpenVINO", "openvino", INFER, ANY),
    "onednn": ("oneDNN", "onednn", INFER, ANY),
    "onednn-nhwc": ("oneDNN", "onednn", INFER, ANY),
    "tensorflow": ("TensorFlow", "tensorflow", BOTH, FP32),
    "tensorflow-xla": ("TensorFlow", "tensorflow", BOTH, FP32),
}
NEEDS_ONNX = ("onnxruntime", "openvino", "onednn", "onednn-nhwc", "tensorflow", "tensorflow-xla")


class Job:
    def __init__(self, argv):
        self.peer, self.folder, self.model, threads, self.mode, self.dtype = argv
        self.threads = int(threads)

    def path(self, file):
        return os.path.join(self.folder, file)


# ---- each peer: imports (so that they can be told from the model), then a function that runs once and returns the
# outputs
# (training: that takes a function and gives it the gradients)


def import_torch(job):
    import torch

    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(1)
    import torchvision

    if job.peer == "torch-compiled":  # its compiler is a library too, loaded when first used
        torch.compile(lambda a: a + 1)(torch.ones(16))
    return torch


def torch_infer(job, torch, x):
    import numpy as np

    kind = torch.bfloat16 if job.dtype == "bf16" else torch.float32
    order = torch.channels_last if job.peer == "torch-channels-last" else torch.contiguous_format
    model = models.folded(models.load(job.folder, job.model, mapped=True)).to(kind, memory_format=order)
    given = torch.from_numpy(x)
    if job.peer == "torch-frozen":
        with torch.inference_mode():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, given.to(kind))))
    if job.peer == "torch-compiled":
        import torch._inductor.config as config

        config.freezing = True  # weights are constants, packed once
        model = torch.compile(model)
    with torch.no_grad():
        out = [np.empty(y.shape, np.float32) for y in models.outputs_of(model(given.to(kind)))]
    into = [torch.from_numpy(y) for y in out]

    def run():
        with torch.no_grad() if job.peer == "torch-compiled" else torch.inference_mode():
            for y, result in zip(into, models.outputs_of(model(given.to(kind, memory_format=order)))):
                y.copy_(result)
        return out

    return run


def torch_train(job, torch, x):
    import numpy as np

    model = models.load(job.folder, job.model).train()
    channels_last = job.peer != "torch-eager"
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    given, target = torch.from_numpy(x), torch.from_numpy(np.load(job.path("target.npy")))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, weight_decay=1e-4, fused=True)

    def forward(image):
        with torch.autocast("cpu", torch.bfloat16, enabled=job.dtype == "bf16"):
            return models.loss_of(torch, model(image), target)

    if job.peer == "torch-compiled":
        forward = torch.compile(forward)

    def run(check=None):
        optimizer.zero_grad(set_to_none=True)
        loss = forward(given.to(memory_format=torch.channels_last) if channels_last else given)
        loss.backward()
        if check:
            check([p.grad.numpy() for p in model.parameters()])
        optimizer.step()
        loss.item()

    return run


def import_onnxruntime(job):
    import onnxruntime

    return onnxruntime


def onnxruntime_infer(job, ort, x):
    import numpy as np

    options = ort.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(job.path("model.onnx"), options, providers=["CPUExecutionProvider"])
    out = [np.empty(o.shape, np.float32) for o in session.get_outputs()]
    binding = session.io_binding()
    put = lambda bind, name, a: bind(name, "cpu", 0, np.float32, a.shape, a.ctypes.data)
    put(binding.bind_input, session.get_inputs()[0].name, x)
    for o, y in zip(session.get_outputs(), out):
        put(binding.bind_output, o.name, y)

    def run():
        session.run_with_iobinding(binding)
        return out

    return run


def import_openvino(job):
    import openvino

    return openvino


def openvino_infer(job, ov, x):
    import numpy as np

    core = ov.Core()
    compiled = core.compile_model(
        job.path("model.onnx"),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": job.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "bf16" if job.dtype == "bf16" else "f32",
        },
    )
    out = [np.empty(tuple(o.shape), np.float32) for o in compiled.outputs]
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(x, shared_memory=True))
    for i, y in enumerate(out):
        request.set_output_tensor(i, ov.Tensor(y, shared_memory=True))

    def run():
        request.infer()
        return out

    return run


def import_onednn(job):
    import onnx  # only reads the file
    import onednn

    return onednn.Library()


def onednn_infer(job, library, x):
    import onednn

    return onednn.Network(library, job.path("model.onnx"), x, job.dtype, "acdb" if job.peer == "onednn-nhwc" else None)


def import_tensorflow(job):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if job.peer == "tensorflow-xla":  # XLA's own pool of threads knows no other setting
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.threads])
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf


def tensorflow_infer(job, tf, x):
    import numpy as np
    import onnx_tf

    xla = job.peer == "tensorflow-xla"
    compute = tf.function(onnx_tf.load(tf, job.path("model.onnx"), xla), jit_compile=xla)
    out = [np.empty(y.shape, np.float32) for y in compute(tf.convert_to_tensor(x))]

    def run():
        for y, result in zip(out, compute(tf.convert_to_tensor(x))):
            np.copyto(y, result.numpy())
        return out

    return run


def tensorflow_train(job, tf, x):
    import json_tf
    import numpy as np

    network, target = json_tf.load(tf, job.folder), np.load(job.path("target.npy"))
    step = tf.function(network.step, jit_compile=job.peer == "tensorflow-xla")

    def run(check=None):
        loss = step(tf.convert_to_tensor(x), tf.convert_to_tensor(target))
        if check:
            check(network.gradients())
        loss.numpy()

    return run


# ---- measuring, by the same rules as `rnc bench`


def waited():
    """Seconds that the threads of this process have waited for a processor."""
    total = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open("/proc/self/task/%s/schedstat" % task) as f:
                total += int(f.read().split()[1])
        except (OSError, IndexError):
            pass
    return total * 1e-9


def measure(run, seconds, threads):
    """The median of the runs whose threads waited little; of all, where fewer than 5 did."""
    samples = []
    run(), run()
    end = time.perf_counter() + seconds
    while len(samples) < 7 or time.perf_counter() < end:
        before, start = waited(), time.perf_counter()
        run()
        took = time.perf_counter() - start
        samples.append((took, waited() - before <= 0.02 * took * threads))
    calm = [t for t, quiet in samples if quiet]
    counted = sorted(calm if len(calm) >= 5 else [t for t, _ in samples])
    middle = len(counted) // 2
    median = counted[middle] if len(counted) % 2 else (counted[middle - 1] + counted[middle]) / 2
    return {"median_ms": median * 1e3, "min_ms": counted[0] * 1e3, "runs": len(counted), "disturbed": len(calm) < 5}


def memory(field):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def trim():
    """Gives back what is free, so that it counts for nobody."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library


def steady_peak(run):
    """The largest resident memory while it runs, not while it was loaded and compiled."""
    trim()
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        return 0  # this kernel does not tell
    for _ in range(3):
        run()
    return memory("VmHWM")


def main():
    answers = os.fdopen(os.dup(1), "w")  # libraries print to stdout
    os.dup2(2, 1)
    ctypes.CDLL(None).prctl(
        1, signal.SIGKILL
    )  # PR_SET_PDEATHSIG: a stopped process would never see that peers.py is gone
    say = lambda **message: print(json.dumps(message), file=answers, flush=True)
    job = Job(sys.argv[1:])
    import numpy as np

    base = PEERS[job.peer][1]
    try:
        library = globals()["import_" + base](job)
        trim()
        idle = memory("VmRSS")
        x = np.load(job.path("x.npy"))
        run = globals()["%s_%s" % (base, job.mode)](job, library, x)
        check = lambda result: np.savez(job.path(job.peer + ".npz"), *result)
        run(check) if job.mode == "train" else check(run())
        run(), run()
        peak, steady = memory("VmHWM"), steady_peak(run)
    except Exception as e:
        lines = (str(e) or type(e).__name__).strip().splitlines()
        say(error=lines[0 if base == "torch" else -1].strip()[:200])
        raise
    say(
        ready=True,
        version=getattr(library, "__version__", "").split("-")[0],
        rss_idle=idle,
        rss_peak=peak,
        rss_steady=steady,
    )
    for line in sys.stdin:
        say(**measure(run, json.loads(line)["seconds"], job.threads))


if __name__ == "__main__":
    main()
