"""Build of networks: convert source files to ONNX, check the result, place the file atomically."""

import os
import tempfile
from pathlib import Path

import onnx

from apps.recognition.networks.converters import blockwise, dlib, faceapi, named, openvino, pads, tfjs, tflite
from apps.recognition.networks.converters.graph import ELEMENT_TYPES
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.sources import sha256_of, source_files
from apps.recognition.networks.specs import Manifest


def is_built(manifest: Manifest, directory: Path) -> bool:
    """Return whether the network's file exists and has the manifest's hash."""
    path = directory / manifest.file
    return path.is_file() and sha256_of(path) == manifest.sha256


def build_network(manifest: Manifest, *, directory: Path, cache: Path, folder: Path | None = None) -> bool:
    """Build one network into `directory` and return True; return False if it is already built.

    `folder`: directory of the source files, instead of downloads. The file gets its name only if it is complete and has
    the manifest's hash, input and outputs. Raises NetworkError.
    """
    if is_built(manifest, directory):
        return False
    place(convert(manifest, source_files(manifest, cache=cache, folder=folder)), manifest, directory)
    return True


def convert(manifest: Manifest, files: list[Path]) -> bytes:
    """Convert source files to the manifest's ONNX file; an ONNX source is unchanged. Raises NetworkError."""
    if manifest.conversion.format == "onnx" and not manifest.conversion.outputs:
        data = files[0].read_bytes()
        check_declared(manifest, _parse(manifest, data))
        return data
    model = pads.make_pads_explicit(_from_source(manifest, files))
    check_declared(manifest, model)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _parse(manifest: Manifest, data: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # the class of protobuf's errors depends on its back end
        raise NetworkError(f"network {manifest.name}: the file is not an ONNX model: {error}") from error


def _from_source(manifest: Manifest, files: list[Path]) -> onnx.ModelProto:
    conversion, spec, output = manifest.conversion, manifest.input, manifest.outputs[0]
    shapes = {output.name: output.shape for output in manifest.outputs}
    if conversion.format == "tfjs":
        return tfjs.convert(
            tfjs.load_graph(files[0]),
            name=manifest.name,
            input_node=conversion.input,
            input_name=spec.name,
            input_shape=spec.shape,
            outputs=dict(conversion.outputs),
            output_shapes=shapes,
            opset=manifest.opset,
        )
    if conversion.format == "onnx":
        return named.convert(
            _parse(manifest, files[0].read_bytes()),
            input_value=conversion.input,
            input_name=spec.name,
            input_shape=spec.shape,
            outputs=dict(conversion.outputs),
            output_shapes=shapes,
        )
    if conversion.format == "tflite":
        return tflite.convert(
            files[0], name=manifest.name, input_name=spec.name, outputs=list(shapes.items()), opset=manifest.opset
        )
    if conversion.format == "openvino":
        return openvino.convert(
            files[0],
            files[1],
            name=manifest.name,
            input_name=spec.name,
            output_name=output.name,
            output_shape=output.shape,
            opset=manifest.opset,
        )
    if conversion.format == "faceapi-age-gender":
        return faceapi.convert(files[0], files[1], name=manifest.name, input_name=spec.name, opset=manifest.opset)
    if conversion.format == "onnx-blockwise":
        return blockwise.convert(
            files[0],
            name=manifest.name,
            input_name=spec.name,
            input_shape=spec.shape,
            outputs=[(each.name, each.shape) for each in manifest.outputs],
            opset=manifest.opset,
        )
    return dlib.convert(
        files[0], name=manifest.name, input_name=spec.name, output_name=output.name, opset=manifest.opset
    )


def check_declared(manifest: Manifest, model: onnx.ModelProto) -> None:
    """Check input, outputs and opset of a model against the manifest. Raises NetworkError for a difference."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset != manifest.opset:
        raise NetworkError(
            f"network {manifest.name}: the model has opset {opset}, the manifest requires {manifest.opset}"
        )
    constants = {value.name for value in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    spec = manifest.input
    _check_values(manifest, "input", inputs, [(spec.name, spec.shape, spec.dtype, True)])
    outputs = [(output.name, output.shape, "float32", output.batch_axis) for output in manifest.outputs]
    _check_values(manifest, "output", list(model.graph.output), outputs)


def _check_values(
    manifest: Manifest,
    kind: str,
    values: list[onnx.ValueInfoProto],
    declared: list[tuple[str, tuple[int, ...], str, bool]],
) -> None:
    """Check values of a model. `declared`: name, shape, element type, and whether a batch axis precedes the shape."""
    found = {value.name: value.type.tensor_type for value in values}
    if list(found) != [name for name, *_ in declared]:
        names = ", ".join(name for name, *_ in declared)
        raise NetworkError(
            f"network {manifest.name}: the model's {kind}s are {', '.join(found)}, the manifest requires {names}"
        )
    for name, shape, dtype, batch_axis in declared:
        sizes = [dimension.dim_value for dimension in found[name].shape.dim][int(batch_axis) :]
        fits = len(sizes) == len(shape) and all(a == b or not a for a, b in zip(sizes, shape, strict=True))
        if not fits or found[name].elem_type != ELEMENT_TYPES[dtype]:
            element = onnx.TensorProto.DataType.Name(found[name].elem_type)
            raise NetworkError(
                f"network {manifest.name}: {kind} {name} is {element} {sizes}{' after the batch axis' * batch_axis}, "
                f"the manifest requires {dtype} {list(shape)}"
            )


def place(data: bytes, manifest: Manifest, directory: Path) -> None:
    """Write a model file into `directory` atomically, under the manifest's file name.

    Raises NetworkError if the hash of the bytes differs from the manifest's.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{manifest.name}-", suffix=".partial", dir=directory)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        found = sha256_of(partial)
        if found != manifest.sha256:
            raise NetworkError(
                f"network {manifest.name}: the converted file has SHA-256 {found}, the manifest requires "
                f"{manifest.sha256} (onnx {onnx.__version__}; requirements.txt gives the right version); refused"
            )
        partial.chmod(0o644)
        partial.replace(directory / manifest.file)
    finally:
        partial.unlink(missing_ok=True)
