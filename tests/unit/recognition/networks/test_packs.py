"""Packs: added from a folder or an address, chosen, removed; nothing wrong stays behind."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest

from apps.recognition.networks import sources
from apps.recognition.networks.builder import build_network
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.manifest import load_manifest, load_manifests
from apps.recognition.networks.packs import (
    Added,
    manifest_keep,
    network_add,
    network_remove,
    network_use,
    pack_add,
    pack_members,
)
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.specs import Manifest, SourceFile
from tests.unit.recognition.networks.own import ADDRESS, onnx_file, own_manifest
from tests.unit.recognition.networks.tiny import TinySet


@pytest.fixture
def own(tiny: TinySet, tmp_path: Path) -> TinySet:
    """The tiny default is installed; a user's manifest and its file lie in two folders."""
    build_network(tiny.registry().manifest("tiny"), directory=tiny.networks, cache=tiny.cache)
    data = onnx_file()
    tiny.folder.mkdir()
    (tiny.folder / "own.onnx").write_bytes(data)
    tiny.own.write_text(own_manifest(data, tiny))
    return tiny


def add(own: TinySet, manifest: Manifest | None = None) -> Added:
    registry = own.registry()
    added = network_add(registry, manifest or load_manifest(own.own), cache=own.cache, folder=own.folder)
    manifest_keep(registry, own.own)
    return added


def test_the_packs_of_the_project(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    packs = {manifest.pack for manifest in load_manifests().values() if manifest.pack}
    assert packs == {"recommended", "r0095", "yunet-n", "mobilefacenet", "minifasnet", "gear"}
    assert {m.name for m in pack_members(registry, "recommended")} == {
        "eye-state", "medical-mask", "face-occlusion", "glasses", "minifasnet-v2se", "minifasnet-v2", "minifasnet-v1se",
        "reid-0287",
    }  # fmt: skip
    assert all(m.figures for m in pack_members(registry, "recommended") if m.pack == "recommended")
    assert {m.name for m in pack_members(registry, "minifasnet-v2")} == {"minifasnet-v2", "minifasnet-v1se"}
    with pytest.raises(NetworkError, match="network 'absent' is unknown"):
        pack_members(registry, "absent")


def test_descriptor_versions_are_distinct() -> None:
    versions = [m.descriptor.version for m in load_manifests().values() if m.descriptor]
    assert len(versions) == len(set(versions)) == 5


def test_an_own_network_is_added_chosen_and_removed(own: TinySet) -> None:
    added = add(own)
    assert added.serves_now == "tiny"
    assert all(result.ok for result in added.results)
    registry = own.registry()
    assert registry.state("own") is State.INSTALLED
    assert registry.selected("emotion") == "tiny"
    network_use(registry, "emotion", "own")
    assert own.registry().for_task("emotion").manifest.name == "own"
    with pytest.raises(NetworkError, match="own is in use for the task emotion"):
        network_remove(registry, "own")
    network_use(registry, "emotion", "tiny")
    network_remove(registry, "own")
    assert "own" not in own.registry().manifests
    assert not (own.networks / "own.onnx").exists()


def test_a_wrong_file_is_refused_and_nothing_stays(own: TinySet) -> None:
    (own.folder / "own.onnx").write_bytes(onnx_file(bias=0.6))
    before = sorted(path.name for path in own.networks.iterdir())
    with pytest.raises(NetworkError, match="refused"):
        add(own)
    assert sorted(path.name for path in own.networks.iterdir()) == before


def test_a_pack_is_added_whole_or_not_at_all(own: TinySet) -> None:
    for name, bias in (("one", 0.1), ("two", 0.2)):
        data = onnx_file(bias)
        (own.folder / f"{name}.onnx").write_bytes(data)
        (own.manifests / f"{name}.toml").write_text(own_manifest(data, own, name))
    registry = own.registry()
    members = pack_members(registry, "better")
    assert [member.name for member in members] == ["one", "two"]
    right = (own.folder / "two.onnx").read_bytes()
    (own.folder / "two.onnx").write_bytes(right + b"x")
    with pytest.raises(NetworkError, match=r"network two: .* refused"):
        pack_add(registry, members, cache=own.cache, folder=own.folder)
    assert {registry.state(name) for name in ("one", "two")} == {State.MISSING}
    (own.folder / "two.onnx").write_bytes(right)
    assert len(pack_add(registry, members, cache=own.cache, folder=own.folder)) == 2
    assert len(pack_add(registry, members, cache=own.cache, folder=own.folder / "gone")) == 2  # nothing is needed now


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("shape = [2]", "shape = [3]"),
            r"output sums is FLOAT \[2\] after the batch axis, the manifest requires float32",
        ),
        (('name = "sums"', 'name = "total"'), "the model's outputs are sums, the manifest requires total"),
        (("shape = [4, 4, 1]", "shape = [8, 4, 1]"), r"input input is FLOAT \[4, 4, 1\]"),
        (("opset = 17", "opset = 16"), "the model has opset 17, the manifest requires 16"),
        (('file = "own.onnx"', 'file = "tiny.onnx"'), r"networks tiny and own have one file tiny\.onnx"),
        (('pack = "better"', "default = true"), "only a network of the project can be a `default`"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(own: TinySet, change: Any, message: str) -> None:
    own.own.write_text(own.own.read_text().replace(*change))
    with pytest.raises(NetworkError, match=message):
        add(own)
    assert not (own.networks / "own.onnx").exists()


def test_a_network_is_added_once(own: TinySet) -> None:
    manifest = load_manifest(own.own)
    add(own)
    with pytest.raises(NetworkError, match="a network with the name own exists already"):
        own.registry().check_addable(manifest)


def test_a_file_that_is_no_network_is_refused(own: TinySet) -> None:
    data = b"\xff" * 100
    (own.folder / "own.onnx").write_bytes(data)
    own.own.write_text(own_manifest(data, own))
    with pytest.raises(NetworkError, match="the file is not an ONNX model"):
        add(own)


def test_a_network_that_computes_something_else_is_not_added(own: TinySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.recognition.networks.reference.difference", lambda *_: 1.0)
    with pytest.raises(NetworkError, match="the outputs differ from their reference; not added"):
        add(own)
    assert not (own.networks / "own.onnx").exists()


def test_a_network_cannot_serve_another_task(own: TinySet) -> None:
    add(own)
    with pytest.raises(NetworkError, match="own serves the task emotion, not iris"):
        network_use(own.registry(), "iris", "own")


def test_the_default_in_use_is_not_removed(own: TinySet) -> None:
    with pytest.raises(NetworkError, match="tiny is in use"):
        network_remove(own.registry(), "tiny")


def answering(content: bytes, status: int = 200) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(status, content=content)))


def source_file(data: bytes) -> SourceFile:
    return SourceFile(path="own.onnx", sha256=hashlib.sha256(data).hexdigest(), url=ADDRESS)


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    data = onnx_file()
    path = sources.download(source_file(data), cache=tmp_path, client=answering(data))
    assert path.read_bytes() == data
    assert sources.download(source_file(data), cache=tmp_path, client=answering(b"", 500)) == path


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (answering(b"other"), r"the manifest requires .* refused"),
        (answering(b"", 404), "(?s)cannot be fetched: .*404.* use --from DIR"),
    ],
)
def test_another_answer_is_refused_and_not_kept(tmp_path: Path, client: httpx.Client, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        sources.download(source_file(onnx_file()), cache=tmp_path, client=client)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1000)
    with pytest.raises(NetworkError, match="is larger than 1000 bytes"):
        sources.download(source_file(b"x"), cache=tmp_path, client=answering(b"x" * 5000))


def test_onnx_stays_as_it_is(own: TinySet) -> None:
    add(own)
    assert (own.networks / "own.onnx").read_bytes() == (own.folder / "own.onnx").read_bytes()
    assert onnx.load(own.networks / "own.onnx").graph.name == "own"
