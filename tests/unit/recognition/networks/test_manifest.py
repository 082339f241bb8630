"""Manifests: those of the project are right, and a wrong one is refused with a message that names the place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.manifest import load_manifest, load_manifests
from apps.recognition.networks.reference import load_reference
from apps.recognition.networks.registry import Registry
from apps.recognition.networks.specs import InputSpec

EMBEDDED_TASKS = {
    "face_detector", "face_mesh", "iris", "face_descriptor", "age_sex", "emotion", "antispoof", "liveness",
    "object_detector", "body_pose",
}  # fmt: skip
DESCRIPTOR = f"""
name = "dlib-resnet"
task = "face_descriptor"
title = "A descriptor network"
version = "1"
file = "dlib-resnet.onnx"
sha256 = "{"1" * 64}"
opset = 17
batch_sizes = [1, 2, 4]

[source]
kind = "python"
package = "face_recognition_models"
version = "0.3.0"

[[source.files]]
path = "models/weights.dat"
sha256 = "55533b{"0" * 58}"

[conversion]
format = "dlib-resnet"

[input]
name = "image"
shape = [150, 150, 3]
dtype = "uint8"
layout = "NHWC"
colour = "RGB"

[[outputs]]
name = "descriptor"
shape = [128]
meaning = "descriptor"

[descriptor]
version = 7
dimension = 128
raw_encoding = "float32-le"
match_cosine = 0.94
possible_cosine = 0.92
calibrated_on = "nothing"
calibration = [
  [-1.0, 0.0],
  [0.9, 0.8],
  [1.0, 1.0],
]

[descriptor.alignment]
crop = [150, 150]
template = [[110.9, 46.3], [89.6, 47.9], [74.0, 87.8]]
mesh_points = [[263], [362], [2]]
mirror_average = true

[licence]
package = "CC0-1.0"
upstream = "somebody"
upstream_licence = "CC0-1.0"
training_data = "not known"
"""


def test_every_embedded_task_has_one_default_network(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert {m.task for m in registry.manifests.values() if m.default} == EMBEDDED_TASKS
    assert all(registry.selected(task) for task in EMBEDDED_TASKS)


@pytest.mark.parametrize("name", load_manifests())
def test_every_network_has_a_reference_for_every_output(name: str, tmp_path: Path) -> None:
    recorded = load_reference(name, tmp_path)["outputs"]
    declared = {output.name: output.shape for output in load_manifests()[name].outputs}
    assert recorded.keys() == declared.keys()
    for output, shape in declared.items():
        assert all(size in (0, found) for size, found in zip(shape, recorded[output]["shape"][1:], strict=True))


def test_the_default_descriptor_is_fully_declared() -> None:
    descriptor = load_manifests()["dlib-resnet"].descriptor
    assert (descriptor.dimension, descriptor.raw_encoding) == (128, "float32-le")
    assert descriptor.alignment.mirror_average
    assert len(descriptor.alignment.template) == len(descriptor.alignment.mesh_points) == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "', 'colour = "red"\ntitle = "', r"unknown key `colour`"),
        ('version = "1"', "", r"`version` is missing"),
        ('version = "1"', "version = 1", r"`version` must be text, got 1"),
        ('name = "dlib-resnet"', 'name = "other"', r"`name` must equal the name of the file, 'dlib-resnet'"),
        ('task = "face_descriptor"', 'task = "telepathy"', r"`task` must be one of face_detector"),
        ('task = "face_descriptor"', 'task = "emotion"', r"\[descriptor\] is required for descriptor tasks"),
        ('file = "dlib-resnet.onnx"', 'file = "../x.onnx"', r"`file` must be a plain file name"),
        ('sha256 = "55533b', 'sha256 = "5553', r"\[files 0\]: `sha256` must be 64"),
        ('path = "models/', 'path = "../models/', r"`path` must stay inside the package"),
        ("opset = 17", "opset = 7", r"`opset` must be 11 to "),
        ("batch_sizes = [1, 2,", "batch_sizes = [2, 1,", r"`batch_sizes` must be ascending"),
        (
            'task = "face_descriptor"',
            'task = "face_descriptor"\nhead = "yunet"',
            r"`head` is required for face detectors",
        ),
        ('meaning = "descriptor"', 'meaning = "descriptor"\nlabels = ["one"]', r"`labels` must name each value"),
        ('kind = "python"', 'kind = "url"', r"`url` must be an https URL"),
        ('format = "dlib-resnet"', 'format = "caffe"', r"`format` must be one of"),
        ("shape = [150, 150, 3]", "shape = [3, 150, 150]", r"must have 3 channels for RGB in NHWC"),
        ("shape = [150, 150, 3]", "shape = [150, 150]", r"`shape` must be three sizes"),
        ("shape = [150, 150, 3]", "shape = [112, 112, 3]", r"crop of \[descriptor.alignment\] must have the input"),
        ("shape = [128]", "shape = [256]", r"first output's shape must be the descriptor's dimension"),
        ('colour = "RGB"', 'colour = "RGB"\nmean = [1.0]', r"a uint8 input must not have"),
        ('dtype = "uint8"', 'dtype = "float32"\nstd = [0.0]', r"`std` must be above 0"),
        ('dtype = "uint8"', 'dtype = "float32"\nmean = [1, 2]', r"one value or one per channel"),
        ("match_cosine = 0.", "match_cosine = -0.", r"`possible_cosine` must be at most"),
        ("  [1.0, 1.0],\n", "", r"`calibration` must go from \[-1, 0\] to \[1, 1\]"),
        ("  [-1.0, 0.0],\n", "  [-1.0, 0.0],\n  [0.99, 0.01],\n", r"`calibration` must increase strictly"),
        ("  [-1.0, 0.0],", "  [-1.0, 0.0, 0.0],", r"`calibration` must be a list of pairs"),
        ("[263], [362]", "[263], [468]", r"vertices 0\.\.467"),
        ("[263], [362]", "[263]", r"a list of vertices for each of"),
        ("mirror_average = true", 'mirror_average = "yes"', r"`mirror_average` must be true or false, got 'yes'"),
        (
            'meaning = "descriptor"',
            'meaning = "descriptor"\n\n[[outputs]]\nname = "descriptor"\nshape = [1]\nmeaning = "again"',
            r"names of outputs must be unique",
        ),
        ('meaning = "descriptor"', 'meaning = "descriptor"\nbatch_axis = false', r"needs `batch_sizes = \[1\]`"),
        ('format = "dlib-resnet"', 'format = "tfjs"', r"must name the same outputs as \[\[outputs\]\]"),
        ("crop = [150, 150]", "crop = [150]", r"`crop` must be \[height, width\]"),
        ("[licence]", "[licence", r"dlib-resnet.toml: is not valid TOML"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in DESCRIPTOR
    path = tmp_path / "dlib-resnet.toml"
    path.write_text(DESCRIPTOR.replace(old, new, 1))
    with pytest.raises(NetworkError, match=message):
        load_manifest(path)


def test_a_right_manifest_is_read(tmp_path: Path) -> None:
    (tmp_path / "dlib-resnet.toml").write_text(DESCRIPTOR)
    manifest = load_manifest(tmp_path / "dlib-resnet.toml")
    assert (manifest.batch_sizes, manifest.input.height, manifest.default) == ((1, 2, 4), 150, False)
    assert manifest.descriptor.calibration == ((-1, 0), (0.9, 0.8), (1, 1))
    assert manifest.descriptor.alignment.mesh_points == ((263,), (362,), (2,))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="cannot be read"):
        load_manifest(tmp_path / "absent.toml")


def test_thresholds_are_read_by_name(tmp_path: Path) -> None:
    manifest = load_manifests()["blazeface"]
    assert manifest.threshold("score") == 0.5
    with pytest.raises(NetworkError, match="blazeface has no threshold `speed`"):
        manifest.threshold("speed")


def spec(**changes: Any) -> InputSpec:
    values = {"name": "x", "shape": (2, 3, 3), "dtype": "float32", "layout": "NHWC", "colour": "RGB"} | changes
    return InputSpec(**values)


IMAGES = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)


def test_pixels_are_normalised_per_channel() -> None:
    tensor = spec(mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0)).tensor(IMAGES)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, (IMAGES.astype(np.float32) - [1, 2, 3]) / [2, 4, 8])


def test_bgr_in_nchw() -> None:
    tensor = spec(shape=(3, 2, 3), layout="NCHW", colour="BGR", std=(1.0, 2.0, 4.0)).tensor(IMAGES)
    assert tensor.shape == (2, 3, 2, 3)
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[:, 0], IMAGES[..., 2])
    np.testing.assert_array_equal(tensor[:, 2], IMAGES[..., 0] / np.float32(4))


def test_grey_is_luma_of_rgb_and_passes_grey_through() -> None:
    grey = spec(shape=(2, 3, 1), colour="GREY").tensor(IMAGES)
    np.testing.assert_allclose(grey[..., 0], IMAGES @ np.array([0.299, 0.587, 0.114]), rtol=1e-6)
    np.testing.assert_array_equal(spec(shape=(2, 3, 1), colour="GREY").tensor(IMAGES[..., :1]), IMAGES[..., :1])


def test_uint8_input_takes_pixels_as_they_are() -> None:
    tensor = spec(dtype="uint8").tensor(IMAGES)
    assert tensor.dtype == np.uint8
    np.testing.assert_array_equal(tensor, IMAGES)
