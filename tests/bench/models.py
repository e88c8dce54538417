"""The models in PyTorch, their weights, inputs and reference results: `models.py FOLDER MODEL BATCH SIZE MODE` writes
them all."""

import json
import math
import os
import struct
import sys

import numpy as np

# name: size of the image, outputs as the spec names them, has it a training row (a cross-entropy loss)?
LEVELS = range(3, 8)
MODELS = {
    "resnet18": (224, ["logits"], True),
    "resnet34": (224, ["logits"], True),
    "resnet50": (224, ["logits"], True),
    "resnet20": (32, ["logits"], True),
    "unet": (256, ["logits"], True),
    "retinanet": (512, ["cls%d" % i for i in LEVELS] + ["box%d" % i for i in LEVELS], False),
}


def unet(width=64, channels=3, classes=2):
    """As specs/unet.yaml, with its parameter names."""
    import torch
    from torch import nn

    def double_conv(c, out):
        return nn.Sequential(
            nn.Conv2d(c, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        )

    class Up(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.up = nn.ConvTranspose2d(c, c // 2, 2, stride=2)
            self.conv = double_conv(c, c // 2)

        def forward(self, x, skip):
            return self.conv(torch.cat([skip, self.up(x)], 1))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.inc = double_conv(channels, width)
            for i in range(1, 5):
                setattr(self, "down%d" % i, double_conv(width << (i - 1), width << i))
                setattr(self, "up%d" % i, Up(width << (5 - i)))
            self.out = nn.Conv2d(width, classes, 1)
            self.pool = nn.MaxPool2d(2)

        def forward(self, x):
            x1 = self.inc(x)
            x2 = self.down1(self.pool(x1))
            x3 = self.down2(self.pool(x2))
            x4 = self.down3(self.pool(x3))
            x = self.up1(self.down4(self.pool(x4)), x4)
            return self.out(self.up4(self.up3(self.up2(x, x3), x2), x1))

    return UNet()


def resnet20(n=3, width=16, classes=10):
    """As specs/resnet20.yaml (shortcuts of option A), with its parameter names."""
    from torch import nn
    from torch.nn import functional as F

    class Basic(nn.Module):
        def __init__(self, c, out, stride):
            super().__init__()
            self.stride, self.extra = stride, out - c
            self.conv1 = nn.Conv2d(c, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.extra:
                half = self.extra // 2
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))
            return F.relu(x + y)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            c = width
            for stage in range(3):
                out = width << stage
                self.add_module(
                    "layer%d" % (stage + 1),
                    nn.Sequential(*[Basic(c if i == 0 else out, out, 2 if stage and i == 0 else 1) for i in range(n)]),
                )
                c = out
            self.linear = nn.Linear(c, classes)

        def forward(self, x):
            x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
            return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))

    return ResNet()


def retinanet():
    """torchvision's network without what comes before (resizing) and after (decoding, suppression)."""
    from torch import nn
    from torchvision.models.detection import retinanet_resnet50_fpn

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            net = retinanet_resnet50_fpn(
                weights=None, weights_backbone=None, num_classes=80, trainable_backbone_layers=5
            )
            self.backbone, self.head = net.backbone, net.head
            for name, p in self.head.named_parameters():  # its own start gives the bias and nearly nothing else
                nn.init.kaiming_normal_(p) if p.dim() > 1 else nn.init.normal_(p, std=0.1)

        def forward(self, x):
            levels = list(self.backbone(x).values())
            c, b = self.head.classification_head, self.head.regression_head
            return tuple([c.cls_logits(c.conv(f)) for f in levels] + [b.bbox_reg(b.conv(f)) for f in levels])

    return Heads()


def new(name):
    """The model NAME with torch's fresh weights."""
    if name in ("unet", "resnet20", "retinanet"):
        return globals()[name]()
    import torchvision

    return getattr(torchvision.models, name)(weights=None)


def load(folder, name, mapped=False):
    """With its weights once in memory, or mapped from the file."""
    import torch

    with torch.device("meta"):
        model = new(name)
    model.load_state_dict(torch.load(os.path.join(folder, "weights.pt"), mmap=mapped), assign=True)
    return model.eval()


def folded(model):
    """Batch norms folded into the convolutions before them, where torch.fx can follow the model."""
    try:
        from torch.fx.experimental.optimization import fuse

        return fuse(model)
    except Exception as e:
        print("not folded:", e, file=sys.stderr)
        return model


def write_safetensors(path, tensors):
    header, data, at = {}, [], 0
    for name, array in tensors.items():
        array = np.asarray(array, order="C")
        header[name] = {
            "dtype": {"float32": "F32", "int64": "I64"}[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        data.append(array.tobytes())
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def read_safetensors(path):
    with open(path, "rb") as f:
        blob = memoryview(f.read())
    size = struct.unpack("<Q", blob[:8])[0]
    out = {}
    for name, t in json.loads(bytes(blob[8 : 8 + size])).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(
                blob[8 + size + a : 8 + size + b], {"F32": "<f4", "I64": "<i8"}[t["dtype"]]
            ).reshape(t["shape"])
    return out


def outputs_of(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def loss_of(torch, y, target):
    return torch.nn.functional.cross_entropy(y, target, ignore_index=255 if target.dim() == 3 else -100)


def make_weights(torch, name, size):
    """Seeded; batch norms with the statistics of random images, and scales and shifts off 1 and 0."""
    torch.manual_seed(1)
    model = new(name)
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.normal_(m.bias, std=0.2)
            m.momentum = None  # the average of all batches
    for m in model.modules():
        last = getattr(m, "bn3", None) or getattr(m, "bn2", None)
        if (
            last is not None
        ):  # residual branches small beside what they are added to, as training makes them: rounding is not blown up
            last.weight.data.mul_(0.3)
    with torch.no_grad():
        model.train()(torch.randn(2, 3, size, size))
    return model.eval()


def write_network(path, name):
    """The model's modules and functions in order, each with its arguments and a module's settings, for those that
    must not load torch (json_tf.py)."""
    import torch

    with torch.device("meta"):
        model = new(name)

    def step(node):
        about = {"name": node.name, "args": node.args, "kwargs": node.kwargs}
        if node.op != "call_module":
            return dict(
                about, op=getattr(node.target, "__name__", node.target) if node.op.startswith("call") else node.op
            )
        module = model.get_submodule(node.target)
        settings = {k: getattr(module, k) for k in getattr(module, "__constants__", [])}
        return dict(about, op=type(module).__name__, layer=node.target, **settings)

    coded = lambda a: {"slice": [a.start, a.stop, a.step]} if isinstance(a, slice) else {"value": a.name}
    network = {
        "parameters": [k for k, _ in model.named_parameters()],
        "steps": [step(n) for n in torch.fx.symbolic_trace(model).graph.nodes],
    }
    with open(path, "w") as f:
        json.dump(network, f, default=coded)


def prepare(folder, name, batch, size, mode):
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    at = lambda file: os.path.join(folder, file)
    model = make_weights(torch, name, size)
    torch.save(model.state_dict(), at("weights.pt"))
    write_safetensors(at("weights.safetensors"), {k: v.numpy() for k, v in model.state_dict().items()})
    x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(2))
    np.save(at("x.npy"), x.numpy())
    if mode == "infer":
        with torch.no_grad():
            for i, y in enumerate(outputs_of(model.double()(x.double()))):
                np.save(at("reference%d.npy" % i), y.numpy())
        return
    classes = {"unet": 2, "resnet20": 10}.get(name, 1000)
    shape = (batch, size, size) if name == "unet" else (batch,)
    target = torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(3))
    np.save(at("target.npy"), target.numpy())
    write_network(at("network.json"), name)
    model = model.double().train()
    loss_of(torch, model(x.double()), target).backward()
    np.savez(at("reference.npz"), **{k: p.grad.numpy() for k, p in model.named_parameters()})


def export_onnx(folder, name):
    """A process of its own: the exporter takes memory that no peer should be charged with."""
    import torch

    x = torch.from_numpy(np.load(os.path.join(folder, "x.npy")))
    with torch.no_grad():
        torch.onnx.export(
            folded(load(folder, name)), (x,), os.path.join(folder, "model.onnx"), dynamo=True, external_data=True
        )


def list_convolutions(folder, name, batch, size):
    """convolutions.json: the shape of each, as the network runs it."""
    import torch

    model, found = new(name).eval(), []

    def note(module, given, y, layer):
        found.append(
            {
                "name": layer,
                "src": [batch, *given[0].shape[1:]],
                "weights": list(module.weight.shape),
                "dst": [batch, *y.shape[1:]],
                "stride": module.stride,
                "pad": module.padding,
                "dilation": module.dilation,
            }
        )

    for layer, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, given, y, layer=layer: note(m, given, y, layer))
    with torch.no_grad():
        model(torch.zeros(1, 3, size, size))
    with open(os.path.join(folder, "convolutions.json"), "w") as f:
        json.dump(found, f)


def relative_error(got, want):
    """The L2 norm of the difference over that of what is right, of a list of arrays as one vector."""
    if [g.shape for g in got] != [w.shape for w in want]:
        return math.inf
    difference = sum(float(np.square(g.astype(np.float64) - w).sum()) for g, w in zip(got, want))
    return math.sqrt(difference / sum(float(np.square(w).sum()) for w in want))


if __name__ == "__main__":
    if sys.argv[1] == "onnx":
        export_onnx(*sys.argv[2:4])
    elif sys.argv[1] == "convolutions":
        list_convolutions(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        prepare(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
