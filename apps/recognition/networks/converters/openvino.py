"""OpenVINO IR (version 10 and 11, `.xml` + `.bin`) → ONNX.

Supports convolutional networks with one input and one output. float16 weights remain float16 in the file. The batch
axis, which the IR fixes, becomes free: computed shapes are replaced by the IR's declared shapes after the batch axis.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from apps.recognition.networks.converters.graph import GraphBuilder
from apps.recognition.networks.errors import NetworkError

VERSIONS = ("10", "11")
ELEMENT_TYPES = {"f16": np.float16, "f32": np.float32, "i32": np.int32, "i64": np.int64}


@dataclass(frozen=True, slots=True)
class Layer:
    """Layer of the IR: type, settings, source layers, and the shapes of its first input and output."""

    id: str
    type: str
    settings: dict[str, str]
    inputs: tuple[str, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] = ()

    def integers(self, key: str) -> list[int]:
        """Return a setting that is a list of integers."""
        return [int(value) for value in self.settings[key].split(",") if value.strip()]


def read_layers(path: Path) -> list[Layer]:
    """Return the layers of an `.xml` file in its (topological) order. Raises NetworkError for an invalid file."""
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 (its SHA-256 is the manifest's)
        if root.tag != "net" or root.get("version") not in VERSIONS:
            raise ValueError(f"version {root.get('version')} of {root.tag}")
        sources = {(edge.get("to-layer"), edge.get("to-port")): edge.attrib["from-layer"] for edge in root.iter("edge")}
        return [_read_layer(element, sources) for element in root.iter("layer")]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise NetworkError(f"{path.name}: is not an OpenVINO network: {error}") from error


def _read_layer(element: ElementTree.Element, sources: dict[tuple[str | None, str | None], str]) -> Layer:
    data = element.find("data")
    ports = element.findall("input/port")
    return Layer(
        id=element.attrib["id"],
        type=element.attrib["type"],
        settings={} if data is None else dict(data.attrib),
        inputs=tuple(sources[element.get("id"), port.get("id")] for port in ports),
        input_shape=_sizes(ports),
        output_shape=_sizes(element.findall("output/port")),
    )


def _sizes(ports: list[ElementTree.Element]) -> tuple[int, ...]:
    """Return the shape of the first port."""
    return tuple(int(dimension.text or 0) for dimension in ports[0].findall("dim")) if ports else ()


def convert(
    xml: Path, weights: Path, *, name: str, input_name: str, output_name: str, output_shape: tuple[int, ...], opset: int
) -> onnx.ModelProto:
    """Return the ONNX model: one float32 input in the IR's layout, one float32 output flattened to [N, values].

    Raises NetworkError for an unsupported operation, or files that do not belong together.
    """
    layers = read_layers(xml)
    conversion = _Conversion(weights.read_bytes(), input_name)
    try:
        for layer in layers:
            conversion.add(layer)
        input_shape = next(layer.integers("shape") for layer in layers if layer.type == "Parameter")
        result = next(layer for layer in layers if layer.type == "Result")
        conversion.name_output(result, output_name)
    except (KeyError, ValueError, StopIteration) as error:
        raise NetworkError(f"{xml.name}: cannot be converted: {error!r}") from error
    return conversion.builder.model(
        name,
        input_name=input_name,
        input_shape=input_shape[1:],
        dtype="float32",
        outputs=[(output_name, output_shape)],
        opset=opset,
    )


class _Conversion:
    """Conversion of one network: constants and ONNX values by layer."""

    def __init__(self, weights: bytes, input_name: str) -> None:
        self.weights = weights
        self.input_name = input_name
        self.builder = GraphBuilder()
        self.constants: dict[str, NDArray[Any]] = {}
        self.values: dict[str, str] = {}
        self.shapes: set[str] = set()  # layers that compute only shapes, which the IR declares

    def add(self, layer: Layer) -> None:
        """Convert one layer; its inputs are already converted."""
        if layer.type == "Parameter":
            self.values[layer.id] = self.input_name
        elif layer.type == "Const":
            self.constants[layer.id] = self._read(layer)
        elif layer.type == "Convert" and layer.inputs[0] in self.constants:
            self.constants[layer.id] = self.constants[layer.inputs[0]]
        elif layer.type == "ShapeOf" or self._is_shape(layer):
            self.shapes.add(layer.id)
        elif layer.type in HANDLERS:
            self.values[layer.id] = HANDLERS[layer.type](self, layer)
        elif layer.type != "Result":
            raise NetworkError(f"operation {layer.type} of layer {layer.id} is not supported")

    def name_output(self, result: Layer, output: str) -> None:
        """Name the value of the Result layer, flattened after the batch axis."""
        flat = self.builder.node("Flatten", self._value(result.inputs[0]), axis=1)
        self.builder.name_output(flat, output)

    def _is_shape(self, layer: Layer) -> bool:
        """Return whether a layer computes only shapes."""
        return not self.shapes.isdisjoint(layer.inputs) and self.shapes | self.constants.keys() >= set(layer.inputs)

    def _read(self, layer: Layer) -> NDArray[Any]:
        dtype = np.dtype(ELEMENT_TYPES[layer.settings["element_type"]])
        count, offset = int(layer.settings["size"]) // dtype.itemsize, int(layer.settings["offset"])
        return np.frombuffer(self.weights, dtype, count, offset).reshape(layer.integers("shape"))

    def _value(self, layer_id: str) -> str:
        """Return the ONNX value of a layer, which can be a constant."""
        if layer_id in self.values:
            return self.values[layer_id]
        return self.builder.constant(self.constants[layer_id])

    def convolution(self, layer: Layer) -> str:
        """Convert Convolution and GroupConvolution; the kernel of the latter has an axis for the groups."""
        _check_pads(layer)
        kernel, groups = self.constants[layer.inputs[1]], 1
        if layer.type == "GroupConvolution":
            groups = kernel.shape[0]
            kernel = kernel.reshape(-1, *kernel.shape[2:])
        return self.builder.node(
            "Conv",
            self._value(layer.inputs[0]),
            self.builder.constant(kernel),
            kernel_shape=list(kernel.shape[2:]),
            strides=layer.integers("strides"),
            dilations=layer.integers("dilations"),
            group=groups,
            pads=layer.integers("pads_begin") + layer.integers("pads_end"),
        )

    def elementwise(self, layer: Layer) -> str:
        """Convert arithmetic and activations without settings."""
        return self.builder.node(OPERATORS[layer.type], *(self._value(name) for name in layer.inputs))

    def prelu(self, layer: Layer) -> str:
        """Convert PReLU with a slope per channel.

        A single slope becomes LeakyRelu, which ONNX Runtime fuses with the previous convolution (r0095 on one core: 8.7
        ms instead of 21).
        """
        slope = self.constants[layer.inputs[1]].reshape(-1, 1, 1)
        if slope.size == 1:
            return self.builder.node("LeakyRelu", self._value(layer.inputs[0]), alpha=float(slope.ravel()[0]))
        return self.builder.node("PRelu", self._value(layer.inputs[0]), self.builder.constant(slope))

    def mean(self, layer: Layer) -> str:
        """Convert ReduceMean over both sides of the picture."""
        axes = sorted(int(axis) % 4 for axis in self.constants[layer.inputs[1]].ravel())
        if axes != [2, 3] or layer.settings.get("keep_dims") != "true":
            raise NetworkError(f"layer {layer.id}: ReduceMean over a part of the picture is not supported")
        return self.builder.node("GlobalAveragePool", self._value(layer.inputs[0]))

    def pool(self, layer: Layer) -> str:
        """Convert MaxPool, and AvgPool over the whole picture or over windows without padding in the mean."""
        kernel = layer.integers("kernel")
        if layer.type == "AvgPool" and tuple(kernel) == layer.input_shape[2:]:
            return self.builder.node("GlobalAveragePool", self._value(layer.inputs[0]))
        _check_pads(layer)
        pads = layer.integers("pads_begin") + layer.integers("pads_end")
        if layer.settings.get("rounding_type", "floor") != "floor" or (layer.type == "AvgPool" and any(pads)):
            raise NetworkError(f"layer {layer.id}: this {layer.type} is not supported")
        return self.builder.node(
            "MaxPool" if layer.type == "MaxPool" else "AveragePool",
            self._value(layer.inputs[0]),
            kernel_shape=kernel,
            strides=layer.integers("strides"),
            pads=pads,
        )

    def normalisation(self, layer: Layer) -> str:
        """Convert MVN with variance over all axes after the channels to an instance normalisation without weights."""
        rank, channels = len(layer.input_shape), layer.input_shape[1]
        axes = sorted(int(axis) % rank for axis in self.constants[layer.inputs[1]].ravel())
        if axes != list(range(2, rank)) or layer.settings.get("normalize_variance") != "true":
            raise NetworkError(f"layer {layer.id}: MVN over the axes {axes} is not supported")
        one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        return self.builder.node(
            "InstanceNormalization",
            self._value(layer.inputs[0]),
            self.builder.constant(one),
            self.builder.constant(zero),
            epsilon=float(layer.settings["eps"]),
        )

    def reshape(self, layer: Layer) -> str:
        """Convert to a Reshape with the IR's declared shape after the batch axis."""
        if not layer.output_shape or layer.output_shape[0] != layer.input_shape[0]:
            raise NetworkError(f"layer {layer.id}: a {layer.type} of the batch axis is not supported")
        shape = np.array([0, *layer.output_shape[1:]], np.int64)
        return self.builder.node("Reshape", self._value(layer.inputs[0]), self.builder.constant(shape))

    def gather(self, layer: Layer) -> str:
        """Convert Gather of channels in another order."""
        axis = int(self.constants[layer.inputs[2]].ravel()[0])
        order = self.constants[layer.inputs[1]].ravel().astype(np.int64)
        return self.builder.node("Gather", self._value(layer.inputs[0]), self.builder.constant(order), axis=axis)

    def product(self, layer: Layer) -> str:
        """Convert a product with a constant matrix."""
        matrix = self.constants[layer.inputs[1]]
        if layer.settings.get("transpose_b") == "true":
            matrix = matrix.T
        return self.builder.node("MatMul", self._value(layer.inputs[0]), self.builder.constant(matrix))


def _check_pads(layer: Layer) -> None:
    """Check that padding is explicit. Raises NetworkError for automatic padding."""
    if layer.settings.get("auto_pad", "explicit") not in ("explicit", "notset"):
        raise NetworkError(f"layer {layer.id}: auto_pad {layer.settings['auto_pad']} is not supported")


OPERATORS = {"Add": "Add", "Multiply": "Mul", "Subtract": "Sub", "Sigmoid": "Sigmoid", "ReLU": "Relu", "Tanh": "Tanh"}
HANDLERS: dict[str, Callable[[_Conversion, Layer], str]] = {
    **dict.fromkeys(("Convolution", "GroupConvolution"), _Conversion.convolution),
    **dict.fromkeys(OPERATORS, _Conversion.elementwise),
    "PReLU": _Conversion.prelu,
    "ReduceMean": _Conversion.mean,
    **dict.fromkeys(("AvgPool", "MaxPool"), _Conversion.pool),
    "MVN": _Conversion.normalisation,
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze"), _Conversion.reshape),
    "Gather": _Conversion.gather,
    "MatMul": _Conversion.product,
}
