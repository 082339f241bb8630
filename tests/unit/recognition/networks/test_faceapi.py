"""face-api's weights without a graph → ONNX. That the conversion is right, the recorded reference outputs tell."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from apps.recognition.networks.converters import faceapi
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import run

WIDTH = 2
SEPARABLE = {"depthwise_filter": (3, 3, WIDTH, 1), "pointwise_filter": (1, 1, WIDTH, WIDTH), "bias": (WIDTH,)}
EXPANSION = {"filters": (1, 1, WIDTH, WIDTH), "bias": (WIDTH,)}


def shapes() -> dict[str, tuple[int, ...]]:
    """The layers of the network, two channels wide."""
    layers = {"entry_flow/conv_in": {"filters": (3, 3, 3, WIDTH), "bias": (WIDTH,)}}
    for block in ("entry_flow/reduction_block_0", "entry_flow/reduction_block_1", "exit_flow/reduction_block"):
        layers |= {f"{block}/separable_conv{index}": SEPARABLE for index in range(2)}
        layers[f"{block}/expansion_conv"] = EXPANSION
    layers |= {f"middle_flow/main_block_0/separable_conv{index}": SEPARABLE for index in range(3)}
    layers["exit_flow/separable_conv"] = SEPARABLE
    layers |= {f"fc/{head}": {"weights": (WIDTH, size), "bias": (size,)} for head, size in (("age", 1), ("gender", 2))}
    return {f"{layer}/{weight}": shape for layer, weights in layers.items() for weight, shape in weights.items()}


def write(folder: Path, names: dict[str, tuple[int, ...]]) -> tuple[Path, Path]:
    entries = [{"name": name, "shape": list(shape), "dtype": "float32"} for name, shape in names.items()]
    manifest, data = folder / "weights.json", folder / "weights.bin"
    manifest.write_text(json.dumps([{"paths": ["weights.bin"], "weights": entries}]))
    arrays = [np.full(shape, 0.5, "<f4") for shape in names.values()]
    data.write_bytes(b"".join(array.tobytes() for array in arrays))
    return manifest, data


def convert(paths: tuple[Path, Path]) -> onnx.ModelProto:
    return faceapi.convert(*paths, name="tiny", input_name="input", opset=17)


def test_both_heads_answer_for_each_picture(tmp_path: Path) -> None:
    images = np.random.default_rng(3).normal(size=(2, 3, 112, 112)).astype(np.float32)
    age, gender = run(convert(write(tmp_path, shapes())), images)
    assert age.shape == (2, 1)
    np.testing.assert_allclose(gender, 0.5)  # equal weights for both sexes, after the softmax


@pytest.mark.parametrize("missing", ["fc/gender/bias", "entry_flow/reduction_block_1/expansion_conv/filters"])
def test_a_missing_weight_is_an_error(tmp_path: Path, missing: str) -> None:
    names = shapes()
    del names[missing]
    with pytest.raises(NetworkError, match=missing):
        convert(write(tmp_path, names))


def test_a_weight_that_no_layer_takes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="unused weights fc/height/bias"):
        convert(write(tmp_path, shapes() | {"fc/height/bias": (1,)}))


def test_a_short_file_is_an_error(tmp_path: Path) -> None:
    manifest, data = write(tmp_path, shapes())
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(NetworkError, match="is not face-api's age and sex network"):
        convert((manifest, data))
