"""OpenVINO IR → ONNX on a small network whose answer NumPy computes."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from apps.recognition.networks.converters import openvino
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import run

RANDOM = np.random.default_rng(11)
IMAGE = RANDOM.normal(size=(2, 2, 5, 5)).astype(np.float32)
POOL: dict[str, Any] = {"kernel": "2,2", "strides": "2,2", "pads_begin": "0,0", "pads_end": "0,0"}
TYPES = {np.dtype(np.float16): "f16", np.dtype(np.float32): "f32", np.dtype(np.int64): "i64"}


class Ir:
    """Writes the layers, edges and weights of an IR."""

    def __init__(self) -> None:
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.weights = b""

    def layer(
        self, kind: str, *inputs: int, dims: tuple[int, ...] = (), out: tuple[int, ...] = (), **settings: Any
    ) -> int:
        number = len(self.layers)
        sizes = "".join(f"<dim>{size}</dim>" for size in dims)
        ports = "".join(f'<port id="{port}">{sizes}</port>' for port in range(len(inputs)))
        shape = "".join(f"<dim>{size}</dim>" for size in out)
        data = " ".join(f'{key}="{value}"' for key, value in settings.items())
        self.layers.append(
            f'<layer id="{number}" type="{kind}"><data {data}/><input>{ports}</input>'
            f'<output><port id="9">{shape}</port></output></layer>'
        )
        for port, source in enumerate(inputs):
            self.edges.append(f'<edge from-layer="{source}" from-port="9" to-layer="{number}" to-port="{port}"/>')
        return number

    def constant(self, array: np.ndarray) -> int:
        offset, data = len(self.weights), array.tobytes()
        self.weights += data
        shape = ",".join(str(size) for size in array.shape)
        number = self.layer("Const", element_type=TYPES[array.dtype], offset=offset, size=len(data), shape=shape)
        return self.layer("Convert", number) if array.dtype == np.float16 else number

    def write(self, folder: Path, version: str = "11") -> tuple[Path, Path]:
        xml, weights = folder / "net.xml", folder / "net.bin"
        body = f"<layers>{''.join(self.layers)}</layers><edges>{''.join(self.edges)}</edges>"
        xml.write_text(f'<net name="n" version="{version}">{body}</net>')
        weights.write_bytes(self.weights)
        return xml, weights


def convert(folder: Path, ir: Ir, size: int, version: str = "11") -> onnx.ModelProto:
    xml, weights = ir.write(folder, version)
    return openvino.convert(
        xml, weights, name="net", input_name="input", output_name="out", output_shape=(size,), opset=17
    )


def test_pooling_normalisation_and_shapes(tmp_path: Path) -> None:
    """Channels in another order, pools, an instance normalisation, a shape that the IR computes, and a product."""
    matrix = RANDOM.normal(size=(3, 8)).astype(np.float32)
    ir = Ir()
    image = ir.layer("Parameter", shape="1,2,5,5", element_type="f32")
    swapped = ir.layer("Gather", image, ir.constant(np.array([1, 0])), ir.constant(np.array([1])), dims=(1, 2, 5, 5))
    largest = ir.layer("MaxPool", swapped, dims=(1, 2, 5, 5), rounding_type="floor", **POOL)
    normal = ir.layer(
        "MVN", largest, ir.constant(np.array([-2, -1])), dims=(1, 2, 2, 2), normalize_variance="true", eps="1e-5"
    )
    shape = ir.layer("ShapeOf", normal)
    first = ir.layer("Gather", shape, ir.constant(np.array([0])), ir.constant(np.array([0])))
    target = ir.layer("Concat", first, ir.constant(np.array([-1])))
    flat = ir.layer("Reshape", normal, target, dims=(1, 2, 2, 2), out=(1, 8))
    ir.layer("Result", ir.layer("MatMul", flat, ir.constant(matrix), transpose_b="true"))

    value = IMAGE[:, ::-1, :4, :4].reshape(2, 2, 2, 2, 2, 2).max(axis=(3, 5))
    value -= value.mean(axis=(2, 3), keepdims=True)
    value /= np.sqrt((value**2).mean(axis=(2, 3), keepdims=True) + 1e-5)
    (found,) = run(convert(tmp_path, ir, 3), IMAGE)
    np.testing.assert_allclose(found, value.reshape(2, 8) @ matrix.T, atol=1e-5)


def test_mean_pools_of_windows(tmp_path: Path) -> None:
    ir = Ir()
    image = ir.layer("Parameter", shape="1,2,5,5", element_type="f32")
    ir.layer("Result", ir.layer("AvgPool", image, dims=(1, 2, 5, 5), **POOL))
    (found,) = run(convert(tmp_path, ir, 8), IMAGE)
    np.testing.assert_allclose(
        found, IMAGE[:, :, :4, :4].reshape(2, 2, 2, 2, 2, 2).mean(axis=(3, 5)).reshape(2, 8), atol=1e-6
    )


def convolution_settings(stride: int = 1, pad: int = 0) -> dict[str, Any]:
    return {
        "strides": f"{stride},{stride}", "dilations": "1,1",
        "pads_begin": f"{pad},{pad}", "pads_end": f"{pad},{pad}",
    }  # fmt: skip


def convolve(image: NDArray[Any], kernel: NDArray[Any], stride: int = 1, pad: int = 0) -> NDArray[Any]:
    image = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    view = np.lib.stride_tricks.sliding_window_view(image, kernel.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncyxhw,ochw->noyx", view, kernel)


@pytest.mark.parametrize("slope", [[0.1, 0.2, 0.3, 0.4], [-1.7]], ids=["slopes", "one slope"])
def test_a_small_network(tmp_path: Path, slope: list[float]) -> None:
    kernel = RANDOM.normal(size=(4, 2, 3, 3)).astype(np.float16)
    grouped = RANDOM.normal(size=(4, 1, 1, 3, 3)).astype(np.float32)
    bias = RANDOM.normal(size=(1, 4, 1, 1)).astype(np.float32)
    slopes = np.array(slope, np.float32)
    ir = Ir()
    image = ir.layer("Parameter", shape="1,2,5,5", element_type="f32")
    first = ir.layer("Convolution", image, ir.constant(kernel), **convolution_settings(stride=2, pad=1))
    added = ir.layer("Add", first, ir.constant(bias))
    second = ir.layer("GroupConvolution", added, ir.constant(grouped), **convolution_settings(pad=1))
    rectified = ir.layer("PReLU", second, ir.constant(slopes))
    pooled = ir.layer("AvgPool", rectified, dims=(1, 4, 3, 3), kernel="3,3")
    gate = ir.layer("Sigmoid", pooled)
    gated = ir.layer("Multiply", rectified, gate)
    mean = ir.layer("ReduceMean", gated, ir.constant(np.array([2, 3])), dims=(1, 4, 3, 3), keep_dims="true")
    ir.layer("Result", mean)

    value = convolve(IMAGE, kernel.astype(np.float32), 2, 1) + bias
    value = np.concatenate([convolve(value[:, i : i + 1], grouped[i], 1, 1) for i in range(4)], axis=1)
    value = np.where(value > 0, value, value * slopes.reshape(1, -1, 1, 1))
    value = value / (1 + np.exp(-value.mean(axis=(2, 3), keepdims=True)))
    expected = value.mean(axis=(2, 3))

    model = convert(tmp_path, ir, 4)
    (found,) = run(model, IMAGE)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(run(model, IMAGE[1:])[0], found[1:], atol=1e-6)


def small(kind: str, **settings: Any) -> Ir:
    ir = Ir()
    image = ir.layer("Parameter", shape="1,2,5,5", element_type="f32")
    ir.layer("Result", ir.layer(kind, image, dims=(1, 2, 5, 5), **settings))
    return ir


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("TopK", {}, "operation TopK of layer 1 is not supported"),
        ("AvgPool", POOL | {"pads_begin": "1,1"}, "this AvgPool is not supported"),
        ("MaxPool", POOL | {"rounding_type": "ceil"}, "this MaxPool is not supported"),
        ("MaxPool", POOL | {"auto_pad": "same_upper"}, "auto_pad same_upper is not supported"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path: Path, kind: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        convert(tmp_path, small(kind, **settings), 2)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"net\.xml: is not an OpenVINO network: version 7"):
        convert(tmp_path, small("Sigmoid"), 50, version="7")
    (tmp_path / "text.xml").write_text("not xml")
    with pytest.raises(NetworkError, match=r"text\.xml: is not an OpenVINO network"):
        openvino.read_layers(tmp_path / "text.xml")


def test_a_short_weight_file_is_refused(tmp_path: Path) -> None:
    ir = Ir()
    image = ir.layer("Parameter", shape="1,2,5,5", element_type="f32")
    ir.layer("Result", ir.layer("Add", image, ir.constant(np.zeros((1, 2, 5, 5), np.float32))))
    ir.weights = ir.weights[:8]
    with pytest.raises(NetworkError, match=r"net\.xml: cannot be converted"):
        convert(tmp_path, ir, 50)
