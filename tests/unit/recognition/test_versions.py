"""Descriptor versions follow the manifests: all are known, and the chosen network's is the default from then on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from apps.common.config import Directories
from apps.common.descriptors import DescriptorRegistry
from apps.common.errors import LunaError
from apps.recognition.descriptor_versions import register_versions
from apps.recognition.networks.manifest import load_manifests
from apps.recognition.networks.packs import network_use
from apps.recognition.networks.registry import Registry
from luna.startup import require_checks
from tests.unit.recognition.graphs import channel_means, directory_with_embedded, install

TEMPLATE = [[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]]


def after_start(directory: Path) -> DescriptorRegistry:
    versions = DescriptorRegistry()
    register_versions(Registry(directory), versions)
    return versions


def test_the_chosen_network_gives_the_default_version_after_a_restart(tmp_path: Path) -> None:
    directory = directory_with_embedded(tmp_path)
    embedded = after_start(directory).default("face")
    install(
        directory, channel_means(size=112).model(), name="mine", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], entry={"shape": [3, 112, 112], "layout": "NCHW", "colour": "RGB"},
        descriptor={
            "version": 2001, "dimension": 3, "raw_encoding": "uint8", "match_cosine": 0.4, "possible_cosine": 0.3,
            "calibration": [[-1.0, 0.0], [0.4, 0.8], [1.0, 1.0]], "calibrated_on": "nothing",
            "alignment": {
                "crop": [112, 112], "template": TEMPLATE, "mirror_average": True,
                "mesh_points": [[33, 133], [362, 263], [1], [61], [291]],
            },
        },
    )  # fmt: skip
    versions = after_start(directory)
    mine = versions.default("face")
    assert (mine.version, mine.network, mine.dimension, mine.raw_bytes) == (2001, "mine", 3, 3)
    assert mine.calibration.similarity(0.4) == pytest.approx(0.8)
    assert versions.get(embedded.version) == embedded
    network_use(Registry(directory), "face_descriptor", embedded.network)
    assert after_start(directory).default("face") == embedded


def test_every_version_of_the_project_is_known_and_bodies_have_none(tmp_path: Path) -> None:
    versions = after_start(tmp_path)
    declared = {each.descriptor.version for each in load_manifests().values() if each.descriptor is not None}
    assert {version.version for version in versions.all()} == declared
    with pytest.raises(LunaError) as caught:
        versions.default("body")
    assert caught.value.code == 200005


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("selection.json", '{"face_descriptor": '),
        ("selection.json", '["face_descriptor"]'),
        ("selection.json", '{"face_descriptor": "absent"}'),
        ("manifests/own.toml", "name ="),
    ],
)
def test_a_damaged_directory_ends_every_start_with_a_sentence(
    tmp_path: Path, configure: Callable[..., None], file: str, text: str
) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / file).write_text(text)
    configure(Directories, networks=tmp_path)
    with pytest.raises(SystemExit) as caught:
        require_checks()
    said = caught.value.code
    assert isinstance(said, str)
    assert said.startswith("Luna cannot start: ")
    assert "\n" not in said
    assert Path(file).name in said
    with pytest.raises(SystemCheckError, match=Path(file).name):
        call_command("check")
