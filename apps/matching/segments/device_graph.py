"""ONNX graph that bounds the cosines of all rows of a segment from above, and returns the rows with the highest bounds.

Inputs: `codes`, `scale` and `vectors` as `coded` and `device` make them; `residual`, float32 [1, n]; `each` and
`count`, int64 [1]; with `gathered` also `rows`, int64 [r]. The bound of a row is product · scale + residual. Outputs,
all [m, count]: `bounds`, float32, descending; `winners` and `places`, int64: row `places` of group
`winners // each` of the rows or, with `gathered`, of `rows`.

TopK of ONNX Runtime on CUDA is slow for many rows (85 ms for the highest 128 of 10,000,000) and fast for groups of
them: `GROUPS` groups of equal size each return their `each` highest rows, from which the highest ones are taken.

int8: MatMulNBits multiplies bytes with float32 vectors. MatMulInteger needs four vectors at least on CUDA, and takes
three times as long. The operator has the number of rows as an attribute, so that each segment needs its own graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from apps.matching.config import Precision
from apps.matching.segments.codes import Codes

OPSET, IR_VERSION = 17, 8
GROUPS = 32  # of 8 to 64, the fastest on an H200
OFFSET = 128  # of the bytes of MatMulNBits
SMALLEST_BLOCK, LARGEST_BLOCK = 16, 256  # numbers with one scale, in MatMulNBits


def padded(count: int) -> int:
    """Return the rows of groups of equal size that hold `count` rows and at least one more."""
    return (count // GROUPS + 1) * GROUPS


def block_of(dimension: int) -> tuple[int, int]:
    """Return the numbers of a block and the blocks of a row of MatMulNBits."""
    wide = -(-dimension // SMALLEST_BLOCK) * SMALLEST_BLOCK
    block = min(wide & -wide, LARGEST_BLOCK)  # the largest power of two that divides it
    return block, wide // block


def coded(codes: Codes, precision: Precision) -> NDArray[Any]:
    """Return codes, int8 [n, d], as the graph multiplies them: float16 [n', d] or uint8 [n', blocks, block]."""
    rows, dimension = padded(len(codes)), codes.shape[1]
    if precision == "fp16":
        halves = np.zeros((rows, dimension), np.float16)
        halves[: len(codes)] = codes
        return halves
    block, blocks = block_of(dimension)
    bytes_ = np.full((rows, block * blocks), OFFSET, np.uint8)
    np.bitwise_xor(codes.view(np.uint8), OFFSET, out=bytes_[: len(codes), :dimension])
    return bytes_.reshape(rows, blocks, block)


def proposal_graph(precision: Precision, *, rows: int, dimension: int, gathered: bool) -> bytes:
    """Return the serialised model for a segment of `rows` rows, padding included."""
    block, blocks = block_of(dimension)
    is_int8 = precision == "int8"
    shapes: dict[str, tuple[int, list[str | int]]] = {
        "codes": (TensorProto.UINT8, [rows, blocks, block]) if is_int8 else (TensorProto.FLOAT16, [rows, dimension]),
        "vectors": (TensorProto.FLOAT, ["m", block * blocks]) if is_int8 else (TensorProto.FLOAT16, ["m", dimension]),
        "scale": (TensorProto.FLOAT, [rows, blocks] if is_int8 else [1, rows]),
        "residual": (TensorProto.FLOAT, [1, rows]),
        "each": (TensorProto.INT64, [1]),
        "count": (TensorProto.INT64, [1]),
    }
    if gathered:
        shapes["rows"] = TensorProto.INT64, ["r"]
    inputs = [helper.make_tensor_value_info(name, element, shape) for name, (element, shape) in shapes.items()]
    outputs = [
        helper.make_tensor_value_info(name, element, ["m", "k"])
        for name, element in (
            ("bounds", TensorProto.FLOAT),
            ("winners", TensorProto.INT64),
            ("places", TensorProto.INT64),
        )
    ]
    if is_int8:
        attributes = {"K": block * blocks, "N": rows, "bits": 8, "block_size": block}
        arguments = ["vectors", "codes", "scale"]
        product = [helper.make_node("MatMulNBits", arguments, ["cosines"], domain="com.microsoft", **attributes)]
    else:
        product = [
            helper.make_node("Gemm", ["vectors", "codes"], ["products"], transB=1),
            helper.make_node("Cast", ["products"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["floats", "scale"], ["cosines"]),
        ]
    nodes = [
        *product,
        helper.make_node("Add", ["cosines", "residual"], ["all"]),
        *([helper.make_node("Gather", ["all", "rows"], ["some"], axis=1)] if gathered else []),
        helper.make_node("Reshape", ["some" if gathered else "all", "grouped"], ["groups"]),
        helper.make_node("TopK", ["groups", "each"], ["highest", "own"], axis=-1, largest=1, sorted=1),
        helper.make_node("Reshape", ["highest", "joined"], ["finalists"]),
        helper.make_node("Reshape", ["own", "joined"], ["own_places"]),
        helper.make_node("TopK", ["finalists", "count"], ["bounds", "winners"], axis=-1, largest=1, sorted=1),
        helper.make_node("GatherElements", ["own_places", "winners"], ["places"], axis=1),
    ]
    # 0: as in the input; -1: the rest.
    constants = [
        helper.make_tensor("grouped", TensorProto.INT64, [3], [0, GROUPS, -1]),
        helper.make_tensor("joined", TensorProto.INT64, [2], [0, -1]),
    ]
    graph = helper.make_graph(nodes, f"proposals_{precision}", inputs, outputs, constants)
    operators = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=operators, ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised
