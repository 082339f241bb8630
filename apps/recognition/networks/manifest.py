"""Reader of manifests: one TOML file per network with all its properties.

The project's manifests are in `manifests/`; a user's own manifest has the same form (docs/networks.md).
"""

import tomllib
from itertools import pairwise
from pathlib import Path

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.labels import FIVE_POINTS, wrong_labels
from apps.recognition.networks.specs import (
    CHANNELS,
    Alignment,
    Conversion,
    DescriptorSpec,
    InputSpec,
    Licence,
    Manifest,
    OutputSpec,
    Source,
    SourceFile,
)
from apps.recognition.networks.tables import Table

MANIFEST_DIR = Path(__file__).parent / "manifests"

TASKS = (
    "face_detector", "face_mesh", "iris", "face_descriptor", "age_sex", "emotion", "antispoof", "liveness",
    "object_detector", "body_pose", "body_descriptor", "ethnicity", "deepfake", "mask", "glasses", "headwear",
    "face_occlusion", "deepfake_preliminary", "eye_state",
)  # fmt: skip
FORMATS = ("tfjs", "dlib-resnet", "faceapi-age-gender", "openvino", "tflite", "onnx-blockwise", "onnx")
HEADS = ("blazeface", "yunet", "scrfd", "retinaface")
CROPS = ("warp", "picture", "face", "face_box", "eyes", "eye_band")
ACTIVATIONS = ("none", "sigmoid", "softmax")
DEFAULT_BATCH_SIZES = [1, 2, 4, 8]
SUPPORTED_OPSETS = range(11, 22)


def load_manifest(path: Path) -> Manifest:
    """Read a manifest from a TOML file. Raises NetworkError with the names of file, table and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NetworkError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NetworkError(f"{path.name}: is not valid TOML: {error}") from error
    manifest = read_manifest(Table(data, path.name))
    if manifest.name != path.stem:
        raise NetworkError(f"{path.name}: `name` must equal the name of the file, {path.stem!r}, got {manifest.name!r}")
    return manifest


def load_manifests(directory: Path = MANIFEST_DIR) -> dict[str, Manifest]:
    """Read the manifests of a directory, sorted by name; a missing directory gives none."""
    return {path.stem: load_manifest(path) for path in sorted(directory.glob("*.toml"))}


def read_manifest(table: Table) -> Manifest:
    """Read a manifest from its outermost table."""
    task = table.text("task", choices=TASKS)
    descriptor_table = table.optional_table("descriptor")
    if (descriptor_table is not None) != task.endswith("_descriptor"):
        raise table.fail("[descriptor] is required for descriptor tasks and not allowed for other tasks")
    manifest = Manifest(
        name=table.text("name"),
        task=task,
        title=table.text("title"),
        version=table.text("version"),
        file=_file_name(table),
        sha256=_sha256(table),
        opset=_opset(table),
        batch_sizes=_batch_sizes(table),
        default=table.flag("default", False),
        pack=table.text("pack", ""),
        source=_source(table.table("source")),
        conversion=_conversion(table.table("conversion")),
        licence=_licence(table.table("licence")),
        input=_input(table.table("input")),
        outputs=tuple(_output(row) for row in table.tables("outputs")),
        descriptor=None if descriptor_table is None else _descriptor(descriptor_table),
        thresholds=_thresholds(table.optional_table("thresholds")),
        head=_head(table, task),
        companions=table.texts("companions"),
        advisory=table.flag("advisory", False),
        figures=table.text("figures", ""),
        fallback=table.flag("fallback", False),
    )
    table.done()
    _check_together(manifest, table)
    return manifest


def _check_together(manifest: Manifest, table: Table) -> None:
    if manifest.default and manifest.fallback:
        raise table.fail("`default` and `fallback` exclude each other")
    declared = [output.name for output in manifest.outputs]
    if len(set(declared)) != len(declared):
        raise table.fail("names of outputs must be unique")
    if manifest.batch_sizes != (1,) and not all(output.batch_axis for output in manifest.outputs):
        raise table.fail("an output without `batch_axis` needs `batch_sizes = [1]`")
    mapped = [name for name, _ in manifest.conversion.outputs]
    needs_mapping = manifest.conversion.format == "tfjs" or (manifest.conversion.format == "onnx" and mapped)
    if needs_mapping and sorted(mapped) != sorted(declared):
        raise table.fail("[conversion.outputs] must name the same outputs as [[outputs]]")
    if problem := wrong_labels(manifest):
        raise table.fail(problem)
    if manifest.descriptor is None:
        return
    if manifest.outputs[0].shape != (manifest.descriptor.dimension,):
        raise table.fail("the first output's shape must be the descriptor's dimension")
    alignment = manifest.descriptor.alignment
    if (alignment is None) != (manifest.task == "body_descriptor"):
        raise table.fail("[descriptor.alignment] is required for face descriptors and not allowed for body descriptors")
    size = (manifest.input.height, manifest.input.width)
    if alignment is not None and (alignment.crop_height, alignment.crop_width) != size:
        raise table.fail("the crop of [descriptor.alignment] must have the input's size")


def _head(table: Table, task: str) -> str:
    if task == "face_occlusion":
        return table.text("head", "", choices=("", FIVE_POINTS))
    head = table.text("head", "", choices=("", *HEADS))
    if bool(head) != (task == "face_detector"):
        raise table.fail("`head` is required for face detectors, and otherwise allowed only for face_occlusion")
    return head


def _file_name(table: Table) -> str:
    name = table.text("file")
    if Path(name).name != name or not name.endswith(".onnx"):
        raise table.fail(f"`file` must be a plain file name that ends in .onnx, got {name!r}")
    return name


def _sha256(table: Table) -> str:
    value = table.text("sha256")
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise table.fail("`sha256` must be 64 lower-case hexadecimal digits")
    return value


def _opset(table: Table) -> int:
    opset = table.integer("opset")
    if opset not in SUPPORTED_OPSETS:
        raise table.fail(f"`opset` must be {SUPPORTED_OPSETS.start} to {SUPPORTED_OPSETS.stop - 1}, got {opset}")
    return opset


def _batch_sizes(table: Table) -> tuple[int, ...]:
    sizes = table.integers("batch_sizes", DEFAULT_BATCH_SIZES)
    if not sizes or min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
        raise table.fail("`batch_sizes` must be ascending integers of 1 or more")
    return sizes


def _source(table: Table) -> Source:
    kind = table.text("kind", choices=("npm", "wheel", "python", "url"))
    files = []
    for row in table.tables("files"):
        file = SourceFile(path=row.text("path"), sha256=_sha256(row), url=row.text("url", ""))
        if kind == "url" and not file.url.startswith("https://"):
            raise row.fail("`url` must be an https URL")
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise row.fail("`path` must stay inside the package")
        row.done()
        files.append(file)
    source = Source(
        kind=kind,
        package=table.text("package"),
        version=table.text("version"),
        files=tuple(files),
        sha256=_sha256(table) if kind == "wheel" else "",
    )
    table.done()
    return source


def _conversion(table: Table) -> Conversion:
    conversion = Conversion(
        format=table.text("format", choices=FORMATS),
        input=table.text("input", ""),
        outputs=tuple(table.names("outputs").items()),
    )
    table.done()
    return conversion


def _licence(table: Table) -> Licence:
    licence = Licence(
        package=table.text("package"),
        upstream=table.text("upstream"),
        upstream_licence=table.text("upstream_licence"),
        training_data=table.text("training_data"),
        caveat=table.text("caveat", ""),
    )
    table.done()
    return licence


def _input(table: Table) -> InputSpec:
    spec = InputSpec(
        name=table.text("name"),
        shape=table.integers("shape"),
        dtype=table.text("dtype", choices=("float32", "uint8")),
        layout=table.text("layout", choices=("NHWC", "NCHW")),
        colour=table.text("colour", choices=tuple(CHANNELS)),
        mean=table.numbers("mean", [0.0]),
        std=table.numbers("std", [1.0]),
        multiple_of=table.integer("multiple_of", 1, minimum=1),
        crop_scale=table.number("crop_scale", 1.0),
        crop=table.text("crop", "warp", choices=CROPS),
    )
    table.done()
    if len(spec.shape) != 3 or min(spec.shape) < 0:
        raise table.fail("`shape` must be three sizes, without the batch axis")
    if spec.shape[2 if spec.layout == "NHWC" else 0] != spec.channels:
        raise table.fail(f"`shape` must have {spec.channels} channels for {spec.colour} in {spec.layout}")
    if any(len(values) not in (1, spec.channels) for values in (spec.mean, spec.std)):
        raise table.fail("`mean` and `std` must have one value or one per channel")
    if min(spec.std) <= 0:
        raise table.fail("`std` must be above 0")
    if spec.dtype == "uint8" and (spec.mean, spec.std) != ((0.0,), (1.0,)):
        raise table.fail("a uint8 input must not have `mean` and `std`")
    return spec


def _output(table: Table) -> OutputSpec:
    output = OutputSpec(
        name=table.text("name"),
        shape=table.integers("shape"),
        meaning=table.text("meaning"),
        activation=table.text("activation", "none", choices=ACTIVATIONS),
        labels=table.texts("labels"),
        batch_axis=table.flag("batch_axis", True),
    )
    table.done()
    if output.labels and len(output.labels) != output.shape[-1]:
        raise table.fail("`labels` must name each value of the output's last axis")
    return output


def _thresholds(table: Table | None) -> tuple[tuple[str, float], ...]:
    if table is None:
        return ()
    thresholds = tuple((key, table.number(key)) for key in table.remaining())
    table.done()
    return thresholds


def _descriptor(table: Table) -> DescriptorSpec:
    aligned = table.optional_table("alignment")
    spec = DescriptorSpec(
        version=table.integer("version", minimum=1),
        dimension=table.integer("dimension", minimum=1),
        raw_encoding=table.text("raw_encoding", choices=("float32-le", "uint8")),
        alignment=None if aligned is None else _alignment(aligned),
        match_cosine=table.number("match_cosine"),
        possible_cosine=table.number("possible_cosine"),
        calibration=table.pairs("calibration"),
        calibrated_on=table.text("calibrated_on"),
    )
    table.done()
    if not -1 <= spec.possible_cosine <= spec.match_cosine <= 1:
        raise table.fail("`possible_cosine` must be at most `match_cosine`, and both must be −1 to 1")
    points = spec.calibration
    if len(points) < 2 or points[0] != (-1, 0) or points[-1] != (1, 1):
        raise table.fail("`calibration` must go from [-1, 0] to [1, 1]")
    if any(left[0] >= right[0] or left[1] >= right[1] for left, right in pairwise(points)):
        raise table.fail("`calibration` must increase strictly in cosine and in similarity")
    return spec


def _alignment(table: Table) -> Alignment:
    crop = table.integers("crop")
    if len(crop) != 2 or min(crop) < 1:
        raise table.fail("`crop` must be [height, width] in pixels")
    template = table.pairs("template")
    mesh_points = table.take("mesh_points", list)
    vertices = tuple(tuple(row) for row in mesh_points if isinstance(row, list) and row)
    if len(vertices) != len(mesh_points) or len(vertices) != len(template) or len(template) < 3:
        raise table.fail("`mesh_points` must be a list of vertices for each of three or more `template` points")
    if any(type(vertex) is not int or not 0 <= vertex < 468 for row in vertices for vertex in row):
        raise table.fail("`mesh_points` must be vertices 0..467 of the mesh")
    alignment = Alignment(
        crop_height=crop[0],
        crop_width=crop[1],
        template=template,
        mesh_points=vertices,
        mirror_average=table.flag("mirror_average"),
    )
    table.done()
    return alignment
