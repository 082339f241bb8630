"""Block-quantised ONNX files: the float32 network computes what the file computes, for any number of pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from apps.recognition.networks.converters import blockwise
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import run

BLOCK = 4


def quantised(
    name: str, shape: tuple[int, ...], random: np.random.Generator
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """A weight `name` of `shape` as OpenCV Zoo's tool stores it: two axes, an int8 value each, a scale a block."""
    rows, columns = shape[0], int(np.prod(shape[1:]))
    blocks = -(-columns // BLOCK)
    constants: dict[str, NDArray[Any]] = {
        f"{name}_values": random.integers(-128, 128, (rows, columns)).astype(np.int8),
        f"{name}_scales": random.uniform(0.001, 0.02, (rows, blocks)).astype(np.float32),
        f"{name}_zeros": random.integers(-9, 9, (rows, blocks)).astype(np.int8),
        f"{name}_shape": np.array(shape, np.int64),
    }
    nodes = [
        helper.make_node("DequantizeLinear", list(constants)[:3], [f"{name}_flat"], axis=1, block_size=BLOCK),
        helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [name]),
    ]
    return nodes, [numpy_helper.from_array(array, key) for key, array in constants.items()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A convolution, a PReLU and rows of a fixed single picture; the weight is also named as an input."""
    random = np.random.default_rng(3)
    nodes, constants = quantised("weight", (6, 3, 3, 3), random)
    constants += [
        numpy_helper.from_array(random.uniform(-0.5, 0.5, (6, 1, 1)).astype(np.float32), "slope"),
        numpy_helper.from_array(np.array([1, -1, 3], np.int64), "rows"),
    ]
    nodes += [
        helper.make_node("Conv", ["data", "weight"], ["conv"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["conv", "slope"], ["prelu"]),
        helper.make_node("Reshape", ["prelu", "rows"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 8, 8]),
            helper.make_tensor_value_info("weight", TensorProto.FLOAT, [6, 3, 3, 3]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 128, 3])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=6)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def converted(path: Path, *, input_name: str = "data", output: str = "out", opset: int = 21) -> onnx.ModelProto:
    return blockwise.convert(
        path, name="net", input_name=input_name, input_shape=[3, 0, 0], outputs=[(output, [0, 3])], opset=opset
    )


def test_the_float_network_computes_what_the_file_computes(file: Path) -> None:
    original = onnx.load(file)
    del original.graph.input[1:]
    random = np.random.default_rng(5)
    pictures = random.uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
    evaluator: Any = ReferenceEvaluator(original)
    expected = [evaluator.run(None, {"data": picture[None]})[0] for picture in pictures]
    (found,) = run(converted(file), pictures, "data")
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-5, atol=1e-6)


def test_it_has_one_input_no_quantised_weight_and_no_prelu(file: Path) -> None:
    model = converted(file)
    assert [each.name for each in model.graph.input] == ["data"]
    assert {each.data_type for each in model.graph.initializer} == {TensorProto.FLOAT, TensorProto.INT64}
    assert {node.op_type for node in model.graph.node} == {"Conv", "Relu", "Mul", "Add", "Reshape"}


def test_it_takes_pictures_of_any_size(file: Path) -> None:
    (found,) = run(converted(file), np.ones((3, 3, 5, 7), np.float32), "data")
    assert found.shape == (3, 6 * 5 * 7 // 3, 3)


def test_equal_files_give_equal_bytes(file: Path) -> None:
    first, second = (converted(file).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"opset": 17}, r"net\.onnx: has opset 21, the manifest requires 17"),
        ({"input_name": "picture"}, r"net\.onnx: has no picture"),
        ({"output": "scores"}, r"net\.onnx: has no scores"),
    ],
)
def test_another_file_than_the_manifest_says(file: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        converted(file, **keys)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
    with pytest.raises(NetworkError, match=r"net\.onnx: is not an ONNX model"):
        converted(path)
    path.write_bytes(b"")
    with pytest.raises(NetworkError, match=r"net\.onnx: has opset 0"):
        converted(path)


def test_weights_that_are_quantised_otherwise_are_refused(file: Path) -> None:
    model = onnx.load(file)
    del model.graph.node[0].attribute[:]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(NetworkError, match="only block-quantised weights"):
        converted(file)
