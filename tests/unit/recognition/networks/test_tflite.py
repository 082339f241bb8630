"""TensorFlow Lite → ONNX on a small network whose answer NumPy computes."""

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
import tflite

from apps.recognition.networks.converters import pads
from apps.recognition.networks.converters.tflite import convert
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import run

RANDOM = np.random.default_rng(7)
TYPES = {"float32": tflite.TensorType.FLOAT32, "float16": tflite.TensorType.FLOAT16, "int32": tflite.TensorType.INT32}
NONE, RELU, RELU6, TANH = (
    getattr(tflite.ActivationFunctionType, name) for name in ("NONE", "RELU", "RELU6", "TANH")
)  # fmt: skip


class Lite:
    """Writer of models from tensors and operators, as far as these tests need it."""

    def __init__(self) -> None:
        self.tensors: list[tuple[list[int], str, bytes]] = []
        self.operators: list[tuple[str, str, dict[str, int], list[int], int]] = []

    def value(self, *shape: int) -> int:
        self.tensors.append((list(shape), "float32", b""))
        return len(self.tensors) - 1

    def constant(self, array: np.ndarray) -> int:
        self.tensors.append((list(array.shape), str(array.dtype), array.tobytes()))
        return len(self.tensors) - 1

    def add(self, kind: str, options: str, inputs: list[int], shape: tuple[int, ...], **settings: int) -> int:
        output = self.value(*shape)
        self.operators.append((kind, options, settings, inputs, output))
        return output

    def write(self, path: Path, entry: int, output: int) -> Path:
        build = flatbuffers.Builder(4096)
        empty = build.CreateByteVector(b"")
        data = [build.CreateByteVector(each[2]) if each[2] else empty for each in self.tensors]
        buffers = self._vector(build, [self._table(build, "Buffer", Data=each) for each in data])
        tensors = self._vector(build, [self._tensor(build, index) for index in range(len(self.tensors))])
        codes = self._vector(build, [
            self._table(build, "OperatorCode", DeprecatedBuiltinCode=getattr(tflite.BuiltinOperator, kind))
            for kind, *_ in self.operators
        ])  # fmt: skip
        operators = self._vector(build, [self._operator(build, index) for index in range(len(self.operators))])
        inputs, outputs = (build.CreateNumpyVector(np.array([each], np.int32)) for each in (entry, output))
        graph = self._table(
            build, "SubGraph", Tensors=tensors, Inputs=inputs, Outputs=outputs, Operators=operators
        )  # fmt: skip
        graphs = self._vector(build, [graph])
        build.Finish(
            self._table(build, "Model", Version=3, OperatorCodes=codes, Subgraphs=graphs, Buffers=buffers),
            file_identifier=b"TFL3",
        )
        path.write_bytes(bytes(build.Output()))
        return path

    def _tensor(self, build: flatbuffers.Builder, index: int) -> int:
        shape, dtype, _ = self.tensors[index]
        sizes = build.CreateNumpyVector(np.array(shape, np.int32))
        return self._table(build, "Tensor", Shape=sizes, Type=TYPES[dtype], Buffer=index)

    def _operator(self, build: flatbuffers.Builder, index: int) -> int:
        _, options, settings, inputs, output = self.operators[index]
        keys: dict[str, Any] = {"OpcodeIndex": index}
        if options:
            keys["BuiltinOptions"] = self._table(build, options, **settings)
            keys["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, options)
        keys["Inputs"] = build.CreateNumpyVector(np.array(inputs, np.int32))
        keys["Outputs"] = build.CreateNumpyVector(np.array([output], np.int32))
        return self._table(build, "Operator", **keys)

    @staticmethod
    def _table(build: flatbuffers.Builder, kind: str, **fields: int) -> int:
        getattr(tflite, f"{kind}Start")(build)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(build, value)
        return int(getattr(tflite, f"{kind}End")(build))

    @staticmethod
    def _vector(build: flatbuffers.Builder, offsets: list[int]) -> int:
        build.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            build.PrependUOffsetTRelative(offset)
        return int(build.EndVector())


CONVOLUTION = {"StrideW": 2, "StrideH": 2, "DilationWFactor": 1, "DilationHFactor": 1}
OUTPUTS: list[tuple[str, tuple[int, ...]]] = [("sums", (3,))]


def converted(path: Path) -> onnx.ModelProto:
    return pads.make_pads_explicit(convert(path, name="tiny", input_name="input", outputs=OUTPUTS, opset=17))


def windows(image: np.ndarray, stride: int) -> np.ndarray:
    """3×3 windows [N, H, W, C, 3, 3] of NHWC pictures."""
    return np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))[:, ::stride, ::stride]


def test_a_small_network(tmp_path: Path) -> None:
    kernel = RANDOM.normal(size=(4, 3, 3, 2)).astype(np.float16)
    depth = RANDOM.normal(size=(1, 3, 3, 4)).astype(np.float32)
    matrix = RANDOM.normal(size=(3, 4)).astype(np.float32)
    first, second, third = (RANDOM.normal(size=size).astype(np.float32) for size in (4, 4, 3))
    edges = np.array([[0, 0], [0, 1], [0, 1], [0, 0]], np.int32)
    lite = Lite()
    entry = lite.value(1, 6, 6, 2)
    weights = lite.add("DEQUANTIZE", "", [lite.constant(kernel)], kernel.shape)
    padded = lite.add("PAD", "PadOptions", [entry, lite.constant(edges)], (1, 7, 7, 2))
    value = lite.add(
        "CONV_2D", "Conv2DOptions", [padded, weights, lite.constant(first)], (1, 3, 3, 4),
        Padding=tflite.Padding.VALID, FusedActivationFunction=RELU, **CONVOLUTION,
    )  # fmt: skip
    deeper = lite.add(
        "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", [value, lite.constant(depth), lite.constant(second)],
        (1, 3, 3, 4), Padding=tflite.Padding.SAME, StrideW=1, StrideH=1, DepthMultiplier=1,
        DilationWFactor=1, DilationHFactor=1, FusedActivationFunction=RELU6,
    )  # fmt: skip
    added = lite.add("ADD", "AddOptions", [value, deeper], (1, 3, 3, 4), FusedActivationFunction=NONE)
    mean = lite.add("MEAN", "ReducerOptions", [added, lite.constant(np.array([1, 2], np.int32))], (1, 4), KeepDims=0)
    sums = lite.add(
        "FULLY_CONNECTED", "FullyConnectedOptions", [mean, lite.constant(matrix), lite.constant(third)], (1, 3),
        FusedActivationFunction=NONE,
    )  # fmt: skip

    images = RANDOM.normal(size=(2, 6, 6, 2)).astype(np.float32)
    (found,) = run(converted(lite.write(tmp_path / "tiny.tflite", entry, sums)), images)

    seen = windows(np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0))), 2)
    layer = np.maximum(np.einsum("nhwcij,oijc->nhwo", seen, kernel.astype(np.float32)) + first, 0)
    seen = windows(np.pad(layer, ((0, 0), (1, 1), (1, 1), (0, 0))), 1)
    layer = layer + np.clip(np.einsum("nhwcij,ijc->nhwc", seen, depth[0]) + second, 0, 6)
    np.testing.assert_allclose(found, layer.mean(axis=(1, 2)) @ matrix.T + third, atol=1e-4)


def unsupported(tmp_path: Path, kind: str, options: str, **settings: int) -> Path:
    lite = Lite()
    entry = lite.value(1, 6, 6, 2)
    others = [lite.constant(np.ones(shape, np.float32)) for shape in ((2, 3, 3, 2), (2,))]
    output = lite.add(kind, options, [entry, *others], (1, 3), **settings)
    return lite.write(tmp_path / "tiny.tflite", entry, output)


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="TensorFlow Lite operation SOFTMAX is not supported"):
        converted(unsupported(tmp_path, "SOFTMAX", "SoftmaxOptions"))
    with pytest.raises(NetworkError, match=f"activation {TANH} is not supported"):
        converted(unsupported(tmp_path, "CONV_2D", "Conv2DOptions", FusedActivationFunction=TANH, **CONVOLUTION))


@pytest.mark.parametrize("data", [b"", b"not a network at all", b"\x10\x00\x00\x00TFL3"])
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "text.tflite"
    path.write_bytes(data)
    with pytest.raises(NetworkError, match=r"text\.tflite: (is not a TensorFlow Lite model|cannot be converted)"):
        converted(path)
