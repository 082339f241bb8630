"""Building: source files → converted, checked and atomically placed ONNX file."""

import os
import tempfile
from pathlib import Path

import onnx

from apps.recognition.networks.converters import dlib, pads, tfjs
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.sources import sha256_of, source_files
from apps.recognition.networks.specs import Manifest


def is_built(manifest: Manifest, directory: Path) -> bool:
    """Whether the network's file is there with the manifest's hash."""
    path = directory / manifest.file
    return path.is_file() and sha256_of(path) == manifest.sha256


def build_network(manifest: Manifest, *, directory: Path, cache: Path) -> bool:
    """Builds one network into `directory`; returns False when it was there already.

    The file appears under its name only when it is whole and has the manifest's hash. Raises NetworkError.
    """
    if is_built(manifest, directory):
        return False
    model = convert(manifest, source_files(manifest, cache=cache))
    place(model, manifest, directory)
    return True


def convert(manifest: Manifest, files: list[Path]) -> onnx.ModelProto:
    """The ONNX model that the manifest describes, from its source files. Raises NetworkError."""
    model = _from_source(manifest, files)
    if manifest.conversion.format != "onnx":
        model = pads.make_pads_explicit(model)
    return model


def _from_source(manifest: Manifest, files: list[Path]) -> onnx.ModelProto:
    conversion, spec = manifest.conversion, manifest.input
    if conversion.format == "tfjs":
        return tfjs.convert(
            tfjs.load_graph(files[0]),
            name=manifest.name,
            input_node=conversion.input,
            input_name=spec.name,
            input_shape=spec.shape,
            outputs=dict(conversion.outputs),
            output_shapes={output.name: output.shape for output in manifest.outputs},
            opset=manifest.opset,
        )
    if conversion.format == "dlib-resnet":
        return dlib.convert(
            files[0],
            name=manifest.name,
            input_name=spec.name,
            output_name=manifest.outputs[0].name,
            opset=manifest.opset,
        )
    raise NetworkError(f"network {manifest.name}: format {conversion.format} is not supported")


def place(model: onnx.ModelProto, manifest: Manifest, directory: Path) -> None:
    """Writes the model into `directory` under the manifest's file name: whole or not at all.

    Raises NetworkError when its bytes have another hash than the manifest says.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{manifest.name}-", suffix=".partial", dir=directory)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString(deterministic=True))
            file.flush()
            os.fsync(file.fileno())
        found = sha256_of(partial)
        if found != manifest.sha256:
            raise NetworkError(
                f"network {manifest.name}: the converted file has SHA-256 {found}, the manifest says "
                f"{manifest.sha256} (onnx {onnx.__version__}; requirements.txt names the version to use); refused"
            )
        partial.chmod(0o644)
        partial.replace(directory / manifest.file)
    finally:
        partial.unlink(missing_ok=True)
