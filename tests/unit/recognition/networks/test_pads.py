"""SAME padding spelt out gives the same bits."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from apps.recognition.networks.converters.pads import make_pads_explicit
from apps.recognition.networks.errors import NetworkError
from tests.unit.recognition.networks.tiny import run


def convolution_model(
    size: tuple[int | str, int], kernel: int, stride: int, dilation: int, mode: str
) -> onnx.ModelProto:
    weights = np.random.default_rng(0).normal(size=(2, 1, kernel, kernel)).astype(np.float32)
    node = helper.make_node(
        "Conv", ["input", "w"], ["out"], kernel_shape=[kernel] * 2, strides=[stride] * 2,
        dilations=[dilation] * 2, auto_pad=mode,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, *size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("size", [(7, 8), (12, 5)])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (2, 2, 1), (5, 3, 1), (1, 2, 1)])
def test_same_padding(mode: str, size: tuple[int, int], kernel: int, stride: int, dilation: int) -> None:
    model = convolution_model(size, kernel, stride, dilation, mode)
    explicit = make_pads_explicit(model)
    assert "auto_pad" not in {attribute.name for attribute in explicit.graph.node[0].attribute}
    image = np.random.default_rng(1).normal(size=(2, 1, *size)).astype(np.float32)
    np.testing.assert_array_equal(run(explicit, image)[0], run(model, image)[0])


def test_the_given_model_is_left_alone() -> None:
    model = convolution_model((7, 8), 3, 1, 1, "SAME_UPPER")
    before = model.SerializeToString()
    make_pads_explicit(model)
    assert model.SerializeToString() == before


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(NetworkError, match="the size of 'input' is not known"):
        make_pads_explicit(convolution_model(("H", 8), 3, 1, 1, "SAME_UPPER"))
