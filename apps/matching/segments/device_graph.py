"""ONNX graph that bounds the cosines of all rows of a segment from above, and returns rows with the highest bounds.

Inputs: `codes` as `coded` makes them; `scale` of int8, float16 [n, blocks]; `residual`, float16 [1, n]; `vectors`,
float16 [m, d']; `each`, int64 [1]; with `gathered` also `rows`, int64 [r]. The bound of a row is product + residual.
Outputs, [m, GROUPS, each]: `bounds`, float16, descending, and `places`, int64, in the groups of equal size of the rows
or, with `gathered`, of `rows`.

TopK of ONNX Runtime on CUDA is slow for many rows (85 ms for the highest 128 of 10,000,000). In groups, the highest 32
of each take .2 ms. All values are float16, because passes over 32-bit bounds would take .1 ms more.

int8: MatMulNBits multiplies bytes with float16 vectors. MatMulInteger fails on CUDA with one vector, and takes three
times as long with four. The operator has the number of rows as an attribute, so that each segment has its own graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from apps.matching.config import Precision
from apps.matching.segments.codes import Codes, Floats

OPSET, IR_VERSION = 17, 8
GROUPS = 32  # of 8 to 64, the fastest on an H200
PART_ROWS = 4096  # that are converted at once
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


def coded(codes: Codes, scale: Floats, precision: Precision) -> NDArray[Any]:
    """Return codes, int8 [n, d], as the graph takes them.

    fp16: multiplied by `scale`, the step of each row, float32 [n]; float16 [n', d]. int8: bytes [n', blocks, block].
    """
    rows, dimension = padded(len(codes)), codes.shape[1]
    if precision == "fp16":
        halves = np.zeros((rows, dimension), np.float16)
        for start in range(0, len(codes), PART_ROWS):
            part = slice(start, start + PART_ROWS)
            np.multiply(codes[part], scale[part, None], out=halves[: len(codes)][part], casting="same_kind")
        return halves
    block, blocks = block_of(dimension)
    bytes_ = np.full((rows, block * blocks), OFFSET, np.uint8)
    np.bitwise_xor(codes.view(np.uint8), OFFSET, out=bytes_[: len(codes), :dimension])
    return bytes_.reshape(rows, blocks, block)


def proposal_graph(precision: Precision, *, rows: int, dimension: int, gathered: bool) -> bytes:
    """Return the serialised model for a segment of `rows` rows, padding included."""
    half, int64 = TensorProto.FLOAT16, TensorProto.INT64
    block, blocks = block_of(dimension)
    shapes: dict[str, tuple[int, list[str | int]]] = {"residual": (half, [1, rows]), "each": (int64, [1])}
    if precision == "int8":
        shapes |= {"vectors": (half, ["m", block * blocks]), "scale": (half, [rows, blocks])}
        shapes["codes"] = TensorProto.UINT8, [rows, blocks, block]
        attributes: dict[str, Any] = {"K": block * blocks, "N": rows, "bits": 8, "block_size": block}
        arguments = ["vectors", "codes", "scale"]
        product = helper.make_node("MatMulNBits", arguments, ["products"], domain="com.microsoft", **attributes)
    else:
        shapes |= {"vectors": (half, ["m", dimension]), "codes": (half, [rows, dimension])}
        product = helper.make_node("Gemm", ["vectors", "codes"], ["products"], transB=1)
    if gathered:
        shapes["rows"] = int64, ["r"]
    inputs = [helper.make_tensor_value_info(name, element, shape) for name, (element, shape) in shapes.items()]
    outputs = [
        helper.make_tensor_value_info(name, element, ["m", GROUPS, "k"])
        for name, element in (("bounds", half), ("places", int64))
    ]
    nodes = [
        product,
        helper.make_node("Add", ["products", "residual"], ["all"]),
        *([helper.make_node("Gather", ["all", "rows"], ["some"], axis=1)] if gathered else []),
        helper.make_node("Reshape", ["some" if gathered else "all", "grouped"], ["groups"]),
        helper.make_node("TopK", ["groups", "each"], ["bounds", "places"], axis=-1, largest=1, sorted=1),
    ]
    grouped = helper.make_tensor("grouped", int64, [3], [0, GROUPS, -1])  # 0: as in the input; -1: the rest
    graph = helper.make_graph(nodes, f"proposals_{precision}", inputs, outputs, [grouped])
    operators = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=operators, ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised
