"""Small TensorFlow.js graphs and a small network package, made by the tests."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from apps.recognition.networks.registry import Registry

PACKAGE = "tiny_network_package"


@dataclass(frozen=True)
class TinySet:
    """Where the tiny network's pieces lie."""

    package: Path
    manifests: Path
    networks: Path
    cache: Path

    @property
    def manifest_file(self) -> Path:
        return self.manifests / "tiny.toml"

    @property
    def own(self) -> Path:
        """The manifest of a user's network, if a test writes it."""
        return self.cache.parent / "own.toml"

    @property
    def folder(self) -> Path:
        """Where the files of that network are."""
        return self.cache.parent / "files"

    def registry(self) -> Registry:
        return Registry(self.networks, project_manifests=self.manifests)


def placeholder(name: str = "input") -> dict[str, Any]:
    return {"name": name, "op": "Placeholder", "attr": {}}


def const(name: str) -> dict[str, Any]:
    return {"name": name, "op": "Const", "attr": {}}


def node(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    """A TensorFlow node; text, whole numbers, truths and lists of them become protobuf's JSON form."""
    return {"name": name, "op": op, "input": list(inputs), "attr": {k: _attribute(v) for k, v in attributes.items()}}


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"b": value}
    if isinstance(value, int):
        return {"i": str(value)}
    if isinstance(value, str):
        return {"s": _text(value)}
    if value and isinstance(value[0], str):
        return {"list": {"s": [_text(item) for item in value]}}
    return {"list": {"i": [str(item) for item in value]}}


def write_graph(
    directory: Path,
    nodes: list[dict[str, Any]],
    weights: dict[str, np.ndarray],
    *,
    stem: str = "model",
    quantization: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """Writes `<stem>.json` and `<stem>.bin`; returns the path of the first."""
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, array in weights.items():
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        if quantization and name in quantization:
            entry |= {"dtype": "float32", "quantization": quantization[name]}
        entries.append(entry)
    all_nodes = [*nodes, *(const(name) for name in weights)]
    description = {
        "modelTopology": {"node": all_nodes},
        "weightsManifest": [{"paths": [f"{stem}.bin"], "weights": entries}],
    }
    (directory / f"{stem}.bin").write_bytes(b"".join(array.tobytes() for array in weights.values()))
    path = directory / f"{stem}.json"
    path.write_text(json.dumps(description))
    return path


def run(model: onnx.ModelProto, values: np.ndarray, input_name: str = "input") -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {input_name: values})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


MANIFEST = """
name = "tiny"
task = "emotion"
title = "A tiny network"
version = "1"
file = "tiny.onnx"
sha256 = "{result}"
opset = 17
batch_sizes = [1, 2]
default = true

[source]
kind = "python"
package = "tiny_network_package"
version = "1.0"

[[source.files]]
path = "model.json"
sha256 = "{topology}"

[[source.files]]
path = "model.bin"
sha256 = "{weights}"

[conversion]
format = "tfjs"
input = "input"

[conversion.outputs]
sums = "sums"

[input]
name = "input"
shape = [4, 4, 1]
dtype = "float32"
layout = "NHWC"
colour = "GREY"
std = [255.0]

[[outputs]]
name = "sums"
shape = [2]
meaning = "two weighted sums of the pixels"

[licence]
package = "MIT"
upstream = "this test"
upstream_licence = "MIT"
training_data = "none"
"""


def write_tiny_package(root: Path) -> Path:
    """An importable package whose graph is two weighted sums of a 4×4 picture; returns its folder."""
    package = root / PACKAGE
    matrix = np.linspace(-1, 1, 32, dtype=np.float32).reshape(16, 2)
    nodes = [
        placeholder(),
        node("flat", "Reshape", "input", "shape"),
        node("sums", "MatMul", "flat", "matrix", transpose_b=False),
    ]
    write_graph(package, nodes, {"shape": np.array([1, 16], np.int32), "matrix": matrix})
    (package / "__init__.py").write_text('raise RuntimeError("weight packages are never imported")\n')
    return package


def tiny_manifest(package: Path, *, result: str) -> str:
    """The manifest of the tiny package with its real hashes and the given hash of the result."""
    return MANIFEST.format(
        result=result, topology=sha256(package / "model.json"), weights=sha256(package / "model.bin")
    )
