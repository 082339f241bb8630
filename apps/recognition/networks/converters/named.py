"""ONNX files without fixed shapes of input and outputs → the same graph with a manifest's names and shapes."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from apps.recognition.networks.converters.graph import axes
from apps.recognition.networks.errors import NetworkError


def convert(
    model: onnx.ModelProto, *, input_value: str, input_name: str, input_shape: tuple[int, ...],
    outputs: Mapping[str, str], output_shapes: Mapping[str, tuple[int, ...]],
) -> onnx.ModelProto:  # fmt: skip
    """Return the model with one float32 input and with `outputs` (name → value of the graph), each [N, *shape].

    Raises NetworkError if the graph lacks one of the values.
    """
    graph = model.graph
    produced = {value for node in graph.node for value in node.output}
    if input_value not in {value.name for value in graph.input}:
        raise NetworkError(f"the graph has no input {input_value!r}")
    if missing := [value for value in outputs.values() if value not in produced]:
        raise NetworkError(f"the graph has no value {missing[0]!r}")
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for node in graph.node:
        for index, value in enumerate(node.input):
            if value == input_value:
                node.input[index] = input_name
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(helper.make_tensor_value_info(input_name, TensorProto.FLOAT, axes(input_shape, input_name)))
    for output, value in outputs.items():
        shape = output_shapes[output]
        target = f"{output}_shape"
        graph.initializer.append(numpy_helper.from_array(np.array([-1, *shape], np.int64), target))
        graph.node.append(helper.make_node("Reshape", [value, target], [output]))
        graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, axes(shape, output)))
    onnx.checker.check_model(result)
    return result
