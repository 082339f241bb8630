"""TensorFlow.js → ONNX on small graphs whose answers NumPy computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from apps.recognition.networks.converters import pads, tfjs
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import node, placeholder, run, write_graph

Source = Callable[[NDArray[Any], int, int], NDArray[Any]]
RANDOM = np.random.default_rng(7)
IMAGE = RANDOM.normal(size=(2, 5, 6, 3)).astype(np.float32)
HALF = np.float32(0.5)


def convert(
    tmp_path: Path,
    nodes: list[dict[str, Any]],
    weights: dict[str, NDArray[Any]],
    shape: tuple[int, ...],
    *,
    input_shape: tuple[int, ...] = (5, 6, 3),
    quantization: dict[str, Any] | None = None,
) -> onnx.ModelProto:
    path = write_graph(tmp_path, [placeholder(), *nodes], weights, quantization=quantization)
    model = tfjs.convert(
        tfjs.load_graph(path),
        name="tiny",
        input_node="input",
        input_name="input",
        input_shape=input_shape,
        outputs={"out": nodes[-1]["name"]},
        output_shapes={"out": shape},
        opset=17,
    )
    return pads.make_pads_explicit(model)


def windows(image: NDArray[Any], size: int, stride: int, *, padding: str, fill: float = 0.0) -> NDArray[Any]:
    """[N, rows, columns, size, size, C] windows of an NHWC picture, TensorFlow's SAME or VALID padding."""
    if padding == "SAME":
        edges = []
        for length in image.shape[1:3]:
            total = max(0, (-(-length // stride) - 1) * stride + size - length)
            edges.append((total // 2, total - total // 2))
        image = np.pad(image, ((0, 0), *edges, (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(1, 2))
    return view[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


def convolve(image: NDArray[Any], kernel: NDArray[Any], stride: int, *, padding: str) -> NDArray[Any]:
    return np.einsum("nyxhwc,hwco->nyxo", windows(image, kernel.shape[0], stride, padding=padding), kernel)


def check(
    model: onnx.ModelProto, expected: NDArray[Any], image: NDArray[Any] = IMAGE, *, tolerance: float = 1e-5
) -> None:
    (found,) = run(model, image)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=tolerance)
    (single,) = run(model, image[:1])
    np.testing.assert_allclose(single, found[:1], atol=tolerance)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(tmp_path: Path, padding: str, stride: int) -> None:
    kernel = RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32)
    nodes = [node("conv", "Conv2D", "input", "kernel", strides=[1, stride, stride, 1], padding=padding)]
    expected = convolve(IMAGE, kernel, stride, padding=padding)
    check(convert(tmp_path, nodes, {"kernel": kernel}, expected.shape[1:]), expected)


def test_convolution_with_explicit_padding(tmp_path: Path) -> None:
    kernel = RANDOM.normal(size=(2, 2, 3, 4)).astype(np.float32)
    edges = [0, 0, 1, 2, 0, 3, 0, 0]
    nodes = [
        node("conv", "Conv2D", "input", "kernel", strides=[1, 1, 1, 1], padding="EXPLICIT", explicit_paddings=edges)
    ]
    padded = np.pad(IMAGE, ((0, 0), (1, 2), (0, 3), (0, 0)))
    expected = convolve(padded, kernel, 1, padding="VALID")
    check(convert(tmp_path, nodes, {"kernel": kernel}, expected.shape[1:]), expected)


def test_fused_convolution_with_bias_and_prelu(tmp_path: Path) -> None:
    weights = {
        "kernel": RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32),
        "bias": RANDOM.normal(size=4).astype(np.float32),
        "slope": np.array([0.1, 0.2, 0.3, 0.4], np.float32).reshape(1, 1, 4),
    }
    nodes = [
        node(
            "conv",
            "_FusedConv2D",
            "input",
            "kernel",
            "bias",
            "slope",
            strides=[1, 1, 1, 1],
            padding="SAME",
            fused_ops=["BiasAdd", "Prelu"],
        )
    ]
    linear = convolve(IMAGE, weights["kernel"], 1, padding="SAME") + weights["bias"]
    expected = np.where(linear > 0, linear, linear * weights["slope"])
    model = convert(tmp_path, nodes, weights, expected.shape[1:])
    check(model, expected)
    assert "PRelu" not in {each.op_type for each in model.graph.node}  # slow on a CPU


def test_depthwise_convolution_with_multiplier(tmp_path: Path) -> None:
    kernel = RANDOM.normal(size=(3, 3, 3, 2)).astype(np.float32)
    nodes = [node("conv", "DepthwiseConv2dNative", "input", "kernel", strides=[1, 2, 2, 1], padding="SAME")]
    view = windows(IMAGE, 3, 2, padding="SAME")
    expected = np.einsum("nyxhwc,hwcm->nyxcm", view, kernel).reshape(2, 3, 3, 6)
    check(convert(tmp_path, nodes, {"kernel": kernel}, expected.shape[1:]), expected)


@pytest.mark.parametrize(("op", "function"), [("MaxPool", np.max), ("AvgPool", np.mean)])
def test_pooling(tmp_path: Path, op: str, function: Callable[..., NDArray[Any]]) -> None:
    nodes = [node("pool", op, "input", ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")]
    expected = function(windows(IMAGE, 2, 2, padding="VALID"), axis=(3, 4))
    check(convert(tmp_path, nodes, {}, expected.shape[1:]), expected)


def test_padding_does_not_count_in_pools(tmp_path: Path) -> None:
    nodes = [
        node("max", "MaxPool", "input", ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="SAME"),
        node("mean", "AvgPool", "max", ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME"),
    ]
    largest = windows(IMAGE, 3, 2, padding="SAME", fill=-np.inf).max(axis=(3, 4))
    expected = np.nanmean(windows(largest, 2, 2, padding="SAME", fill=np.nan), axis=(3, 4))
    check(convert(tmp_path, nodes, {}, expected.shape[1:]), expected)


@pytest.mark.parametrize("op", ["Mean", "Max"])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("after_pool", [True, False])
def test_reduction_over_both_sides(tmp_path: Path, op: str, keep: bool, after_pool: bool) -> None:
    pool = node("pool", "MaxPool", "input", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    source = "pool" if after_pool else "input"
    nodes = [*([pool] if after_pool else []), node("all", op, source, "axes", keep_dims=keep)]
    reduce: Callable[..., NDArray[Any]] = np.mean if op == "Mean" else np.max
    expected = reduce(IMAGE, axis=(1, 2), keepdims=keep)
    check(convert(tmp_path, nodes, {"axes": np.array([1, 2], np.int32)}, expected.shape[1:]), expected)


@pytest.mark.parametrize("after_pool", [True, False])
def test_padding_of_a_picture(tmp_path: Path, after_pool: bool) -> None:
    edges = np.array([[0, 0], [1, 2], [3, 0], [0, 5]], np.int32)
    pool = node("pool", "MaxPool", "input", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    nodes = [*([pool] if after_pool else []), node("pad", "Pad", "pool" if after_pool else "input", "edges")]
    expected = np.pad(IMAGE, edges)
    check(convert(tmp_path, nodes, {"edges": edges}, expected.shape[1:]), expected)


def bilinear(image: NDArray[Any], height: int, width: int, source: Source) -> NDArray[Any]:
    """Bilinear samples at `source(index, from, to)` rows and columns, edges repeated."""

    def resample(values: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
        length = values.shape[axis]
        position = np.clip(source(np.arange(size), length, size), 0, length - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, length - 1)
        shape = [1] * values.ndim
        shape[axis] = size
        share = (position - low).reshape(shape)
        return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share

    return resample(resample(image, 1, height), 2, width)


@pytest.mark.parametrize(
    ("attributes", "source"),
    [
        ({"half_pixel_centers": True}, lambda i, n, m: (i + 0.5) * n / m - 0.5),
        ({"align_corners": True}, lambda i, n, m: i * (n - 1) / (m - 1)),
        ({}, lambda i, n, m: i * n / m),
    ],
)
def test_resampling(tmp_path: Path, attributes: dict[str, bool], source: Source) -> None:
    nodes = [node("size", "ResizeBilinear", "input", "target", **attributes)]
    expected = bilinear(IMAGE, 9, 11, source)
    check(convert(tmp_path, nodes, {"target": np.array([9, 11], np.int32)}, (9, 11, 3)), expected)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenation_in_both_layouts(tmp_path: Path, axis: int) -> None:
    pool = node("pool", "MaxPool", "input", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    nodes = [pool, node("both", "ConcatV2", "pool", "input", "axis")]
    expected = np.concatenate([IMAGE, IMAGE], axis)
    check(convert(tmp_path, nodes, {"axis": np.array(axis, np.int32)}, expected.shape[1:]), expected)


def test_arithmetic_with_constants_and_values(tmp_path: Path) -> None:
    weights = {"gain": np.array([1, 2, 3], np.float32), "plane": RANDOM.normal(size=(5, 6, 1)).astype(np.float32)}
    nodes = [
        node("pool", "MaxPool", "input", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID"),
        node("mul", "Mul", "pool", "gain"),
        node("add", "AddV2", "mul", "plane"),
        node("sub", "Sub", "add", "input"),
        node("low", "Minimum", "sub", "two"),
        node("sum", "AddN", "low", "low", "input"),
        node("relu", "Relu6", "sum"),
    ]
    weights["two"] = np.array(2, np.float32)
    low = np.minimum(IMAGE * weights["gain"] + weights["plane"] - IMAGE, 2)
    check(convert(tmp_path, nodes, weights, (5, 6, 3)), np.clip(2 * low + IMAGE, 0, 6))


def test_dense_layers_and_softmax_with_a_floating_batch(tmp_path: Path) -> None:
    weights = {
        "shape": np.array([1, 90], np.int32),
        "matrix": RANDOM.normal(size=(90, 4)).astype(np.float32) * HALF,
        "bias": RANDOM.normal(size=4).astype(np.float32),
        "second": RANDOM.normal(size=(3, 4)).astype(np.float32),
    }
    nodes = [
        node("flat", "Reshape", "input", "shape"),
        node("dense", "_FusedMatMul", "flat", "matrix", "bias", fused_ops=["BiasAdd", "Relu"], transpose_b=False),
        node("again", "MatMul", "dense", "second", transpose_b=True),
        node("soft", "Softmax", "again"),
        node("named", "Identity", "soft"),
    ]
    dense = np.maximum(IMAGE.reshape(2, 90) @ weights["matrix"] + weights["bias"], 0) @ weights["second"].T
    power = np.exp(dense - dense.max(1, keepdims=True))
    check(convert(tmp_path, nodes, weights, (3,)), power / power.sum(1, keepdims=True))


def test_quantised_and_half_precision_weights(tmp_path: Path) -> None:
    quantised = np.array([[0, 128, 255]], np.uint8)
    half = np.array([0.5, -1.5, 3.0], np.float16)
    nodes = [node("mul", "Mul", "input", "quantised"), node("add", "Add", "mul", "half")]
    model = convert(
        tmp_path, nodes, {"quantised": quantised, "half": half}, (5, 6, 3),
        quantization={
            "quantised": {"dtype": "uint8", "scale": 0.01, "min": -1.0},
            "half": {"dtype": "float16"},
        },
    )  # fmt: skip
    check(model, IMAGE * (quantised * 0.01 - 1) + half.astype(np.float32))


def test_an_unknown_operation_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="operation Einsum of node 'strange' is not supported"):
        convert(tmp_path, [node("strange", "Einsum", "input")], {}, (5, 6, 3))


@pytest.mark.parametrize("function", ["Relu", "Sigmoid", "Sqrt", "Tanh"])
@pytest.mark.parametrize("after_pool", [True, False])
def test_functions_of_each_element(tmp_path: Path, function: str, after_pool: bool) -> None:
    pool = node("pool", "MaxPool", "input", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    nodes = [*([pool] if after_pool else []), node("out", function, "pool" if after_pool else "input")]
    functions: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "Relu": lambda x: np.maximum(x, 0), "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Sqrt": np.sqrt,
        "Tanh": np.tanh,
    }  # fmt: skip
    image = np.abs(IMAGE)
    check(convert(tmp_path, nodes, {}, (5, 6, 3)), functions[function](image), image)


def test_a_shape_that_leaves_a_side_open(tmp_path: Path) -> None:
    nodes = [node("rows", "Reshape", "input", "shape")]
    weights = {"shape": np.array([1, -1, 3], np.int32)}
    check(convert(tmp_path, nodes, weights, (30, 3)), IMAGE.reshape(2, 30, 3))


def test_what_must_be_constant_and_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="node 'input' must be a constant to be converted"):
        convert(tmp_path, [node("rows", "Reshape", "input", "input")], {}, (30, 3))


def test_an_unknown_activation_is_named(tmp_path: Path) -> None:
    kernel = RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32)
    nodes = [
        node("conv", "_FusedConv2D", "input", "kernel", strides=[1, 1, 1, 1], padding="SAME", fused_ops=["Mish"])
    ]  # fmt: skip
    with pytest.raises(NetworkError, match="activation Mish is not supported"):
        convert(tmp_path, nodes, {"kernel": kernel}, (5, 6, 4))


def test_an_absent_node_is_named(tmp_path: Path) -> None:
    graph = tfjs.load_graph(write_graph(tmp_path, [placeholder()], {}))
    for input_node, output in (("absent", "input"), ("input", "absent")):
        with pytest.raises(NetworkError, match="no node 'absent'"):
            tfjs.convert(
                graph, name="t", input_node=input_node, input_name="i", input_shape=(5, 6, 3),
                outputs={"o": output}, output_shapes={"o": (5, 6, 3)}, opset=17,
            )  # fmt: skip


def test_a_short_weight_file_is_refused(tmp_path: Path) -> None:
    path = write_graph(tmp_path, [placeholder()], {"w": np.zeros(8, np.float32)})
    (tmp_path / "model.bin").write_bytes(b"\0" * 12)
    with pytest.raises(NetworkError, match=r"is not a TensorFlow.js graph model"):
        tfjs.load_graph(path)
