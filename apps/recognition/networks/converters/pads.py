"""`auto_pad` → explicit pads, because the CUDA provider supports SAME padding only with explicit numbers."""

import onnx
from onnx import helper, shape_inference

from apps.recognition.networks.errors import NetworkError


def make_pads_explicit(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with every SAME_UPPER/SAME_LOWER padding as numbers; the outputs are bit-equal.

    Raises NetworkError for an unknown spatial size, because the numbers depend on it.
    """
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    sizes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.value_info, *inferred.graph.input]
    }
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        mode = attributes["auto_pad"].s.decode() if "auto_pad" in attributes else "NOTSET"
        if mode not in ("SAME_UPPER", "SAME_LOWER"):
            continue
        spatial = sizes.get(node.input[0], [])[2:]
        if len(spatial) != 2 or 0 in spatial:
            raise NetworkError(
                f"the size of {node.input[0]!r} is not known, so the pads of {node.name!r} cannot be computed"
            )
        kernel = list(attributes["kernel_shape"].ints)
        strides = list(attributes["strides"].ints)
        dilations = list(attributes["dilations"].ints) if "dilations" in attributes else [1, 1]
        totals = [_total(*side) for side in zip(spatial, kernel, strides, dilations, strict=True)]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        node.attribute.remove(attributes["auto_pad"])
        begin, end = (small, large) if mode == "SAME_UPPER" else (large, small)
        node.attribute.append(helper.make_attribute("pads", begin + end))
    return result


def _total(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Return the total padding of one axis for an output of ceil(size / stride) elements."""
    outputs = -(-size // stride)
    return max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
