"""The embedded set: defaults, the fallbacks of those that cannot be had, and older defaults that stay."""

import hashlib
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.common.config import Directories, override_config
from apps.recognition.management.commands import networks as command
from apps.recognition.networks import embedded
from apps.recognition.networks.builder import build_network, convert
from apps.recognition.networks.embedded import build_embedded
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.manifest import load_manifest, load_manifests
from apps.recognition.networks.packs import network_use
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.sources import source_files
from apps.recognition.networks.specs import Manifest
from tests.unit.recognition.networks.tiny import TinySet


@pytest.fixture
def pair(tiny: TinySet) -> TinySet:
    """The tiny network as the fallback of another one, `newer`, whose package is absent."""
    text = tiny.manifest_file.read_text()
    tiny.manifest_file.write_text(text.replace("default = true", "fallback = true"))
    newer = text.replace('"tiny"', '"newer"').replace('"tiny.onnx"', '"newer.onnx"')
    (tiny.manifests / "newer.toml").write_text(newer.replace("tiny_network_package", "absent_package_of_tests"))
    return tiny


def make_available(pieces: TinySet) -> Path:
    """Make `newer` available in the tiny package and return its manifest."""
    path = pieces.manifests / "newer.toml"
    path.write_text(path.read_text().replace("absent_package_of_tests", "tiny_network_package"))
    manifest = load_manifest(path)
    sha256 = hashlib.sha256(convert(manifest, source_files(manifest, cache=pieces.cache))).hexdigest()
    path.write_text(path.read_text().replace(manifest.sha256, sha256))
    return path


def test_the_embedded_set_of_the_project() -> None:
    manifests = load_manifests()
    names = {task: each.name for each in manifests.values() if each.default for task in [each.task]}
    assert (names["face_detector"], names["face_descriptor"]) == ("yunet2023", "sface")
    fallbacks = {each.task: each.name for each in manifests.values() if each.fallback}
    assert fallbacks == {"face_detector": "blazeface", "face_descriptor": "dlib-resnet"}


def test_a_fallback_is_built_beside_its_default(pair: TinySet) -> None:
    make_available(pair)
    built = build_embedded(pair.registry(), cache=pair.cache)
    assert (built.names, built.notes) == (("newer", "tiny"), ())
    assert pair.registry().selected("emotion") == "newer"
    assert build_embedded(pair.registry(), cache=pair.cache) == type(built)((), ())


def test_a_default_that_cannot_be_had_leaves_its_task_to_the_fallback_and_says_so_once(pair: TinySet) -> None:
    built = build_embedded(pair.registry(), cache=pair.cache)
    (note,) = built.notes
    assert "absent_package_of_tests is not installed" in note
    assert "tiny serves emotion instead" in note
    assert "`.venv/bin/python manage.py networks use emotion newer`" in note
    assert pair.registry().for_task("emotion").manifest.name == "tiny"
    assert build_embedded(pair.registry(), cache=pair.cache).notes == ()


def test_a_choice_of_the_operator_stays(pair: TinySet) -> None:
    build_embedded(pair.registry(), cache=pair.cache)
    make_available(pair)
    build_network(pair.registry().manifest("newer"), directory=pair.networks, cache=pair.cache)
    network_use(pair.registry(), "emotion", "newer")
    assert build_embedded(pair.registry(), cache=pair.cache).notes == ()
    assert pair.registry().selected("emotion") == "newer"


def test_without_a_fallback_the_error_ends_the_build(pair: TinySet) -> None:
    pair.manifest_file.unlink()
    with pytest.raises(NetworkError, match="absent_package_of_tests is not installed"):
        build_embedded(pair.registry(), cache=pair.cache)


def test_the_command_builds_and_prints_the_notes(pair: TinySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "Registry", lambda _: pair.registry())
    out, err = StringIO(), StringIO()
    with override_config(Directories, networks=pair.networks, cache=pair.cache):
        call_command("networks", "build", stdout=out, stderr=err)
    assert "built 1 networks" in out.getvalue()
    assert "tiny serves emotion instead" in err.getvalue()


DESCRIPTOR = """
[descriptor]
version = {version}
dimension = 2
raw_encoding = "float32-le"
match_cosine = 0.5
possible_cosine = 0.4
calibration = [[-1.0, 0.0], [0.5, 0.8], [1.0, 1.0]]
calibrated_on = "nothing"

[descriptor.alignment]
crop = [4, 4]
template = [[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]]
mesh_points = [[33, 133], [362, 263], [1], [61], [291]]
mirror_average = false
"""


def as_descriptor(manifest: Path, version: int) -> None:
    text = manifest.read_text().replace('task = "emotion"', 'task = "face_descriptor"')
    manifest.write_text(text.replace("[licence]", DESCRIPTOR.format(version=version) + "\n[licence]"))


@pytest.fixture
def descriptors(pair: TinySet) -> TinySet:
    """The pair as descriptor networks: version 1 is the fallback, version 2 the default."""
    as_descriptor(pair.manifest_file, 1)
    as_descriptor(pair.manifests / "newer.toml", 2)
    return pair


def test_a_platform_that_worked_with_the_older_version_keeps_it(descriptors: TinySet) -> None:
    newer = make_available(descriptors)
    aside = newer.read_text()
    newer.unlink()
    old = descriptors.manifest_file.read_text()
    descriptors.manifest_file.write_text(old.replace("fallback = true", "default = true"))
    assert build_embedded(descriptors.registry(), cache=descriptors.cache).names == ("tiny",)

    descriptors.manifest_file.write_text(old)  # the next release
    newer.write_text(aside)
    (note,) = build_embedded(descriptors.registry(), cache=descriptors.cache).notes
    assert "keep version 1 (tiny)" in note
    assert "`.venv/bin/python manage.py networks use face_descriptor newer`" in note
    registry: Registry = descriptors.registry()
    assert (registry.selected("face_descriptor"), registry.state("newer")) == ("tiny", State.MISSING)
    assert build_embedded(registry, cache=descriptors.cache).notes == ()


def test_a_fresh_directory_takes_the_newer_version(descriptors: TinySet) -> None:
    make_available(descriptors)
    assert build_embedded(descriptors.registry(), cache=descriptors.cache).notes == ()
    assert descriptors.registry().selected("face_descriptor") == "newer"


def test_an_interrupted_build_of_a_fresh_directory_keeps_no_older_version(
    descriptors: TinySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next build would treat the fallback as the network in use."""

    def interrupted(manifest: Manifest, **_: object) -> None:
        raise KeyboardInterrupt(manifest.name)

    monkeypatch.setattr(embedded, "build_network", interrupted)
    with pytest.raises(KeyboardInterrupt, match="newer"):  # the first that is built
        build_embedded(descriptors.registry(), cache=descriptors.cache)
