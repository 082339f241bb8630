"""ONNX files without fixed shapes get the names and shapes of a manifest, and compute the same."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from apps.recognition.networks.converters.named import convert
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import run


def free() -> onnx.ModelProto:
    """The sum and the mean of the channels' means, with four axes of any size."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["_data"], ["means_7"]),
        helper.make_node("Relu", ["means_7"], ["positive_8"]),
    ]
    entry, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [-1] * 4) for name in ("_data", "positive_8"))
    graph = helper.make_graph(nodes, "free", [entry], [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def named(**changed: Any) -> onnx.ModelProto:
    keys = {
        "input_value": "_data", "input_name": "input", "input_shape": (3, 4, 4),
        "outputs": {"means": "means_7", "positive": "positive_8"}, "output_shapes": {"means": (3,), "positive": (3, 1)},
    }  # fmt: skip
    return convert(free(), **keys | changed)


def test_names_and_shapes_are_the_manifests() -> None:
    images = np.random.default_rng(1).normal(size=(2, 3, 4, 4)).astype(np.float32)
    model = named()
    sizes = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == [0, 3, 4, 4]
    means, positive = run(model, images)
    np.testing.assert_allclose(means, images.mean(axis=(2, 3)), atol=1e-6)
    np.testing.assert_allclose(positive[..., 0], np.maximum(means, 0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"input_value": "data"}, "no input 'data'"), ({"outputs": {"means": "means_9"}}, "no value 'means_9'")],
)
def test_names_that_the_graph_lacks_are_errors(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        named(**changed)
