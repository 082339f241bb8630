"""dlib's serialisation and network; the whole network is compared with dlib itself by its reference outputs."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.recognition.networks.converters import dlib
from apps.recognition.networks.errors import NetworkError


def integer(value: int) -> bytes:
    """dlib's packed whole number."""
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def tensor(values: Sequence[float] | NDArray[Any]) -> bytes:
    header = integer(2) + integer(len(values)) + integer(1) * 3
    return header + struct.pack(f"<{len(values)}f", *values)


def tag(name: str) -> bytes:
    return integer(len(name)) + name.encode()


def convolution(filters: int, channels: int, size: int, stride: int, random: np.random.Generator) -> bytes:
    weights = random.normal(size=filters * channels * size * size + filters) / (size * channels)
    shape = b"".join(integer(value) for value in (filters, size, size, stride, stride, 0, 0))
    affine = np.concatenate([random.uniform(0.5, 1.5, filters), random.normal(size=filters)])
    return tag("con_4") + tensor(weights) + shape + tag("affine_") + tensor(affine) + tag("relu_")


def network_file(random: np.random.Generator) -> bytes:
    """A whole network of dlib's shape with random weights."""
    parts, channels = [tag("input_rgb_image_sized"), convolution(32, 3, 7, 2, random), tag("max_pool_2")], 32
    for width, blocks, halves in dlib.STAGES:
        for block in range(blocks):
            parts.append(convolution(width, channels, 3, 2 if halves and block == 0 else 1, random))
            parts.append(convolution(width, width, 3, 1, random))
            channels = width
    parts.append(tag("fc_2") + integer(128) + integer(256) + tensor(random.normal(size=128 * 256)))
    return b"".join([*parts, tag("loss_metric_2")])


@pytest.mark.parametrize("value", [0, 1, 255, 256, 70_000, -1, -300, 2**40])
def test_whole_numbers(value: int) -> None:
    assert dlib.Reader(integer(value)).integer() == value


def test_layers_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "net.dat"
    random = np.random.default_rng(1)
    path.write_bytes(b"\x01\x05con_4" + convolution(2, 3, 3, 2, random))  # a tag without a tensor is not a layer
    with pytest.raises(NetworkError, match=r"net\.dat: is not a dlib network"):
        dlib.read_layers(path)
    path.write_bytes(b"\x01\x09con_4" + convolution(2, 3, 3, 2, random))  # chance bytes: the length does not fit
    first, second = dlib.read_layers(path)
    assert (first.kind, second.kind) == ("con", "affine")
    assert first.settings == (2, 3, 3, 2, 2)
    assert (first.weights.size, second.weights.size) == (2 * 3 * 9 + 2, 4)


def test_the_whole_network_is_built(tmp_path: Path) -> None:
    path = tmp_path / "net.dat"
    path.write_bytes(network_file(np.random.default_rng(2)))
    model = dlib.convert(path, name="net", input_name="image", output_name="descriptor", opset=17)
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Conv") == 29
    assert operators.count("AveragePool") == 4
    assert [dimension.dim_value for dimension in model.graph.output[0].type.tensor_type.shape.dim] == [0, 128]


def test_the_affine_is_folded_into_the_convolution(tmp_path: Path) -> None:
    path = tmp_path / "net.dat"
    path.write_bytes(network_file(np.random.default_rng(3)))
    convolution_layer, affine = dlib.read_layers(path)[:2]
    model = dlib.convert(path, name="net", input_name="image", output_name="descriptor", opset=17)
    constants = {value.name: value for value in model.graph.initializer}
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    kernel, bias = (np.frombuffer(constants[name].raw_data, np.float32) for name in node.input[1:])
    gain, shift = affine.weights[:32], affine.weights[32:]
    flat = convolution_layer.weights
    np.testing.assert_allclose(kernel, (flat[:-32].reshape(32, -1) * gain[:, None]).ravel(), rtol=1e-6)
    np.testing.assert_allclose(bias, flat[-32:] * gain + shift, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data + tag("fc_2") + integer(1) + integer(1) + tensor([1.0]),
        lambda data: data.replace(tag("con_4"), tag("fc_2"), 1),
        lambda data: data.replace(tag("con_4"), tag("affine_"), 1),
        lambda data: data.replace(integer(32) + integer(7), integer(31) + integer(7), 1),
    ],
)
def test_another_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "net.dat"
    path.write_bytes(damage(network_file(np.random.default_rng(4))))
    with pytest.raises(NetworkError, match=r"net\.dat: is"):
        dlib.convert(path, name="net", input_name="image", output_name="descriptor", opset=17)
