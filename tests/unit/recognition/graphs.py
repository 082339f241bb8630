"""Small ONNX networks that tests build, and directories in which they are installed beside the embedded ones."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from apps.common.config import Directories, config
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.networks.manifest import load_manifest
from apps.recognition.networks.packs import manifest_keep, network_add, network_use
from apps.recognition.networks.registry import Registry
from apps.recognition.networks.specs import Manifest

OPSET = 17
ANY = "any"  # a side of any size


class Graph:
    """Nodes and weights, added one by one; every method returns the name of a new value."""

    def __init__(self, input_shape: Sequence[int | str], *, batch: int | str = "batch") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.batch = batch
        self.input = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *input_shape])
        self.outputs: list[onnx.ValueInfoProto] = []

    def weight(self, values: Any, dtype: type = np.float32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def reshaped(self, value: str, *shape: int, output: str | None = None) -> str:
        return self.node("Reshape", value, self.weight(shape, np.int64), output=output)

    def output(self, name: str, shape: Sequence[int | str], *, batch_axis: bool = True) -> None:
        sizes = [self.batch, *shape] if batch_axis else list(shape)
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes))

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "tiny", [self.input], self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def channel_means(outputs: int = 3, *, layout: str = "NCHW", size: int = 8, batch: int | str = "batch") -> Graph:
    """A network whose output `values` [3] is the mean of each channel that it is given."""
    graph = Graph([3, size, size] if layout == "NCHW" else [size, size, 3], batch=batch)
    graph.node("ReduceMean", "input", output="values", axes=[2, 3] if layout == "NCHW" else [1, 2], keepdims=0)
    graph.output("values", [outputs])
    return graph


def colour_scores(*colours: str) -> Graph:
    """A network whose output `values` is highest for that of the `colours` ("R", "G", "B") of which there is most."""
    graph = Graph([3, 8, 8])
    means = graph.node("ReduceMean", "input", axes=[2, 3], keepdims=0)
    weights = [[20.0 * (colour == channel) for colour in colours] for channel in "RGB"]
    graph.node("MatMul", means, graph.weight(weights), output="values")
    graph.output("values", [len(colours)])
    return graph


def directory_with_embedded(directory: Path) -> Path:
    """`directory` with links to the embedded networks."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in config(Directories).networks.glob("*.onnx"):
        (directory / path.name).symlink_to(path)
    return directory


def install(
    directory: Path,
    model: onnx.ModelProto,
    *,
    name: str,
    task: str,
    outputs: Sequence[Mapping[str, Any]],
    entry: Mapping[str, Any],
    use: bool = True,
    **keys: Any,
) -> Manifest:
    """Adds a network by its manifest alone, as a user would, and lets it serve its task."""
    folder = directory / "source"
    folder.mkdir(exist_ok=True)
    data = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    tables: dict[str, Any] = {table: keys.pop(table) for table in ("descriptor", "thresholds") if table in keys}
    manifest: dict[str, Any] = {
        "name": name, "task": task, "title": "a tiny network", "version": "1", "file": f"{name}.onnx",
        "sha256": digest, "opset": OPSET, **keys,
        "source": {"kind": "url", "package": "tests", "version": "1", "files": [
            {"path": f"{name}.onnx", "sha256": digest, "url": f"https://example.com/{name}.onnx"}
        ]},
        "conversion": {"format": "onnx"},
        "input": {"name": "input", "dtype": "float32", **entry},
        "outputs": [{"meaning": "made by a test", **output} for output in outputs],
        "licence": {"package": "MIT", "upstream": "tests", "upstream_licence": "MIT", "training_data": "none"},
        **tables,
    }  # fmt: skip
    file = folder / f"{name}.toml"
    file.write_text("\n".join(f"{key} = {_toml(value)}" for key, value in manifest.items()))
    registry = Registry(directory)
    added = network_add(registry, load_manifest(file), cache=directory / "cache", folder=folder)
    manifest_keep(registry, file)
    if use:
        network_use(Registry(directory), task, name)
    return added.manifest


def engine_of(directory: Path) -> Engine:
    return Engine(EngineConfig(directory))


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
