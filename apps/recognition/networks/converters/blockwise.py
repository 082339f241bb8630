"""ONNX files with block-quantised weights (int8, a scale a block; OpenCV Zoo's `int8bq`) → float32 ONNX.

The files save space but no time, because the weights are dequantised before each run. SFace's file also declares the
dequantised weights as graph inputs without values, which ONNX Runtime would request from the caller. Both files have a
fixed batch of one picture, YuNet's a fixed size of 640×640; no operator needs this.

PReLU(x) with slope a becomes a·x + (1 − a)·ReLU(x), because ONNX Runtime's PReLU kernel took half of SFace's time: 25.3
→ 12.3 ms on one thread. The outputs differ by at most 1.1e-6.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from apps.recognition.networks.converters.graph import axes
from apps.recognition.networks.errors import NetworkError

Values = dict[str, NDArray[Any]]


def convert(
    path: Path, *, name: str, input_name: str, input_shape: Sequence[int],
    outputs: Sequence[tuple[str, Sequence[int]]], opset: int,
) -> onnx.ModelProto:  # fmt: skip
    """Return the network with float32 weights, one input, a free batch axis and the manifest's shapes.

    Raises NetworkError for a file that is not an ONNX model, has another opset, or lacks the input or an output.
    """
    model = _load(path)
    found = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if found != opset:
        raise NetworkError(f"{path.name}: has opset {found}, the manifest requires {opset}")
    nodes, weights = _dequantised(model.graph)
    nodes = _without_prelu(nodes, weights)
    _free_batch(nodes, weights)
    used = {each for node in nodes for each in node.input}
    made = {each for node in nodes for each in node.output}
    missing = {input_name} - used | {output for output, _ in outputs} - made
    if missing:
        raise NetworkError(f"{path.name}: has no {', '.join(sorted(missing))}")
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(input_name, onnx.TensorProto.FLOAT, axes(input_shape, input_name))],
        [
            helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, axes(shape, output))
            for output, shape in outputs
        ],
        [numpy_helper.from_array(array, each) for each, array in weights.items() if each in used],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=model.ir_version)
    try:
        onnx.checker.check_model(result, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise NetworkError(f"{path.name}: is not a valid model after the conversion: {error}") from error
    return result


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # the class of protobuf's errors depends on its back end
        raise NetworkError(f"{path.name}: is not an ONNX model: {error}") from error


def _dequantised(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], Values]:
    """Return the nodes that depend on the input, and every constant by name, with weights as float32."""
    weights: Values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            weights[node.output[0]] = _dequantised_weight(node, weights)
        elif node.op_type == "Reshape" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]].reshape(weights[node.input[1]])
        else:
            nodes.append(node)
    return nodes, weights


def _dequantised_weight(node: onnx.NodeProto, weights: Values) -> NDArray[np.float32]:
    """Return (values − zero points) · scales, by ONNX's definition of DequantizeLinear with `block_size`."""
    attributes = {each.name: each.i for each in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    values, scales, zeros = (weights[each] for each in node.input)
    if not block or scales.shape != zeros.shape or scales.ndim != values.ndim:
        raise NetworkError(f"{node.output[0]}: only block-quantised weights with zero points are supported")

    def spread(each: NDArray[Any]) -> NDArray[np.float32]:
        return np.repeat(each.astype(np.float32), block, axis=axis).take(range(values.shape[axis]), axis=axis)

    return np.asarray((values.astype(np.float32) - spread(zeros)) * spread(scales), np.float32)


def _without_prelu(nodes: Sequence[onnx.NodeProto], weights: Values) -> list[onnx.NodeProto]:
    """Return the nodes with each PReLU replaced by simple operators; add its factors to the weights."""
    result = []
    for node in nodes:
        if node.op_type != "PRelu":
            result.append(node)
            continue
        (values, slope), output = node.input, node.output[0]
        weights[f"{output}_rest"] = np.asarray(1 - weights[slope], np.float32)
        result += [
            helper.make_node("Relu", [values], [f"{output}_positive"]),
            helper.make_node("Mul", [f"{output}_positive", f"{output}_rest"], [f"{output}_right"]),
            helper.make_node("Mul", [values, slope], [f"{output}_left"]),
            helper.make_node("Add", [f"{output}_left", f"{output}_right"], [output]),
        ]
    return result


def _free_batch(nodes: Sequence[onnx.NodeProto], weights: Values) -> None:
    """Make the batch axis of every Reshape free where the file fixes it at one picture."""
    for node in nodes:
        shape = weights.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and len(shape) > 1 and shape[0] == 1:
            weights[node.input[1]] = np.concatenate([[0], shape[1:]]).astype(np.int64)
