"""A network of a user: an ONNX file and its manifest."""

import hashlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.unit.recognition.networks.tiny import TinySet


def onnx_file(bias: float = 0.5, outputs: int = 2) -> bytes:
    """A network of the tiny shape: [N, 4, 4, 1] → [N, outputs]."""
    matrix = np.linspace(-1, 1, 16 * outputs, dtype=np.float32).reshape(16, outputs) + np.float32(bias)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["input"], ["flat"]), helper.make_node("MatMul", ["flat", "m"], ["sums"])],
        "own",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 4, 4, 1])],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["N", outputs])],
        [numpy_helper.from_array(matrix, "m")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


ADDRESS = "https://weights.example/own.onnx"


def own_manifest(data: bytes, tiny: TinySet, name: str = "own") -> str:
    digest = hashlib.sha256(data).hexdigest()
    text = tiny.manifest_file.read_text()
    start, end = text.index("[source]"), text.index("[input]")
    source = f"""[source]
kind = "url"
package = "somebody"
version = "abc"

[[source.files]]
path = "{name}.onnx"
sha256 = "{digest}"
url = "{ADDRESS}"

[conversion]
format = "onnx"

"""
    head = text[:start].replace('"tiny', f'"{name}').replace("default = true", 'pack = "better"')
    result = next(line for line in head.splitlines() if line.startswith("sha256"))
    return head.replace(result, f'sha256 = "{digest}"') + source + text[end:]
