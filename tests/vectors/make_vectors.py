#!/usr/bin/env python3
"""Makes the golden vectors of this folder: NET.safetensors for each reduced network.

    python3 make_vectors.py [NET ...]          # needs PyTorch and NumPy; nothing else in the project does

The networks are written out here by hand from the papers (He et al. 2015, "v1.5" strides for the bottleneck as in
torchvision, and the CIFAR ResNet of section 4.2 with option-A or projection shortcuts; Ronneberger et al. 2015 with
padding and
batch norm; Lin et al. 2017 with P6 and P7 as in torchvision), with torchvision's parameter names, so that
they share nothing with the compiler but arithmetic. Everything is computed in float64 and stored as float32.

Parameters are not stored: each element is a hash of the parameter's name and the element's index (see `parameter`;
vectors.c computes the same). The initial running statistics are stored, since they should be near to the real ones.

The gradient of a ReLU jumps where its input is 0, that of a max-pool where two entries of a window tie. Rounding must
not
decide there, so the input is nudged by Gauss-Newton steps until, in the forward pass of the training step, every
input of
a ReLU and every gap between the two largest entries of a window (unless both are zeros behind a ReLU, where no gradient
flows) is at least MARGIN away from it (LATER_MARGIN in the steps that follow), relative to the rms of that layer. The
margins reached
are in the file's metadata.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

MARGIN, LATER_MARGIN = 1e-4, 3e-5
EPS, MOMENTUM = 1e-5, 0.1
SAMPLES = 12  # elements kept of each parameter after the optimizer's steps

NETS = {
    "resnet18": dict(kind="basic", blocks=[2, 2, 2, 2], width=8, size=48, classes=10, batch=3),
    "resnet34": dict(kind="basic", blocks=[3, 4, 6, 3], width=4, size=40, classes=10, batch=4),
    "resnet50": dict(kind="bottleneck", blocks=[3, 4, 6, 3], width=4, size=40, classes=10, batch=3),
    "resnet20": dict(kind="cifar", n=1, size=16, classes=10, batch=3),
    "unet": dict(kind="unet", width=2, size=32, classes=4, batch=2),
    "retinanet": dict(
        kind="retinanet", blocks=[2, 2, 2, 2], width=3, size=128, classes=3, anchors=2, features=8, batch=1, lr=0.001
    ),
}
IGNORE = 255  # the label of a class map that counts for nothing


# ---- deterministic numbers


def splitmix64(x):
    """Steele, Lea and Flood 2014; x: array of uint64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(name, count):
    """COUNT numbers in [0, 1), each a multiple of 2^-24, from FNV-1a of NAME."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        bits = splitmix64(np.uint64(h) + np.arange(count, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95))
    return (bits >> np.uint64(40)).astype(np.float64) * 2.0**-24


def parameter(name, shape):
    """Rank 4 and 2: uniform with He's variance (fan-in). Rank 1: a batch norm's weight in [0.5, 1.5), else in [-0.25,
    0.25).
    At the end of a bottleneck's branch a quarter of that: sixteen blocks at full strength amplify the rounding of
    single
    precision to 2e-4 in the gradients (PyTorch's as well), which would leave nothing to compare."""
    count = int(np.prod(shape))
    u = uniform(name, count)
    if len(shape) > 1:
        value = (2 * u - 1) * np.sqrt(6.0 / (count // shape[0]))
    elif name.endswith("weight"):
        value = (0.5 + u) * (0.25 if name.endswith("bn3.weight") else 1)
    else:
        value = 0.5 * u - 0.25
    return torch.tensor(value.astype(np.float32).astype(np.float64).reshape(shape))


# ---- the networks


class Net:
    """Parameters and buffers by name; one forward pass. `watch` collects (input, kink distances, scale) in train
    mode."""

    def __init__(self, cfg):
        self.cfg, self.p, self.b, self.plan = cfg, {}, {}, []
        self.train, self.watch, self.new_stats = False, None, {}
        self.stride_on = 2  # which convolution of a bottleneck has the stride: 2 is v1.5, 1 the paper's v1

    def conv(self, x, name, out, kernel, stride=1, pad=0, bias=False):
        w = self.param(name + ".weight", (out, x.shape[1], kernel, kernel))
        return F.conv2d(x, w, self.param(name + ".bias", (out,)) if bias else None, stride, pad)

    def param(self, name, shape):
        if name not in self.p:
            self.p[name] = parameter(name, shape).requires_grad_()
        return self.p[name]

    def bn(self, x, name):
        c = x.shape[1]
        w, b = self.param(name + ".weight", (c,)), self.param(name + ".bias", (c,))
        mean = self.b.setdefault(name + ".running_mean", torch.zeros(c, dtype=torch.float64))
        var = self.b.setdefault(name + ".running_var", torch.ones(c, dtype=torch.float64))
        if not self.train:
            return F.batch_norm(x, mean, var, w, b, False, MOMENTUM, EPS)
        m, v = mean.clone(), var.clone()
        y = F.batch_norm(x, m, v, w, b, True, MOMENTUM, EPS)
        self.new_stats[name + ".running_mean"], self.new_stats[name + ".running_var"] = m, v
        return y

    def relu(self, x):
        if self.watch is not None:
            scale = x.detach().pow(2).mean().sqrt()
            self.watch.append(x.flatten() / scale)
        return F.relu(x)

    def max_pool(self, x, kernel=3, pad=1):
        """Stride 2, behind a ReLU."""
        if self.watch is not None:
            n, c, h, w = x.shape
            padded = F.pad(x, (pad, pad, pad, pad), value=-1.0)
            top = F.unfold(padded, kernel, stride=2).reshape(n, c, kernel * kernel, -1).topk(2, dim=2).values
            gap = top[:, :, 0] - top[:, :, 1]
            self.watch.append(gap[top[:, :, 0] > 0] / x.detach().pow(2).mean().sqrt())
        return F.max_pool2d(x, kernel, 2, pad)

    def forward(self, x):
        """The outputs by name."""
        if self.cfg["kind"] == "retinanet":
            return self.retinanet(x)
        return {"logits": {"cifar": self.cifar, "unet": self.unet}.get(self.cfg["kind"], self.imagenet)(x)}

    def loss(self, outputs, target):
        """Cross entropy by sample or by pixel; of several outputs the sum of their mean squared errors."""
        if isinstance(target, dict):
            return sum(F.mse_loss(outputs[name], t) for name, t in target.items())
        return F.cross_entropy(outputs["logits"], target, ignore_index=IGNORE)

    def imagenet(self, x):
        return self.dense(self.body(x, "")[-1], "fc")

    def body(self, x, prefix):
        """What the four stages give."""
        width, out = self.cfg["width"], []
        x = self.max_pool(self.relu(self.bn(self.conv(x, prefix + "conv1", width, 7, 2, 3), prefix + "bn1")))
        block = self.bottleneck if self.cfg["kind"] == "bottleneck" else self.basic
        for stage, repeat in enumerate(self.cfg["blocks"]):
            for i in range(repeat):
                stride = 2 if stage > 0 and i == 0 else 1
                x = block(x, f"{prefix}layer{stage + 1}.{i}", width << stage, stride)
            out.append(x)
        return out

    def double_conv(self, x, name, out):
        x = self.relu(self.bn(self.conv(x, name + ".0", out, 3, 1, 1), name + ".1"))
        return self.relu(self.bn(self.conv(x, name + ".3", out, 3, 1, 1), name + ".4"))

    def unet(self, x):
        width, levels = self.cfg["width"], []
        x = self.double_conv(x, "inc", width)
        for i in range(1, 5):
            levels.append(x)
            x = self.double_conv(self.max_pool(x, 2, 0), f"down{i}", width << i)
        for i in range(1, 5):
            out, name = width << (4 - i), f"up{i}"
            w = self.param(name + ".up.weight", (x.shape[1], out, 2, 2))
            x = F.conv_transpose2d(x, w, self.param(name + ".up.bias", (out,)), 2)
            x = self.double_conv(torch.cat([levels.pop(), x], 1), name + ".conv", out)
        return self.conv(x, "out", self.cfg["classes"], 1, bias=True)

    def retinanet(self, x):
        c, fpn, f = self.body(x, "backbone.body."), "backbone.fpn.", self.cfg["features"]
        inner = [self.conv(c[i + 1], f"{fpn}inner_blocks.{i}.0", f, 1, bias=True) for i in range(3)]
        for i in (1, 0):
            inner[i] = inner[i] + F.interpolate(inner[i + 1], size=inner[i].shape[-2:], mode="nearest")
        p = [self.conv(inner[i], f"{fpn}layer_blocks.{i}.0", f, 3, 1, 1, True) for i in range(3)]
        p.append(self.conv(p[2], fpn + "extra_blocks.p6", f, 3, 2, 1, True))
        p.append(self.conv(self.relu(p[3]), fpn + "extra_blocks.p7", f, 3, 2, 1, True))
        out = {}
        for label, head, last, each in (
            ("cls", "classification_head", "cls_logits", self.cfg["classes"]),
            ("box", "regression_head", "bbox_reg", 4),
        ):
            for level, y in enumerate(p, 3):
                for i in range(4):
                    y = self.relu(self.conv(y, f"head.{head}.conv.{i}.0", f, 3, 1, 1, True))
                out[f"{label}{level}"] = self.conv(y, f"head.{head}.{last}", self.cfg["anchors"] * each, 3, 1, 1, True)
        return out

    def dense(self, x, name):
        x = x.mean(dim=(2, 3))
        w = self.param(name + ".weight", (self.cfg["classes"], x.shape[1]))
        return F.linear(x, w, self.param(name + ".bias", (self.cfg["classes"],)))

    def shortcut(self, x, name, out, stride):
        if stride == 1 and x.shape[1] == out:
            return x
        return self.bn(self.conv(x, name + ".downsample.0", out, 1, stride), name + ".downsample.1")

    def basic(self, x, name, out, stride):
        y = self.relu(self.bn(self.conv(x, name + ".conv1", out, 3, stride, 1), name + ".bn1"))
        y = self.bn(self.conv(y, name + ".conv2", out, 3, 1, 1), name + ".bn2")
        return self.relu(y + self.shortcut(x, name, out, stride))

    def bottleneck(self, x, name, mid, stride):
        first, second = (stride, 1) if self.stride_on == 1 else (1, stride)
        y = self.relu(self.bn(self.conv(x, name + ".conv1", mid, 1, first), name + ".bn1"))
        y = self.relu(self.bn(self.conv(y, name + ".conv2", mid, 3, second, 1), name + ".bn2"))
        y = self.bn(self.conv(y, name + ".conv3", 4 * mid, 1), name + ".bn3")
        return self.relu(y + self.shortcut(x, name, 4 * mid, stride))

    def cifar(self, x):
        x = self.relu(self.bn(self.conv(x, "conv1", 16, 3, 1, 1), "bn1"))
        for stage in range(3):
            for i in range(self.cfg["n"]):
                out, stride, name = 16 << stage, 2 if stage > 0 and i == 0 else 1, f"layer{stage + 1}.{i}"
                y = self.relu(self.bn(self.conv(x, name + ".conv1", out, 3, stride, 1), name + ".bn1"))
                y = self.bn(self.conv(y, name + ".conv2", out, 3, 1, 1), name + ".bn2")
                if stride != 1:  # option A, the zero channels on both sides
                    x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, out // 4, out // 4))
                x = self.relu(y + x)
        return self.dense(x, "linear")


# ---- keeping away from the kinks


def distances(net, x):
    net.watch, net.train = [], True
    net.forward(x)
    z, net.watch = torch.cat(net.watch), None
    return z


def correction(net, x, margin):
    """The smallest distance; and where it is below MARGIN the rows of a linear system for a move of the input, else
    nothing."""
    z = distances(net, x)
    near = (z.abs() < 1.5 * margin).nonzero().flatten()
    smallest = z.abs().min().item()
    if smallest >= margin:
        return smallest, [], []
    rows = [torch.autograd.grad(z[i], x, retain_graph=True)[0].flatten() for i in near]
    want = torch.where(z[near] < 0, -2.5 * margin, 2.5 * margin).detach() - z[near].detach()
    return smallest, rows, list(want)


def nudge(net, x, target, kinds):
    """The input moved until every distance is large enough in the first step and in the two that follow it with each
    optimizer,
    whose parameters are taken as given when the move is computed. Returns it, rounded to float32, and the margins
    reached.
    """
    start, stats = dict(net.p), {k: v.clone() for k, v in net.b.items()}
    for attempt in range(60):
        x = x.float().double().requires_grad_()
        net.p = start
        first, rows, want = correction(net, x, MARGIN)
        later = [1.0]
        for kind in kinds:
            for _ in steps(kind, net, start, stats, x.detach(), target, 3):
                smallest, more, wanted = correction(net, x, LATER_MARGIN)
                later.append(smallest)
                rows, want = rows + more, want + wanted
        net.p, net.b = start, stats
        if not rows:
            return x.detach(), first, min(later)
        jacobian, want = torch.stack(rows), torch.stack(want)
        solve = torch.linalg.lstsq(jacobian @ jacobian.T + 1e-9 * torch.eye(len(want)).double(), want).solution
        x = (x.flatten() + jacobian.T @ solve).reshape(x.shape).detach()
    raise SystemExit(f"no input found: margins {first}, {min(later)}")


# ---- optimizers, from their papers' formulas as PyTorch states them


def optimizer(kind, params, lr):
    sgd = dict(lr=lr, momentum=0.9, weight_decay=1e-4)
    adam = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    if kind == "sgd":
        return torch.optim.SGD(params, **sgd)
    if kind == "nesterov":
        return torch.optim.SGD(params, nesterov=True, **sgd)
    if kind == "adam":
        return torch.optim.Adam(params, weight_decay=1e-4, **adam)
    return torch.optim.AdamW(params, weight_decay=1e-2, **adam)


def steps(kind, net, start, stats, x, target, count):
    """COUNT training steps from START; yields each loss, NET holding the parameters that the step starts from."""
    net.p = {k: v.detach().clone().requires_grad_() for k, v in start.items()}
    net.b = {k: v.clone() for k, v in stats.items()}
    net.train = True
    opt = optimizer(kind, list(net.p.values()), net.cfg.get("lr", 0.01))
    for _ in range(count):
        loss = net.loss(net.forward(x), target)
        gradients = torch.autograd.grad(loss, list(net.p.values()))
        new = {k: v.clone() for k, v in net.new_stats.items()}
        yield loss.item()
        for p, g in zip(net.p.values(), gradients):
            p.grad = g
        opt.step()
        net.b.update(new)


def three_steps(kind, net, start, stats, x, target):
    """Losses, and of every state tensor after three steps the norm and SAMPLES evenly spaced elements."""
    out = {f"{kind}.losses": np.array(list(steps(kind, net, start, stats, x, target, 3)))}
    for name, value in {**net.p, **net.b}.items():
        flat = value.detach().numpy().ravel()
        count = min(SAMPLES, flat.size)
        picked = flat[np.arange(count) * flat.size // count]
        out[f"{kind}.after.{name}"] = np.concatenate([[np.linalg.norm(flat)], picked])
    return out


# ---- one file


def save(path, tensors, metadata):
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, value in tensors.items():
        value = np.ascontiguousarray(value)
        value = value if value.dtype == np.int64 else value.astype(np.float32)
        header[name] = dict(
            dtype="I64" if value.dtype == np.int64 else "F32",
            shape=list(value.shape),
            data_offsets=[offset, offset + value.nbytes],
        )
        offset += value.nbytes
        blobs.append(value.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def start_statistics(net, x):
    """Running statistics near the real ones: those of x, each moved by a hash of its name."""
    net.train = True
    net.forward(x)
    for name, value in net.new_stats.items():
        old = torch.zeros_like(value) if name.endswith("mean") else torch.ones_like(value)
        batch = (value - (1 - MOMENTUM) * old) / MOMENTUM
        u = torch.tensor(uniform(name, value.numel()))
        moved = batch + 0.2 * (u - 0.5) if name.endswith("mean") else batch * (0.75 + 0.5 * u) + 0.05
        net.b[name] = moved.float().double()
    net.new_stats = {}


def make_v1(name, net, params, stats, x):
    """The forward passes of the paper's own strides, on the same parameters and input: NET_v1.safetensors."""
    net.p, net.b, net.stride_on, out = params, stats, 1, {}
    for mode in ("eval", "train"):
        net.train = mode == "train"
        out[f"{mode}.logits"] = net.forward(x)["logits"].detach().numpy()
    save(Path(__file__).parent / f"{name}_v1.safetensors", out, {})


def make_target(name, net, x):
    """One label for each sample or each pixel; of several outputs a tensor for each (`scores3` for `cls3`, `boxes3`
    for `box3`)."""
    cfg = net.cfg
    if cfg["kind"] == "retinanet":
        return {
            k: torch.tensor(
                (2 * uniform(f"{name}.{k}", v.numel()) - 1).astype(np.float32).astype(np.float64).reshape(v.shape)
            )
            for k, v in net.forward(x).items()
        }
    if cfg["kind"] == "unet":
        u = uniform(name + ".target", cfg["batch"] * cfg["size"] ** 2)
        labels = torch.tensor(np.where(u > 0.9, IGNORE, np.floor(u / 0.9 * cfg["classes"])).astype(np.int64))
        return labels.reshape(cfg["batch"], cfg["size"], cfg["size"])
    return torch.tensor([(3 * i + 1) % cfg["classes"] for i in range(cfg["batch"])])


def target_arrays(target):
    if isinstance(target, dict):
        return {f"target.{k.replace('cls', 'scores').replace('box', 'boxes')}": v.numpy() for k, v in target.items()}
    return {"target": target.numpy()}


def make(name):
    cfg = NETS[name]
    torch.manual_seed(0)
    net = Net(cfg)
    shape = (cfg["batch"], 3, cfg["size"], cfg["size"])
    x = torch.tensor((4 * uniform(name + ".input", int(np.prod(shape))) - 2).reshape(shape))
    net.forward(x)
    target = make_target(name, net, x)
    kinds = ["sgd", "adam"] + (["nesterov", "adamw"] if name == "resnet20" else [])
    x, margin, later_margin = nudge(net, x, target, kinds)
    start_statistics(net, x)
    params, stats = dict(net.p), {k: v.clone() for k, v in net.b.items()}

    out = {"input": x.numpy(), **target_arrays(target)}
    net.train = False
    out.update({"eval." + k: v.detach().numpy() for k, v in net.forward(x).items()})
    net.train = True
    x.requires_grad_()
    outputs = net.forward(x)
    loss = net.loss(outputs, target)
    loss.backward()
    out.update({"train." + k: v.detach().numpy() for k, v in outputs.items()})
    out["train.loss"] = np.array(loss.item())
    out["grad.image"] = x.grad.numpy()
    for k, v in stats.items():
        out["start." + k], out["stat." + k] = v.numpy(), net.new_stats[k].numpy()
    for k, v in params.items():
        out["grad." + k] = v.grad.numpy()
    for kind in kinds:
        out.update(three_steps(kind, net, params, stats, x.detach(), target))
    if cfg["kind"] == "bottleneck":
        make_v1(name, net, params, stats, x.detach())
    path = Path(__file__).parent / f"{name}.safetensors"
    save(
        path,
        out,
        {
            "margin": f"{margin:.3g}",
            "later_margin": f"{later_margin:.3g}",
            "torch": torch.__version__,
            **{k: json.dumps(v) for k, v in cfg.items()},
        },
    )
    print(
        f"{name}: {len(params)} parameters, {sum(v.numel() for v in params.values())} numbers, "
        f"margins {margin:.3g} and {later_margin:.3g}, loss {loss.item():.4f}, {path.stat().st_size} bytes"
    )


if __name__ == "__main__":
    for net_name in sys.argv[1:] or NETS:
        make(net_name)
