"""TensorFlow.js graph models → ONNX.

Input and outputs keep TensorFlow's layout (NHWC); convolutions use ONNX's layout (NCHW). Each value records its
layouts, and a transposition is added only where the other layout is needed. The batch axis, which some exports fix at
1, becomes free. Only nodes between the named input and the outputs are converted. The decoding of heads (top-k, gather)
is excluded.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from apps.recognition.networks.converters.graph import GraphBuilder
from apps.recognition.networks.errors import NetworkError

TF, ONNX = "NHWC", "NCHW"
TO_ONNX, TO_TF = [0, 3, 1, 2], [0, 2, 3, 1]
CHANNEL_AXIS_OF = {0: 0, 1: 2, 2: 3, 3: 1}  # an axis of NHWC in NCHW

Value = dict[str, str]  # layout → name of the ONNX value in that layout
Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TfGraph:
    """Graph model: nodes and constants by name of the node."""

    nodes: Mapping[str, Node]
    weights: Mapping[str, NDArray[Any]]


def load_graph(topology: Path) -> TfGraph:
    """Read `model.json` and its weight files from the same directory.

    Quantised weights are expanded to float32; float16 weights remain float16. Raises NetworkError for a damaged file.
    """
    try:
        description = json.loads(topology.read_bytes())
        nodes = {node["name"]: node for node in description["modelTopology"]["node"]}
        weights: dict[str, NDArray[Any]] = {}
        for group in description["weightsManifest"]:
            data = b"".join((topology.parent / path).read_bytes() for path in group["paths"])
            weights |= read_weights(data, group["weights"])
    except (KeyError, ValueError, OSError) as error:
        raise NetworkError(f"{topology.name}: is not a TensorFlow.js graph model: {error}") from error
    return TfGraph(nodes, weights)


def read_weights(data: bytes, entries: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    weights, position = {}, 0
    for entry in entries:
        quantization = entry.get("quantization")
        dtype = np.dtype(quantization["dtype"] if quantization else entry["dtype"])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        array = np.frombuffer(data, dtype, count, position).reshape(entry["shape"])
        position += count * dtype.itemsize
        if quantization and dtype != np.float16:
            array = array * np.float32(quantization["scale"]) + np.float32(quantization["min"])
        weights[entry["name"]] = array
    return weights


def convert(
    graph: TfGraph, *, name: str, input_node: str, input_name: str, input_shape: tuple[int, ...],
    outputs: Mapping[str, str], output_shapes: Mapping[str, tuple[int, ...]], opset: int,
) -> onnx.ModelProto:  # fmt: skip
    """Return the ONNX model between `input_node` and the nodes of `outputs` (output name → node name).

    Input: float32 [N, *input_shape] NHWC. Outputs: float32 in TensorFlow's layout. Raises NetworkError for an
    unsupported operation.
    """
    conversion = _Conversion(graph, input_node, input_name)
    for output, node in outputs.items():
        conversion.name_output(node, output)
    return conversion.builder.model(
        name,
        input_name=input_name,
        input_shape=input_shape,
        dtype="float32",
        outputs=[(output, output_shapes[output]) for output in outputs],
        opset=opset,
    )


def _bare(name: str) -> str:
    """Return a node's name without the index of its output."""
    return name.split(":")[0]


def _inputs(node: Node) -> list[str]:
    """Return the names of a node's inputs, without control inputs (`^name`), which have no values."""
    return [_bare(name) for name in node.get("input", []) if not name.startswith("^")]


def _attribute(node: Node, key: str, default: Any = None) -> Any:
    """Return an attribute's value: string, integer, boolean or a list of these."""
    attribute = node.get("attr", {}).get(key)
    if not attribute:
        return default
    kind, value = next(iter(attribute.items()))
    if kind == "s":
        return base64.b64decode(value).decode()
    if kind == "i":
        return int(value)
    if kind == "list":
        if "s" in value:
            return [base64.b64decode(item).decode() for item in value["s"]]
        return [int(item) for item in value.get("i", [])]
    return value


def _padding(node: Node) -> dict[str, object]:
    """Return ONNX attributes of a node's padding. `pads` makes SAME explicit later, when sizes are known."""
    padding = _attribute(node, "padding")
    if padding == "SAME":
        return {"auto_pad": "SAME_UPPER"}
    if padding == "EXPLICIT":
        edges = _attribute(node, "explicit_paddings")
        return {"pads": [edges[2], edges[4], edges[3], edges[5]]}
    return {}


class _Conversion:
    """Conversion of one graph. `values`: the nodes that are already converted."""

    def __init__(self, graph: TfGraph, input_node: str, input_name: str) -> None:
        if input_node not in graph.nodes:
            raise NetworkError(f"the graph has no node {input_node!r}")
        self.graph = graph
        self.builder = GraphBuilder()
        self.values: dict[str, Value] = {input_node: {TF: input_name}}

    def name_output(self, node: str, output: str) -> None:
        """Convert a node with its dependencies and name its value, in TensorFlow's layout."""
        if node not in self.graph.nodes:
            raise NetworkError(f"the graph has no node {node!r}")
        self._reach(node)
        self.builder.name_output(self._value(node, TF), output)

    def _reach(self, goal: str) -> None:
        """Convert `goal` after its dependencies, with a stack, because graphs exceed the limit of recursion."""
        stack = [goal]
        while stack:
            name = stack[-1]
            if name in self.values or self._constant(name) is not None:
                stack.pop()
                continue
            node = self.graph.nodes[name]
            missing = [i for i in _inputs(node) if i not in self.values and self._constant(i) is None]
            if missing:
                stack += missing
            else:
                self.values[name] = self._convert(node)
                stack.pop()

    def _constant(self, name: str) -> NDArray[Any] | None:
        """Return the constant of a name, also through Identity nodes, None for a computed value."""
        name = _bare(name)
        while name not in self.graph.weights and self.graph.nodes[name]["op"] == "Identity":
            name = _inputs(self.graph.nodes[name])[0]
        return self.graph.weights.get(name)

    def _weights(self, name: str) -> NDArray[Any]:
        """Return a required constant."""
        array = self._constant(name)
        if array is None:
            raise NetworkError(f"node {name!r} must be a constant to be converted")
        return array

    def _value(self, name: str, layout: str) -> str:
        """Return the ONNX value of a node in a layout; transpose it if it exists only in the other layout."""
        value = self.values[_bare(name)]
        if layout not in value:
            other = next(iter(value.values()))
            value[layout] = self.builder.node("Transpose", other, perm=TO_ONNX if layout == ONNX else TO_TF)
        return value[layout]

    def _layout(self, names: list[str]) -> str:
        """Return the layout of the first computed input."""
        return next((next(iter(self.values[name])) for name in names if name in self.values), TF)

    def _convert(self, node: Node) -> Value:
        try:
            handler = HANDLERS[node["op"]]
        except KeyError:
            raise NetworkError(f"operation {node['op']} of node {node['name']!r} is not supported") from None
        return handler(self, node)

    def _activation(self, value: str, function: str, slope: NDArray[Any] | None = None) -> str:
        if function == "Relu6":
            zero, six = self.builder.constant(np.float32(0)), self.builder.constant(np.float32(6))
            return self.builder.node("Clip", value, zero, six)
        if function == "Prelu" and slope is not None:
            return self.builder.prelu(value, slope)
        if function in ("Relu", "Sigmoid", "Tanh"):
            return self.builder.node(function, value)
        raise NetworkError(f"activation {function} is not supported")

    def identity(self, node: Node) -> Value:
        """Convert Identity: the same value under another name."""
        return self.values[_inputs(node)[0]]

    def convolution(self, node: Node) -> Value:
        """Convert Conv2D and DepthwiseConv2dNative, with a fused bias and activation."""
        inputs = _inputs(node)
        kernel, groups = self._weights(inputs[1]), 1
        if "Depthwise" in node["op"]:
            height, width, groups, multiplier = kernel.shape
            kernel = kernel.transpose(2, 3, 0, 1).reshape(groups * multiplier, 1, height, width)
        else:
            kernel = kernel.transpose(3, 2, 0, 1)
        fused = _attribute(node, "fused_ops", [])
        arguments = [self._value(inputs[0], ONNX), self.builder.constant(kernel)]
        if "BiasAdd" in fused:
            arguments.append(self.builder.constant(self._weights(inputs[2])))
        value = self.builder.node(
            "Conv",
            *arguments,
            kernel_shape=list(kernel.shape[2:]),
            strides=_attribute(node, "strides")[1:3],
            dilations=_attribute(node, "dilations", [1, 1, 1, 1])[1:3],
            group=groups,
            **_padding(node),
        )
        for function in fused:
            if function != "BiasAdd":
                value = self._activation(value, function, self._weights(inputs[3]) if function == "Prelu" else None)
        return {ONNX: value}

    def elementwise(self, node: Node) -> Value:
        """Convert arithmetic of values and constants, in NCHW if one of them has this layout."""
        names = _inputs(node)
        layout = ONNX if any(ONNX in self.values.get(name, {}) for name in names) else self._layout(names)
        arguments = []
        for name in names:
            constant = self._constant(name)
            if constant is None:
                arguments.append(self._value(name, layout))
                continue
            if layout == ONNX:
                constant = constant.reshape((1,) * (4 - constant.ndim) + constant.shape).transpose(TO_ONNX)
            arguments.append(self.builder.constant(constant))
        return {layout: self.builder.node(ELEMENTWISE[node["op"]], *arguments)}

    def unary(self, node: Node) -> Value:
        """Convert an elementwise function; the layout is unchanged."""
        names = _inputs(node)
        layout = self._layout(names)
        return {layout: self.builder.node(node["op"], self._value(names[0], layout))}

    def rectifier(self, node: Node) -> Value:
        """Convert Relu6 and Prelu, which have a constant."""
        names = _inputs(node)
        slope = self._weights(names[1]) if len(names) > 1 else None
        return {ONNX: self._activation(self._value(names[0], ONNX), node["op"], slope)}

    def softmax(self, node: Node) -> Value:
        """Convert Softmax over the last axis."""
        return {TF: self.builder.node("Softmax", self._value(_inputs(node)[0], TF), axis=-1)}

    def pool(self, node: Node) -> Value:
        """Convert max and average pooling; padding is not part of the mean."""
        operator = "MaxPool" if node["op"] == "MaxPool" else "AveragePool"
        value = self.builder.node(
            operator,
            self._value(_inputs(node)[0], ONNX),
            kernel_shape=_attribute(node, "ksize")[1:3],
            strides=_attribute(node, "strides")[1:3],
            **_padding(node),
        )
        return {ONNX: value}

    def pad(self, node: Node) -> Value:
        """Convert padding with zeros, in the layout of the value."""
        names = _inputs(node)
        layout = self._layout(names)
        edges = self._weights(names[1])
        if layout == ONNX:
            edges = edges[TO_ONNX]
        return {
            layout: self.builder.node(
                "Pad", self._value(names[0], layout), self.builder.constant(edges.T.reshape(-1).astype(np.int64))
            )
        }

    def reduction(self, node: Node) -> Value:
        """Convert Mean and Max over axes; over both sides of a picture they become global pooling."""
        names = _inputs(node)
        reduced = [int(axis) for axis in np.atleast_1d(self._weights(names[1]))]
        keep = bool(_attribute(node, "keep_dims", False))
        kind = {"Mean": ("GlobalAveragePool", "ReduceMean"), "Max": ("GlobalMaxPool", "ReduceMax")}[node["op"]]
        if self._layout(names) == ONNX and sorted(axis % 4 for axis in reduced) == [1, 2]:
            value = self.builder.node(kind[0], self._value(names[0], ONNX))
            return {ONNX: value} if keep else {TF: self.builder.node("Flatten", value)}
        # Up to opset 17 `axes` is an attribute of both reductions.
        return {TF: self.builder.node(kind[1], self._value(names[0], TF), axes=reduced, keepdims=int(keep))}

    def reshape(self, node: Node) -> Value:
        """Convert a reshape to a constant shape; a batch axis fixed at 1 becomes free."""
        names = _inputs(node)
        shape = self._weights(names[1]).astype(np.int64)
        if -1 not in shape[1:]:
            shape[0] = -1
        elif shape[0] == 1:
            shape[0] = 0
        return {TF: self.builder.node("Reshape", self._value(names[0], TF), self.builder.constant(shape))}

    def concatenation(self, node: Node) -> Value:
        """Convert a concatenation along a constant axis."""
        *names, axis_name = _inputs(node)
        axis = int(self._weights(axis_name))
        layout = self._layout(names)
        arguments = [self._value(name, layout) for name in names]
        if layout == ONNX:
            axis = CHANNEL_AXIS_OF[axis % 4]
        return {layout: self.builder.node("Concat", *arguments, axis=axis)}

    def resize(self, node: Node) -> Value:
        """Convert bilinear resampling to a constant size."""
        names = _inputs(node)
        value = self._value(names[0], ONNX)
        constant, build = self.builder.constant, self.builder.node
        batch_and_channels = build("Slice", build("Shape", value), constant(np.array([0])), constant(np.array([2])))
        size = build("Concat", batch_and_channels, constant(self._weights(names[1]).astype(np.int64)), axis=0)
        mode = "asymmetric"
        if _attribute(node, "half_pixel_centers", False):
            mode = "half_pixel"
        if _attribute(node, "align_corners", False):
            mode = "align_corners"
        return {ONNX: build("Resize", value, "", "", size, mode="linear", coordinate_transformation_mode=mode)}

    def product(self, node: Node) -> Value:
        """Convert a product with a constant matrix, with a fused bias and activation."""
        names = _inputs(node)
        fused = _attribute(node, "fused_ops", [])
        matrix = self._weights(names[1])
        if _attribute(node, "transpose_b", False):
            matrix = matrix.T
        left, right = self._value(names[0], TF), self.builder.constant(matrix)
        if "BiasAdd" in fused:
            value = self.builder.node("Gemm", left, right, self.builder.constant(self._weights(names[2])))
        else:
            value = self.builder.node("MatMul", left, right)
        for function in fused:
            if function != "BiasAdd":
                value = self._activation(value, function)
        return {TF: value}


ELEMENTWISE = {
    "Add": "Add", "AddV2": "Add", "AddN": "Sum", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div",
    "Minimum": "Min", "Maximum": "Max", "BiasAdd": "Add",
}  # fmt: skip
CONVOLUTIONS = (
    "Conv2D", "_FusedConv2D", "FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative",
)  # fmt: skip
HANDLERS: dict[str, Callable[[_Conversion, Node], Value]] = {
    "Identity": _Conversion.identity,
    **dict.fromkeys(CONVOLUTIONS, _Conversion.convolution),
    **dict.fromkeys(ELEMENTWISE, _Conversion.elementwise),
    **dict.fromkeys(("Relu", "Sigmoid", "Sqrt", "Tanh"), _Conversion.unary),
    **dict.fromkeys(("Relu6", "Prelu"), _Conversion.rectifier),
    "Softmax": _Conversion.softmax,
    **dict.fromkeys(("MaxPool", "AvgPool"), _Conversion.pool),
    **dict.fromkeys(("Pad", "PadV2"), _Conversion.pad),
    **dict.fromkeys(("Mean", "Max"), _Conversion.reduction),
    "Reshape": _Conversion.reshape,
    "ConcatV2": _Conversion.concatenation,
    "ResizeBilinear": _Conversion.resize,
    **dict.fromkeys(("MatMul", "_FusedMatMul"), _Conversion.product),
}
