"""Sources: hashes are checked, packages are fetched once, and a failure leaves nothing behind."""

import hashlib
import importlib.util
import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from apps.recognition.networks import node_packages, sources
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.manifest import load_manifest, load_manifests
from apps.recognition.networks.samples import SAMPLE_PACKAGE, sample_photographs
from apps.recognition.networks.sources import source_files
from apps.recognition.networks.specs import Source, SourceFile
from tests.unit.recognition.networks.tiny import TinySet

LOCK = json.loads((node_packages.NPM_DIR / "package-lock.json").read_text())


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    packages = {name: entry for name, entry in LOCK["packages"].items() if name}
    assert packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "resolved" not in json.dumps(LOCK)
    assert "://" not in json.dumps(LOCK)


def test_the_lock_file_has_the_versions_of_the_manifests() -> None:
    for manifest in load_manifests().values():
        locked = LOCK["packages"].get(f"node_modules/{manifest.source.package}")
        if manifest.source.kind == "npm" and manifest.default:
            assert locked["version"] == manifest.source.version


def test_files_with_the_right_hash_are_given(tiny: TinySet) -> None:
    manifest = load_manifest(tiny.manifest_file)
    paths = sources.source_files(manifest, cache=tiny.cache)
    assert paths == [tiny.package / "model.json", tiny.package / "model.bin"]


def test_a_wrong_hash_is_refused(tiny: TinySet) -> None:
    weights = tiny.package / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(NetworkError, match=r"model\.bin has SHA-256 .*the manifest requires .*refused"):
        sources.source_files(load_manifest(tiny.manifest_file), cache=tiny.cache)


def test_a_missing_file_is_named(tiny: TinySet) -> None:
    (tiny.package / "model.bin").unlink()
    with pytest.raises(NetworkError, match=r"file .*model\.bin does not exist"):
        sources.source_files(load_manifest(tiny.manifest_file), cache=tiny.cache)


def test_a_missing_python_package_is_named() -> None:
    with pytest.raises(NetworkError, match="the Python package absent_package_of_tests is not installed"):
        sources.python_package("absent_package_of_tests")


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts an npm on PATH that runs the given shell lines in the folder that it is called in."""

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, body in (("npm", script), ("node", "")):
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return install


INSTALL = """
case "$*" in "ci "*--ignore-scripts*) ;; *) exit 9 ;; esac
mkdir -p node_modules/pkg && cp package-lock.json node_modules/pkg/ && echo ran >> "$COUNT"
"""


def test_packages_are_installed_once_from_the_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_npm: Callable[[str], None]
) -> None:
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    fake_npm(INSTALL)
    for _ in range(2):
        root = node_packages.npm_packages(tmp_path / "cache")
        assert (root / "node_modules" / "pkg").is_dir()
    assert (tmp_path / "count").read_text() == "ran\n"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["npm"]


def test_another_lock_file_installs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_npm: Callable[[str], None]
) -> None:
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    fake_npm(INSTALL)
    root = node_packages.npm_packages(tmp_path / "cache")
    (root / "package-lock.json").write_text("{}")
    node_packages.npm_packages(tmp_path / "cache")
    assert (tmp_path / "count").read_text() == "ran\nran\n"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["npm"]


def test_a_failing_npm_leaves_nothing(tmp_path: Path, fake_npm: Callable[[str], None]) -> None:
    fake_npm('mkdir node_modules; echo "npm error EINTEGRITY" >&2; exit 1')
    with pytest.raises(NetworkError, match=r"(?s)npm could not fetch .*EINTEGRITY"):
        node_packages.npm_packages(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


PACK = """
case "$*" in "pack @some/thing@1.0 "*--ignore-scripts*) ;; *) exit 9 ;; esac
mkdir package && echo weights > package/w.bin && tar czf some-thing-1.0.tgz package && echo ran >> "$COUNT"
"""


def test_a_package_beside_the_lock_file_is_unpacked_alone_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_npm: Callable[[str], None]
) -> None:
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    fake_npm(PACK)
    for _ in range(2):
        root = node_packages.npm_package("@some/thing", "1.0", cache=tmp_path / "cache")
        assert (root / "w.bin").read_text() == "weights\n"
    assert (tmp_path / "count").read_text() == "ran\n"


def test_a_locked_package_is_not_given_in_another_version(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"locked at .*, the manifest needs 0\.0\.1"):
        node_packages.npm_package(SAMPLE_PACKAGE, "0.0.1", cache=tmp_path)


def test_sample_photographs_are_fetched_when_missing(tmp_path: Path, fake_npm: Callable[[str], None]) -> None:
    fake_npm(f"""
        demo=node_modules/{SAMPLE_PACKAGE}/demo
        mkdir -p $demo && for number in 1 2 3 4 5 6; do echo jpeg > $demo/sample$number.jpg; done
    """)
    photographs = sample_photographs(tmp_path)
    assert [path.name for path in photographs] == [f"sample{number}.jpg" for number in range(1, 7)]
    photographs[2].unlink()
    with pytest.raises(NetworkError, match=r"has no sample3\.jpg"):
        sample_photographs(tmp_path)


def test_without_npm_the_one_of_a_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **options: commands.append(command) or CompletedProcess(command, 0),
    )
    (npm,) = node_packages.npm_command()
    assert Path(npm).name == "npm"
    assert [command[-1] for command in commands] == [node_packages.NODE_REQUIREMENT]


def test_without_npm_and_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    failed = CompletedProcess([], 1, stderr="no index")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: failed)
    with pytest.raises(NetworkError, match=r"npm is not on PATH, .* cannot be installed:\nno index"):
        node_packages.npm_command()


def test_an_npm_that_hangs(tmp_path: Path, fake_npm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_packages, "NPM_TIMEOUT_S", 0.2)
    fake_npm("exec sleep 30")
    with pytest.raises(NetworkError, match="did not finish"):
        node_packages.npm_packages(tmp_path / "cache")


def test_in_a_folder_a_file_may_have_the_name_of_its_address(tmp_path: Path) -> None:
    data = b"weights"
    digest = hashlib.sha256(data).hexdigest()
    file = SourceFile("ours.onnx", digest, "https://example.com/a/theirs.onnx")
    manifest = replace(load_manifests()["yunet"], source=Source("url", "somebody", "1", (file,)))
    with pytest.raises(NetworkError, match=r"file .*ours\.onnx does not exist"):
        source_files(manifest, cache=tmp_path, folder=tmp_path)
    (tmp_path / "theirs.onnx").write_bytes(data)
    assert source_files(manifest, cache=tmp_path, folder=tmp_path) == [tmp_path / "theirs.onnx"]
    (tmp_path / "ours.onnx").write_bytes(data)
    assert source_files(manifest, cache=tmp_path, folder=tmp_path) == [tmp_path / "ours.onnx"]
