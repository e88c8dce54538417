"""An ONNX file as a list of oneDNN primitives, through oneDNN's C API: layouts of the library's choice, weights
packed, additions and ReLUs fused."""

import ctypes
import os
import sys

import numpy as np

PATH = os.path.join(sys.prefix, "lib", "libdnnl.so.3")
# Of dnnl_types.h and dnnl_common_types.h.
CPU, IN_ORDER = 1, 1
TYPES = {"bf16": (2, 2), "fp32": (3, 4)}  # number, bytes
TRAINING, INFERENCE = 64, 96
DIRECT, DECONVOLUTION, RELU, MAX, AVERAGE, ADD, NEAREST = 1, 0xA, 0x20, 0x1FF, 0x2FF, 0x1FFF0, 0x2FFF0
ANY, PLAIN = 1, {1: "a", 2: "ab", 4: "abcd"}
QUERY = {"src": 129, "diff_src": 130, "weights": 131, "diff_weights": 132, "dst": 133, "diff_dst": 134}
ARGUMENT = {
    "src": 1,
    "src1": 2,
    "dst": 17,
    "weights": 33,
    "bias": 41,
    "diff_src": 129,
    "diff_dst": 145,
    "diff_weights": 161,
    "list": 1024,
    "post": 16384,
}


class Argument(ctypes.Structure):
    _fields_ = [("index", ctypes.c_int), ("memory", ctypes.c_void_p)]


class Library:
    def __init__(self):
        self.c = ctypes.CDLL(PATH)
        self.c.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        self.c.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
        self.engine = self.make("engine_create", CPU, ctypes.c_size_t(0))
        self.stream = self.make("stream_create", self.engine, IN_ORDER)
        self.__version__ = self.version()

    def call(self, name, *args):
        status = getattr(self.c, "dnnl_" + name)(*args)
        if status:
            raise RuntimeError("oneDNN: %s gives status %d" % (name, status))

    def make(self, name, *args):
        """Calls what returns a new object by its first argument."""
        out = ctypes.c_void_p()
        self.call(name, ctypes.byref(out), *args)
        return out

    def version(self):
        class Version(ctypes.Structure):
            _fields_ = [(f, ctypes.c_int) for f in ("major", "minor", "patch")]

        self.c.dnnl_version.restype = ctypes.POINTER(Version)
        v = self.c.dnnl_version().contents
        return "%d.%d.%d" % (v.major, v.minor, v.patch)

    def size(self, layout):
        return self.c.dnnl_memory_desc_get_size(layout)

    def layout(self, dims, dtype, order=None):
        """A memory descriptor: ORDER is the dims from the outermost on (\"acdb\": NHWC), None what the library likes
        best."""
        if order is None:
            return self.make("memory_desc_create_with_tag", len(dims), array(dims), TYPES[dtype][0], ANY)
        strides, step = [0] * len(dims), 1
        for letter in reversed(order):
            at = ord(letter) - ord("a")
            strides[at], step = step, step * dims[at]
        return self.make("memory_desc_create_with_strides", len(dims), array(dims), TYPES[dtype][0], array(strides))

    def chosen(self, description, what):
        return ctypes.c_void_p(self.c.dnnl_primitive_desc_query_md(description, QUERY[what], 0))

    def memory(self, layout, buffer):
        return self.make("memory_create", layout, self.engine, ctypes.c_void_p(buffer.ctypes.data))

    def execute(self, primitive, count, arguments):
        self.c.dnnl_primitive_execute(primitive, self.stream, count, arguments)

    def wait(self):
        self.call("stream_wait", self.stream)

    def reorder(self, source, target):
        """SOURCE and TARGET: (layout, memory)."""
        d = self.make("reorder_primitive_desc_create", source[0], self.engine, target[0], self.engine, None)
        return self.bind(d, src=source[1], dst=target[1])

    def bind(self, description, **memories):
        """A primitive with its arguments, ready for `execute`; names with a number belong to lists (list0) or
        post-ops (post1)."""
        args = (Argument * len(memories))()
        for a, (name, memory) in zip(args, memories.items()):
            kind = name.rstrip("0123456789") if name not in ARGUMENT else name
            number = int(name[len(kind) :] or 0)
            a.memory = memory
            # DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1
            a.index = (ARGUMENT[kind] * 2 * (number + 1)) | 2 if kind == "post" else ARGUMENT[kind] + number
        return self.make("primitive_create", description), len(args), args


def array(values):
    return (ctypes.c_int64 * 12)(*values)


def aligned(size):
    """Bytes that begin at a cache line."""
    raw = np.empty(size + 64, np.uint8)
    at = -raw.ctypes.data % 64
    return raw[at : at + size]


class Value:
    """A tensor: logical dims, its layout, its buffer, how often it will still be read."""

    def __init__(self, dims, layout, buffer, memory, readers):
        self.dims, self.layout, self.buffer, self.memory, self.readers = dims, layout, buffer, memory, readers


class Network:
    """Calling it computes. ORDER: the layout of all activations, None leaves it to the library, layer by layer."""

    def __init__(self, library, path, x, dtype, order=None):
        import onnx

        self.lib, self.dtype, self.order = library, dtype, order
        model = onnx.load(path, load_external_data=False)
        self.nodes = [n for n in model.graph.node if n.op_type != "Constant"]
        self.constants = constants(onnx, model.graph, os.path.dirname(path))
        self.readers = {}
        for n in self.nodes:
            for name in n.input:
                self.readers.setdefault(name, []).append(n)
        self.steps, self.values, self.fused = [], {}, set()
        self.buffers, self.free, self.packs = (
            [],
            [],
            {},
        )  # of activations; those of them that are free; packed weights by name
        self.input(model.graph.input[0].name, x)
        for n in self.nodes:
            if not hasattr(self, "op_" + n.op_type):
                raise NotImplementedError("no operator %s" % n.op_type)
            if n.output[0] not in self.fused:
                getattr(self, "op_" + n.op_type)(n, {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute})
        self.outputs = [
            self.output(o.name, [d.dim_value for d in o.type.tensor_type.shape.dim]) for o in model.graph.output
        ]
        del self.nodes, self.constants, self.readers

    def __call__(self):
        for step in self.steps:
            self.lib.execute(*step)
        self.lib.wait()
        return self.outputs

    # ---- values and their memory

    def put(self, name, dims, layout, buffer=None):
        buffer = self.take(self.lib.size(layout)) if buffer is None else buffer
        self.values[name] = Value(
            dims, layout, buffer, self.lib.memory(layout, buffer), len(self.readers.get(name, [])) or 1
        )
        return self.values[name]

    def take(self, size):
        """The smallest free buffer that is large enough, or a new one."""
        fitting = [b for b in self.free if b.nbytes >= size]
        if not fitting:
            self.buffers.append(aligned(size))
            return self.buffers[-1]
        best = min(fitting, key=lambda b: b.nbytes)
        self.free = [b for b in self.free if b is not best]
        return best

    def done(self, value):
        """One reader of VALUE has been placed; after the last its buffer is free, unless it is the caller's."""
        value.readers -= 1
        if value.readers == 0 and self.owns(value.buffer):
            self.free.append(value.buffer)

    def owns(self, buffer):
        return any(b is buffer for b in self.buffers)

    def input(self, name, x):
        self.put(name, x.shape, self.lib.layout(x.shape, "fp32", PLAIN[x.ndim]), x)

    def output(self, name, dims):
        """Into the caller's array, plain and float32."""
        v, out = self.values[name], np.empty(dims, np.float32)
        layout = self.lib.layout(v.dims, "fp32", PLAIN[len(v.dims)])
        self.steps.append(self.lib.reorder((v.layout, v.memory), (layout, self.lib.memory(layout, out))))
        return out

    def activation(self, dims):
        return self.lib.layout(dims, self.dtype, self.order if len(dims) == 4 else None)

    def wanted(self, value, layout):
        """The memory of VALUE in LAYOUT, reordered if it is in another, and the buffer that is free after it has been
        read."""
        if self.lib.c.dnnl_memory_desc_equal(value.layout, layout):
            return value.memory, None
        buffer = self.take(self.lib.size(layout))
        memory = self.lib.memory(layout, buffer)
        self.steps.append(self.lib.reorder((value.layout, value.memory), (layout, memory)))
        return memory, buffer

    def packed(self, name, constant, layout, order):
        """A constant in LAYOUT, which an ORDER of its dims describes as it is; once for all who want the same."""
        for _, there, memory in self.packs.setdefault(name, []):
            if self.lib.c.dnnl_memory_desc_equal(there, layout):
                return memory
        constant = np.ascontiguousarray(constant)
        plain = self.lib.layout([constant.shape[order.index(c)] for c in sorted(order)], "fp32", order)
        buffer = aligned(self.lib.size(layout))
        memory = self.lib.memory(layout, buffer)
        self.lib.execute(*self.lib.reorder((plain, self.lib.memory(plain, constant)), (layout, memory)))
        self.lib.wait()
        self.packs[name].append((buffer, layout, memory))
        return memory

    # ---- what can be fused behind a convolution

    def only_reader(self, name, kind):
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind else None

    def tail(self, name):
        """(other operand of an addition behind NAME if it has been computed, is there a ReLU, the name of the
        result)."""
        other = None
        add = self.only_reader(name, "Add")
        if add:
            names = [i for i in add.input if i != name]
            if len(names) == 1 and names[0] in self.values:
                other, name = self.values[names[0]], self.follow(add)
        relu = self.only_reader(name, "Relu")
        return other, bool(relu), self.follow(relu) if relu else name

    def follow(self, node):
        self.fused.add(node.output[0])
        return node.output[0]

    def attribute(self, other, relu, summed):
        """The post-ops: the sum reads what the result's buffer holds, a binary addition any other."""
        ops = self.lib.make("post_ops_create")
        if other is not None and summed:
            self.lib.call("post_ops_append_sum", ops, ctypes.c_float(1), 0, 0)
        elif other is not None:
            self.lib.call("post_ops_append_binary", ops, ADD, other.layout)
        if relu:
            self.lib.call("post_ops_append_eltwise", ops, RELU, ctypes.c_float(0), ctypes.c_float(0))
        attribute = self.lib.make("primitive_attr_create")
        self.lib.call("primitive_attr_set_post_ops", attribute, ops)
        return attribute

    def weighted(self, n, dims, w, order, create):
        """A convolution, deconvolution or inner product with what follows it. CREATE makes its description from
        layouts and attributes."""
        lib, x, bias = self.lib, self.values[n.input[0]], self.constant(n, 2)
        other, relu, result = self.tail(n.output[0])
        summed = other is not None and other.readers == 1 and self.owns(other.buffer)
        wdims = [w.shape[order.index(c)] for c in sorted(order)]
        layouts = [
            self.activation(x.dims),
            lib.layout(wdims, self.dtype),
            None if bias is None else lib.layout(bias.shape, "fp32", "a"),
            other.layout if summed else self.activation(dims),
        ]
        if x.dims[1] < 16 and len(x.dims) == 4:  # the caller's image: first convolutions have kernels for plain pixels
            layouts[0] = lib.layout(x.dims, self.dtype)
        d = create(*layouts, self.attribute(other, relu, summed))
        memory, temporary = self.wanted(x, lib.chosen(d, "src"))
        y = self.put(result, dims, lib.chosen(d, "dst"), other.buffer if summed else None)
        memories = {
            "src": memory,
            "weights": self.packed(n.input[1], w, lib.chosen(d, "weights"), order),
            "dst": y.memory,
        }
        if bias is not None:
            memories["bias"] = self.packed(n.input[2], bias, layouts[2], "a")
        if other is not None and not summed:
            memories["post0"] = other.memory
        self.steps.append(lib.bind(d, **memories))
        if temporary is not None:
            self.free.append(temporary)
        self.done(x)
        if other is not None and not summed:
            self.done(other)

    # ---- operators

    def op_Conv(self, n, a):
        x, w = self.values[n.input[0]], self.constants[n.input[1]]
        if a.get("group", 1) != 1:
            raise NotImplementedError("groups")
        pads, strides, dilations = a.get("pads", [0] * 4), a.get("strides", [1, 1]), a.get("dilations", [1, 1])
        size = [
            (x.dims[i + 2] + pads[i] + pads[i + 2] - dilations[i] * (w.shape[i + 2] - 1) - 1) // strides[i] + 1
            for i in range(2)
        ]
        window = array(strides), array([d - 1 for d in dilations]), array(pads[:2]), array(pads[2:])
        create = lambda src, weights, b, dst, attribute: self.lib.make(
            "convolution_forward_primitive_desc_create",
            self.lib.engine,
            INFERENCE,
            DIRECT,
            src,
            weights,
            b,
            dst,
            *window,
            attribute,
        )
        self.weighted(n, (x.dims[0], w.shape[0], *size), w, "abcd", create)

    def op_ConvTranspose(self, n, a):
        x, w = self.values[n.input[0]], self.constants[n.input[1]]
        pads, strides = a.get("pads", [0] * 4), a.get("strides", [1, 1])
        size = [(x.dims[i + 2] - 1) * strides[i] - pads[i] - pads[i + 2] + w.shape[i + 2] for i in range(2)]
        window = array(strides), array([0, 0]), array(pads[:2]), array(pads[2:])
        create = lambda src, weights, b, dst, attribute: self.lib.make(
            "deconvolution_forward_primitive_desc_create",
            self.lib.engine,
            INFERENCE,
            DECONVOLUTION,
            src,
            weights,
            b,
            dst,
            *window,
            attribute,
        )
        self.weighted(n, (x.dims[0], w.shape[1], *size), w, "bacd", create)

    def op_Gemm(self, n, a):
        x, w = self.values[n.input[0]], self.constants[n.input[1]]
        w = (w if a.get("transB", 0) else w.T)[:, :, *[None] * (len(x.dims) - 2)]
        create = lambda src, weights, b, dst, attribute: self.lib.make(
            "inner_product_forward_primitive_desc_create", self.lib.engine, INFERENCE, src, weights, b, dst, attribute
        )
        self.weighted(n, (x.dims[0], w.shape[0]), w, "abcd"[: w.ndim], create)

    def constant(self, n, i):
        return self.constants[n.input[i]] if len(n.input) > i and n.input[i] else None

    def unary(self, n, dims, name, *args):
        """What reads one value in the layout it has; ARGS is a function of the layouts of source and result."""
        x = self.values[n.input[0]]
        d = self.lib.make(name, self.lib.engine, INFERENCE, *args[0](x.layout, self.activation(dims)))
        y = self.put(n.output[0], dims, self.lib.chosen(d, "dst"))
        self.steps.append(self.lib.bind(d, src=x.memory, dst=y.memory))
        self.done(x)

    def pool(self, n, kind, kernel, strides, pads):
        x = self.values[n.input[0]]
        size = [(x.dims[i + 2] + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i in range(2)]
        window = [array(v) for v in (strides, kernel, [0, 0], pads[:2], pads[2:])]
        self.unary(
            n,
            (*x.dims[:2], *size),
            "pooling_forward_primitive_desc_create",
            lambda src, dst: [kind, src, dst, *window, None],
        )

    def op_MaxPool(self, n, a):
        self.pool(n, MAX, a["kernel_shape"], a.get("strides", [1, 1]), a.get("pads", [0] * 4))

    def op_GlobalAveragePool(self, n, a):
        kernel = self.values[n.input[0]].dims[2:]
        self.pool(n, AVERAGE, kernel, [1, 1], [0] * 4)

    def op_ReduceMean(self, n, a):
        axes = self.constant(n, 1)
        if sorted(int(i) % 4 for i in (a["axes"] if axes is None else axes)) != [2, 3]:
            raise NotImplementedError("ReduceMean over other axes")
        self.op_GlobalAveragePool(n, a)

    def op_Relu(self, n, a):
        self.unary(
            n,
            self.values[n.input[0]].dims,
            "eltwise_forward_primitive_desc_create",
            lambda src, dst: [RELU, src, src, ctypes.c_float(0), ctypes.c_float(0), None],
        )

    def op_Resize(self, n, a):
        x = self.values[n.input[0]]
        scales, sizes = self.constant(n, 2), self.constant(n, 3)
        if a["mode"] != b"nearest":
            raise NotImplementedError("Resize %s" % a["mode"])
        size = sizes[2:] if sizes is not None else [x.dims[i] * scales[i] for i in (2, 3)]
        self.unary(
            n,
            (*x.dims[:2], *map(int, size)),
            "resampling_forward_primitive_desc_create",
            lambda src, dst: [NEAREST, None, src, dst, None],
        )

    def op_Reshape(self, n, a):
        x = self.values[n.input[0]]
        if x.dims[2:] not in ((), (1, 1)):
            raise NotImplementedError("Reshape of an image")
        self.values[n.output[0]] = x  # its one reader stays to be counted

    op_Flatten = op_Identity = op_Reshape

    def op_Add(self, n, a):
        x, y = (self.values[i] for i in n.input)
        d = self.lib.make(
            "binary_primitive_desc_create", self.lib.engine, ADD, x.layout, y.layout, self.activation(x.dims), None
        )
        z = self.put(n.output[0], x.dims, self.lib.chosen(d, "dst"))
        self.steps.append(self.lib.bind(d, src=x.memory, src1=y.memory, dst=z.memory))
        self.done(x), self.done(y)

    def op_Concat(self, n, a):
        parts = [self.values[i] for i in n.input]
        dims = (parts[0].dims[0], sum(p.dims[1] for p in parts), *parts[0].dims[2:])
        layouts = (ctypes.c_void_p * len(parts))(*[p.layout.value for p in parts])
        d = self.lib.make("concat_primitive_desc_create", self.lib.engine, None, len(parts), 1, layouts, None)
        y = self.put(n.output[0], dims, self.lib.chosen(d, "dst"))
        self.steps.append(self.lib.bind(d, dst=y.memory, **{"list%d" % i: p.memory for i, p in enumerate(parts)}))
        for p in parts:
            self.done(p)


def constants(onnx, graph, folder):
    """Arrays by name; what is in a file beside the model is mapped from there."""

    def array_of(t):
        if t.data_location != onnx.TensorProto.EXTERNAL:
            return onnx.numpy_helper.to_array(t)
        place = {e.key: e.value for e in t.external_data}
        kind = onnx.helper.tensor_dtype_to_np_dtype(t.data_type)
        return np.memmap(os.path.join(folder, place["location"]), kind, "r", int(place.get("offset", 0)), tuple(t.dims))

    out = {t.name: array_of(t) for t in graph.initializer}
    out.update((n.output[0], array_of(n.attribute[0].t)) for n in graph.node if n.op_type == "Constant")
    return out
