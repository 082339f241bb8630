"""A tiny network with its package, manifests, directory and cache, all in a temporary folder."""

import hashlib
from pathlib import Path

import pytest

from apps.recognition.networks.builder import convert
from apps.recognition.networks.manifest import load_manifest
from apps.recognition.networks.sources import source_files
from tests.unit.recognition.networks.tiny import TinySet, tiny_manifest, write_tiny_package


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinySet:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    pieces = TinySet(
        package=write_tiny_package(tmp_path / "site"),
        manifests=tmp_path / "manifests",
        networks=tmp_path / "networks",
        cache=tmp_path / "cache",
    )
    pieces.manifests.mkdir()
    pieces.manifest_file.write_text(tiny_manifest(pieces.package, result="0" * 64))
    manifest = load_manifest(pieces.manifest_file)
    result = hashlib.sha256(convert(manifest, source_files(manifest, cache=pieces.cache))).hexdigest()
    pieces.manifest_file.write_text(tiny_manifest(pieces.package, result=result))
    return pieces
