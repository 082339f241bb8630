"""The registry: known networks, installed networks, networks of tasks."""

import json
from pathlib import Path

import pytest

from apps.recognition.networks.builder import build_network
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry, State
from tests.unit.recognition.networks.tiny import TinySet, tiny_manifest


@pytest.fixture
def built(tiny: TinySet) -> TinySet:
    build_network(tiny.registry().manifest("tiny"), directory=tiny.networks, cache=tiny.cache)
    return tiny


def add_second(tiny: TinySet, *, where: Path, **changes: str) -> None:
    text = tiny_manifest(tiny.package, result="0" * 64)
    for old, new in ({'"tiny': '"second', "default = true": "default = false"} | changes).items():
        text = text.replace(old, new)
    where.mkdir(parents=True, exist_ok=True)
    (where / "second.toml").write_text(text.replace('"second_network', '"tiny_network'))


def test_an_installed_network_is_given(built: TinySet) -> None:
    network = built.registry().for_task("emotion")
    assert network == built.registry().get("tiny")
    assert network.path == built.networks / "tiny.onnx"
    assert built.registry().available_tasks() == {"emotion"}


def test_a_missing_network_says_what_to_do(tiny: TinySet) -> None:
    assert tiny.registry().state("tiny") is State.MISSING
    assert tiny.registry().available_tasks() == frozenset()
    with pytest.raises(NetworkError, match=r"tiny is not installed in .*`.venv/bin/python manage.py networks build`"):
        tiny.registry().for_task("emotion")


def test_a_damaged_network_is_refused_even_after_it_was_checked(built: TinySet) -> None:
    registry = built.registry()
    registry.get("tiny")
    path = built.networks / "tiny.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    assert registry.state("tiny") is State.DAMAGED
    with pytest.raises(NetworkError, match="differs from the manifest's"):
        registry.get("tiny")
    with pytest.raises(NetworkError, match="differs from the manifest's"):
        registry.available_tasks()  # its estimations would vanish without a word


def test_unknown_names_and_tasks_are_refused(tiny: TinySet) -> None:
    with pytest.raises(NetworkError, match="network 'absent' is unknown; known networks: tiny"):
        tiny.registry().get("absent")
    with pytest.raises(NetworkError, match="task 'absent' is unknown"):
        tiny.registry().for_task("absent")
    with pytest.raises(NetworkError, match="no network serves the task iris"):
        tiny.registry().for_task("iris")


def test_an_added_manifest_can_be_chosen_for_its_task(built: TinySet) -> None:
    add_second(built, where=built.networks / "manifests")
    (built.networks / "selection.json").write_text(json.dumps({"emotion": "second"}))
    assert built.registry().selected("emotion") == "second"
    with pytest.raises(NetworkError, match=r"run `.venv/bin/python manage.py networks add second`"):
        built.registry().for_task("emotion")


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "must be an object"),
        ('{"emotion": 1}', "must be an object"),
        ('{"emotion": "absent"}', "network 'absent' is unknown"),
        ('{"iris": "tiny"}', "network tiny does not serve the task iris"),
    ],
)
def test_a_wrong_selection_is_refused(built: TinySet, selection: str, message: str) -> None:
    (built.networks / "selection.json").write_text(selection)
    with pytest.raises(NetworkError, match=message):
        built.registry().selected("iris" if "iris" in selection else "emotion")


def test_added_manifests_do_not_replace_those_of_the_project(tiny: TinySet) -> None:
    folder = tiny.networks / "manifests"
    folder.mkdir(parents=True)
    (folder / "tiny.toml").write_text(tiny.manifest_file.read_text())
    with pytest.raises(NetworkError, match="the project has a network of this name"):
        tiny.registry()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"default = false": "default = true"}, "one default of task emotion"),
        ({'file = "second.onnx"': 'file = "tiny.onnx"'}, r"one file tiny\.onnx"),
    ],
)
def test_two_networks_do_not_share_what_is_unique(tiny: TinySet, changes: dict[str, str], message: str) -> None:
    add_second(tiny, where=tiny.manifests, **changes)
    with pytest.raises(NetworkError, match=message):
        Registry(tiny.networks, project_manifests=tiny.manifests)
