"""A training step of network.json (models.py writes it) in TensorFlow, in NHWC: forward, loss, gradients and SGD,
without torch, whose memory would count."""

import json
import os

import numpy as np

import models

RATE, MOMENTUM, DECAY = 1e-6, 0.9, 1e-4
# Weights: [O, I, H, W] and [O, I] in the file, [H, W, I, O] and [I, O] here. Transposed convolutions have O and I
# swapped in both.
ORDER, BACK = {2: (1, 0), 4: (2, 3, 1, 0)}, {2: (1, 0), 4: (3, 2, 0, 1)}


class Network:
    def __init__(self, tf, network, weights):
        self.tf, self.steps = tf, network["steps"]
        self.variables = {
            k: tf.Variable(np.transpose(w, ORDER.get(w.ndim)), trainable=k in network["parameters"])
            for k, w in weights.items()
            if w.dtype == np.float32
        }
        self.parameters = [self.variables[k] for k in network["parameters"]]
        self.moments = [tf.Variable(tf.zeros_like(p), trainable=False) for p in self.parameters]

    def step(self, x, target):
        tf = self.tf
        with tf.GradientTape() as tape:
            loss = self.loss(self.forward(x), target)
        for p, m, g in zip(self.parameters, self.moments, tape.gradient(loss, self.parameters)):
            tf.raw_ops.ResourceApplyMomentum(
                var=p.handle, accum=m.handle, lr=RATE, grad=g + DECAY * p, momentum=MOMENTUM
            )
        return loss

    def gradients(self):
        """Those of the first step, in PyTorch's order and layout: its moments are the gradients and the decay."""
        return [
            np.transpose(m.numpy() - DECAY * p.numpy(), BACK.get(len(p.shape)))
            for p, m in zip(self.parameters, self.moments)
        ]

    def loss(self, y, target):
        """As models.loss_of."""
        tf = self.tf
        counted = tf.not_equal(target, 255 if len(target.shape) == 3 else -100)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counted, target, 0), y)
        return tf.reduce_sum(tf.where(counted, each, 0)) / tf.reduce_sum(tf.cast(counted, each.dtype))

    def forward(self, x):
        values = {}

        def operand(a):
            if isinstance(a, list):
                return [operand(i) for i in a]
            return values[a["value"]] if isinstance(a, dict) and "value" in a else a

        for s in self.steps:
            if s["op"] == "placeholder":
                y = self.tf.transpose(x, [0, 2, 3, 1])
            elif s["op"] == "output":
                return operand(s["args"][0])
            else:
                y = getattr(self, "op_" + s["op"])(s, *operand(s["args"]))
            values[s["name"]] = y

    def weight(self, s, kind="weight"):
        return self.variables.get("%s.%s" % (s["layer"], kind))

    def biased(self, s, y):
        b = self.weight(s, "bias")
        return y if b is None else self.tf.nn.bias_add(y, b)

    @staticmethod
    def only(s, **settings):
        for k, v in settings.items():
            if s[k] != v:
                raise NotImplementedError("%s with %s %s" % (s["op"], k, s[k]))

    def padded(self, x, pad, value=0.0):
        h, w = pad
        return self.tf.pad(x, [[0, 0], [h, h], [w, w], [0, 0]], constant_values=value) if h or w else x

    def op_Conv2d(self, s, x):
        self.only(s, groups=1, dilation=[1, 1])
        # PyTorch pads both sides alike, SAME only with stride 1. With explicit paddings the backward pass takes 1.3 to
        # 1.8 times as long.
        same = s["stride"] == [1, 1] and s["kernel_size"] == [2 * p + 1 for p in s["padding"]]
        if not same:
            x = self.padded(x, s["padding"])
        return self.biased(s, self.tf.nn.conv2d(x, self.weight(s), s["stride"], "SAME" if same else "VALID"))

    def op_ConvTranspose2d(self, s, x):
        self.only(s, groups=1, dilation=[1, 1], padding=[0, 0], output_padding=[0, 0], stride=s["kernel_size"])
        n, h, w, _ = x.shape
        shape = [n, h * s["stride"][0], w * s["stride"][1], s["out_channels"]]
        return self.biased(s, self.tf.nn.conv2d_transpose(x, self.weight(s), shape, s["stride"], "VALID"))

    def op_BatchNorm2d(self, s, x):
        # tf.nn.fused_batch_norm, which has no smaller epsilon than 1.001e-5, calls this too
        mean, variance = self.weight(s, "running_mean"), self.weight(s, "running_var")
        y = self.tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.weight(s),
            offset=self.weight(s, "bias"),
            mean=mean,
            variance=variance,
            epsilon=s["eps"],
            exponential_avg_factor=s["momentum"],
            is_training=True,
        )
        mean.assign(y.batch_mean)
        variance.assign(y.batch_variance)
        return y.y

    def op_ReLU(self, s, x):
        return self.tf.nn.relu(x)

    op_relu = op_ReLU

    def op_MaxPool2d(self, s, x):
        self.only(s, dilation=1, ceil_mode=False)
        x = self.padded(x, [s["padding"]] * 2, -np.inf)  # explicit paddings: 4 times as long, and unknown to XLA
        return self.tf.nn.max_pool2d(x, s["kernel_size"], s["stride"], "VALID")

    def op_AdaptiveAvgPool2d(self, s, x):
        self.only(s, output_size=[1, 1])
        return self.tf.reduce_mean(x, [1, 2], keepdims=True)

    def op_adaptive_avg_pool2d(self, s, x, size):
        return self.op_AdaptiveAvgPool2d(dict(s, output_size=[size, size]), x)

    def op_flatten(self, s, x, start):
        if start != 1 or list(x.shape[1:3]) != [1, 1]:  # of more pixels the order would differ
            raise NotImplementedError("flatten of %s" % x.shape)
        return self.tf.squeeze(x, [1, 2])

    def op_Linear(self, s, x):
        return self.biased(s, self.tf.matmul(x, self.weight(s)))

    def op_add(self, s, x, y):
        return self.tf.add(x, y)

    def op_cat(self, s, xs, axis):
        return self.tf.concat(xs, {0: 0, 1: 3, 2: 1, 3: 2}[axis])

    def op_pad(self, s, x, sizes):
        pairs = [sizes[i : i + 2] for i in range(0, len(sizes), 2)] + [[0, 0]] * 4  # of the last dimension first
        return self.tf.pad(x, [pairs[3], pairs[1], pairs[0], pairs[2]])

    def op_getitem(self, s, x, index):
        return x[tuple(index[i] for i in (0, 2, 3, 1))]


def load(tf, folder):
    as_slice = lambda o: slice(*o["slice"]) if "slice" in o else o
    with open(os.path.join(folder, "network.json")) as f:
        network = json.load(f, object_hook=as_slice)
    return Network(tf, network, models.read_safetensors(os.path.join(folder, "weights.safetensors")))
