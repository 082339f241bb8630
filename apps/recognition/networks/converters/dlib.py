"""dlib's face recognition ResNet (`dlib_face_recognition_resnet_model_v1.dat`) → ONNX.

The file is dlib's serialisation: layers with name tags and parameters. The topology is that of dlib's `anet_type`
(examples/dnn_face_recognition_ex.cpp): 29 convolutions in residual blocks. The per-channel affine after each
convolution is folded into it. The shortcut of a block that halves the size is an average pooling.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from apps.recognition.networks.converters.graph import GraphBuilder
from apps.recognition.networks.errors import NetworkError

# (channels, residual blocks, whether the first one halves the size), from input to output
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
PIXEL_MEAN_RGB = np.array([122.782, 117.001, 104.298], np.float32)  # dlib: input_rgb_image_sized
PIXEL_SCALE = np.float32(1 / 256)
CHIP_SIZE = 150
DIMENSION = 128
TAG = re.compile(
    rb"\x01[\x01-\x20]((?:con|affine|fc|relu|max_pool|avg_pool|add_prev\d*|input_rgb_image_sized|loss_metric)_\d?)"
)
WITH_WEIGHTS = ("con", "affine", "fc")


@dataclass(frozen=True, slots=True)
class Layer:
    """Layer with weights: its kind (`con`, `affine`, `fc`), flat float32 weights and integer settings.

    Settings of `con`: filters, kernel height, kernel width, stride y, stride x; of `fc`: outputs, inputs.
    """

    kind: str
    weights: NDArray[np.float32]
    settings: tuple[int, ...]


class Reader:
    """Reader of dlib's serialisation: packed integers and 4-dimensional float tensors."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def integer(self) -> int:
        """Read an integer: a control byte (low nibble: number of bytes, top bit: sign), then little-endian bytes."""
        control = self.data[self.position]
        start, end = self.position + 1, self.position + 1 + (control & 0x0F)
        self.position = end
        value = int.from_bytes(self.data[start:end], "little")
        return -value if control & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        """Read `count` integers."""
        return tuple(self.integer() for _ in range(count))

    def tensor(self) -> NDArray[np.float32]:
        """Read a tensor of serialisation version 2 as a flat array."""
        if self.integer() != 2:
            raise ValueError("unknown version of a tensor")
        count = int(np.prod(self.integers(4), dtype=np.int64))
        array = np.frombuffer(self.data, "<f4", count, self.position).astype(np.float32)
        self.position += 4 * count
        return array


def read_layers(path: Path) -> list[Layer]:
    """Return the layers with weights in the order of the file, from the input to the output.

    Raises NetworkError for a file that does not follow dlib's serialisation.
    """
    reader = Reader(path.read_bytes())
    layers = []
    try:
        while match := TAG.search(reader.data, reader.position):
            if reader.data[match.start() + 1] != len(match[1]):  # not a tag: a tag is preceded by its length
                reader.position = match.start() + 1
                continue
            reader.position = match.end()
            kind = match[1].decode().rsplit("_", 1)[0]
            if kind in WITH_WEIGHTS:
                layers.append(_read_layer(reader, kind))
    except (ValueError, IndexError) as error:
        raise NetworkError(f"{path.name}: is not a dlib network: {error}") from error
    return layers


def _read_layer(reader: Reader, kind: str) -> Layer:
    if kind == "con":
        weights = reader.tensor()
        return Layer(kind, weights, reader.integers(5))
    if kind == "fc":
        settings = reader.integers(2)
        return Layer(kind, reader.tensor(), settings)
    return Layer(kind, reader.tensor(), ())


def convert(path: Path, *, name: str, input_name: str, output_name: str, opset: int) -> onnx.ModelProto:
    """Return the ONNX model: input uint8 [N, 150, 150, 3] RGB, output float32 [N, 128], not normalised.

    Raises NetworkError if the file's layers are not those of dlib's face recognition network.
    """
    try:
        network = _ResNet(iter(read_layers(path)))
        network.build(input_name, output_name)
    except (StopIteration, ValueError) as error:
        raise NetworkError(f"{path.name}: is not dlib's face recognition network: {error}") from error
    return network.builder.model(
        name,
        input_name=input_name,
        input_shape=(CHIP_SIZE, CHIP_SIZE, 3),
        dtype="uint8",
        outputs=[(output_name, (DIMENSION,))],
        opset=opset,
    )


class _ResNet:
    """Builder of dlib's `anet_type` from the input to the output, with the layers of the file in order."""

    def __init__(self, layers: Iterator[Layer]) -> None:
        self.layers = layers
        self.builder = GraphBuilder()

    def build(self, input_name: str, output_name: str) -> None:
        """Add the whole network. Raises StopIteration or ValueError if the layers do not fit."""
        build, constant = self.builder.node, self.builder.constant
        value = build("Cast", build("Transpose", input_name, perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
        value = build("Sub", value, constant(PIXEL_MEAN_RGB.reshape(1, 3, 1, 1)))
        value = build("Mul", value, constant(PIXEL_SCALE))
        value, channels = self._convolution(value, 3, padding=0)
        value = build("MaxPool", build("Relu", value), kernel_shape=[3, 3], strides=[2, 2])
        size = 35
        for width, blocks, halves in STAGES:
            for block in range(blocks):
                down = halves and block == 0
                value, size = self._residual(value, channels, width, size, down=down)
                channels = width
        value = build("Flatten", build("GlobalAveragePool", value))
        matrix = self._take("fc")
        outputs, inputs = matrix.settings
        self.builder.name_output(build("MatMul", value, constant(matrix.weights.reshape(inputs, outputs))), output_name)
        if next(self.layers, None) is not None:
            raise ValueError("it has additional layers")

    def _residual(self, value: str, channels: int, width: int, size: int, *, down: bool) -> tuple[str, int]:
        """Add a residual block and return its value and size in pixels.

        dlib pads the smaller of two unequal tensors with zeros at the end before adding them: the pooled shortcut has
        fewer channels, and its size may differ by one from the size of the convolution.
        """
        build = self.builder.node
        branch, _ = self._convolution(value, channels, padding=0 if down else 1)
        branch, filters = self._convolution(build("Relu", branch), width, padding=1)
        short_cut = value
        if down:
            branch_size, size = (size - 3) // 2 + 1, size // 2
            short_cut = build("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
            if filters > channels:
                short_cut = self._fill(short_cut, channels=filters - channels)
            if size > branch_size:
                branch = self._fill(branch, sides=size - branch_size)
        return build("Relu", build("Add", branch, short_cut)), size

    def _fill(self, value: str, *, channels: int = 0, sides: int = 0) -> str:
        """Pad with zeros after the last channel, or below and right of the picture."""
        edges = np.array([0, 0, 0, 0, 0, channels, sides, sides], np.int64)
        return self.builder.node("Pad", value, self.builder.constant(edges))

    def _convolution(self, value: str, channels: int, *, padding: int) -> tuple[str, int]:
        """Add a convolution with its affine folded in, and return the value and the number of filters."""
        convolution, affine = self._take("con"), self._take("affine")
        filters, height, width, *strides = convolution.settings
        count = filters * channels * height * width
        if convolution.weights.size != count + filters or affine.weights.size != 2 * filters:
            raise ValueError("a convolution has another size")
        gain, shift = affine.weights[:filters], affine.weights[filters:]
        kernel = convolution.weights[:count].reshape(filters, channels, height, width)
        value = self.builder.node(
            "Conv",
            value,
            self.builder.constant(kernel * gain[:, None, None, None]),
            self.builder.constant(convolution.weights[count:] * gain + shift),
            kernel_shape=[height, width],
            strides=strides,
            pads=[padding] * 4,
        )
        return value, filters

    def _take(self, kind: str) -> Layer:
        layer = next(self.layers)
        if layer.kind != kind:
            raise ValueError(f"a layer must be {kind}, got {layer.kind}")
        return layer
