"""An ONNX file as a TensorFlow function: the operators that the exported models use, in NHWC, which TensorFlow needs
on CPUs."""

import numpy as np


class Graph:
    def __init__(self, tf, model, xla):
        from onnx import numpy_helper

        self.tf, self.graph, self.xla = tf, model.graph, xla
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        for n in model.graph.node:
            if n.op_type == "Constant":
                self.constants[n.output[0]] = numpy_helper.to_array(n.attribute[0].t)

    def __call__(self, x):
        tf = self.tf
        values = {self.graph.input[0].name: tf.transpose(x, [0, 2, 3, 1])}
        for n in self.graph.node:
            if n.op_type != "Constant":
                values[n.output[0]] = getattr(self, "op_" + n.op_type)(
                    self.attributes(n), *[self.operand(values, i) for i in n.input]
                )
        back = lambda y: tf.transpose(y, [0, 3, 1, 2]) if len(y.shape) == 4 else y
        return [back(values[o.name]) for o in self.graph.output]

    def operand(self, values, name):
        return values[name] if name in values else self.constants.get(name)

    @staticmethod
    def attributes(node):
        from onnx import helper

        return {a.name: helper.get_attribute_value(a) for a in node.attribute}

    @staticmethod
    def padding(a):
        p = a.get("pads", [0, 0, 0, 0])
        return [[0, 0], [p[0], p[2]], [p[1], p[3]], [0, 0]]

    def op_Conv(self, a, x, w, b=None):
        tf = self.tf
        y = tf.nn.conv2d(x, tf.constant(w.transpose(2, 3, 1, 0)), a.get("strides", [1, 1]), self.padding(a))
        return y if b is None else tf.nn.bias_add(y, tf.constant(b))

    def op_ConvTranspose(self, a, x, w, b=None):
        tf = self.tf
        (kh, kw), (sh, sw) = w.shape[2:], a["strides"]
        if any(a.get("pads", [0])) or (kh, kw) != (sh, sw):
            raise NotImplementedError("ConvTranspose with overlaps")
        shape = [x.shape[0], x.shape[1] * sh, x.shape[2] * sw, w.shape[1]]
        y = tf.nn.conv2d_transpose(x, tf.constant(w.transpose(2, 3, 1, 0)), shape, [sh, sw], "VALID")
        return y if b is None else tf.nn.bias_add(y, tf.constant(b))

    def op_Relu(self, a, x):
        return self.tf.nn.relu(x)

    def op_Identity(self, a, x):
        return x

    def op_MaxPool(self, a, x):
        padding = self.padding(a)
        if self.xla:  # which knows no padding in pooling
            x, padding = self.tf.pad(x, padding, constant_values=-np.inf), "VALID"
        return self.tf.nn.max_pool2d(x, a["kernel_shape"], a.get("strides", [1, 1]), padding)

    def op_GlobalAveragePool(self, a, x):
        return self.tf.reduce_mean(x, [1, 2], keepdims=True)

    def op_ReduceMean(self, a, x, axes=None):
        axes = sorted(int(i) % 4 for i in (axes if axes is not None else a["axes"]))
        if axes != [2, 3]:
            raise NotImplementedError("ReduceMean over %s" % axes)
        keep = bool(a.get("keepdims", 1))
        return self.tf.reduce_mean(x, [1, 2], keepdims=keep)

    def op_Reshape(self, a, x, shape):
        return self.tf.reshape(self.tf.transpose(x, [0, 3, 1, 2]) if len(x.shape) == 4 else x, shape)

    def op_Flatten(self, a, x):
        return self.op_Reshape(a, x, [x.shape[0], -1])

    def op_Gemm(self, a, x, w, b=None):
        y = self.tf.matmul(x, self.tf.constant(w), transpose_b=bool(a.get("transB", 0)))
        return y if b is None else y + self.tf.constant(b)

    def op_Add(self, a, x, y):
        return self.tf.add(x, y)

    def op_Concat(self, a, *xs):
        return self.tf.concat(xs, 3 if a["axis"] in (1, -3) else None)

    def op_Resize(self, a, x, roi=None, scales=None, sizes=None):
        if a["mode"] != b"nearest":
            raise NotImplementedError("Resize %s" % a["mode"])
        size = (
            [int(s) for s in sizes[2:]]
            if sizes is not None and len(sizes)
            else [int(x.shape[i + 1] * scales[i + 2]) for i in range(2)]
        )
        return self.tf.image.resize(x, size, method="nearest")


def load(tf, path, xla):
    import onnx

    return Graph(tf, onnx.load(path), xla)
