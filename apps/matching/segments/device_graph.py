"""ONNX graph that bounds the cosines of all rows of a segment from above, and returns the rows with the highest bounds.

Inputs: `codes` [n, d] and `vectors` [d, m], both int8 or both float16; `scale` and `residual`, float32 [n, 1]; `step`
and `growth`, float32 [1, m]; `count`, int64 [1]; with `gathered` also `rows`, int64 [r]. The bound of a row is
product · scale · step + residual · growth. Outputs: `bounds`, float32 [m, count], descending, and `places`, int64
[m, count], in the rows or, with `gathered`, in `rows`.
"""

from onnx import TensorProto, helper

from apps.matching.config import Precision

OPSET, IR_VERSION = 17, 8


def proposal_graph(precision: Precision, *, gathered: bool) -> bytes:
    """Return the serialised model."""
    kind = TensorProto.INT8 if precision == "int8" else TensorProto.FLOAT16
    shapes: dict[str, tuple[int, list[str | int | None]]] = {
        "codes": (kind, ["n", "d"]),
        "vectors": (kind, ["d", "m"]),
        "scale": (TensorProto.FLOAT, ["n", 1]),
        "residual": (TensorProto.FLOAT, ["n", 1]),
        "step": (TensorProto.FLOAT, [1, "m"]),
        "growth": (TensorProto.FLOAT, [1, "m"]),
        "count": (TensorProto.INT64, [1]),
    }
    if gathered:
        shapes["rows"] = TensorProto.INT64, ["r"]
    inputs = [helper.make_tensor_value_info(name, element, shape) for name, (element, shape) in shapes.items()]
    outputs = [
        helper.make_tensor_value_info("bounds", TensorProto.FLOAT, ["m", "k"]),
        helper.make_tensor_value_info("places", TensorProto.INT64, ["m", "k"]),
    ]
    product = "MatMulInteger" if precision == "int8" else "MatMul"  # the integers are exact, in int32
    nodes = [
        helper.make_node(product, ["codes", "vectors"], ["products"]),
        helper.make_node("Cast", ["products"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "step"], ["cosines"]),
        helper.make_node("Mul", ["residual", "growth"], ["slack"]),
        helper.make_node("Add", ["cosines", "slack"], ["all"]),
        *([helper.make_node("Gather", ["all", "rows"], ["some"], axis=0)] if gathered else []),
        helper.make_node("Transpose", ["some" if gathered else "all"], ["ranked"], perm=[1, 0]),
        helper.make_node("TopK", ["ranked", "count"], ["bounds", "places"], axis=-1, largest=1, sorted=1),
    ]
    graph = helper.make_graph(nodes, f"proposals_{precision}", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised
