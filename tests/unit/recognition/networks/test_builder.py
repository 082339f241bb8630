"""Builds: once, atomic, and only with the manifest's contents."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from apps.recognition.networks import builder
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.manifest import load_manifest
from tests.unit.recognition.networks.tiny import TinySet, sha256, tiny_manifest


def build(tiny: TinySet) -> bool:
    return builder.build_network(load_manifest(tiny.manifest_file), directory=tiny.networks, cache=tiny.cache)


def test_a_network_is_built_and_computes(tiny: TinySet) -> None:
    assert build(tiny)
    session = onnxruntime.InferenceSession(tiny.networks / "tiny.onnx", providers=["CPUExecutionProvider"])
    values = np.arange(48, dtype=np.float32).reshape(3, 4, 4, 1)
    matrix = np.linspace(-1, 1, 32, dtype=np.float32).reshape(16, 2)
    np.testing.assert_allclose(session.run(None, {"input": values})[0], values.reshape(3, 16) @ matrix, rtol=1e-5)


def test_the_second_build_does_nothing(tiny: TinySet) -> None:
    build(tiny)
    before = (tiny.networks / "tiny.onnx").stat()
    assert not build(tiny)
    assert (tiny.networks / "tiny.onnx").stat().st_mtime_ns == before.st_mtime_ns


def test_a_damaged_file_is_built_again(tiny: TinySet) -> None:
    build(tiny)
    path = tiny.networks / "tiny.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    assert build(tiny)
    assert sha256(path) == load_manifest(tiny.manifest_file).sha256


def test_another_result_is_refused_and_leaves_no_file(tiny: TinySet) -> None:
    tiny.manifest_file.write_text(tiny_manifest(tiny.package, result="0" * 64))
    with pytest.raises(NetworkError, match=r"the converted file has SHA-256 .* refused"):
        build(tiny)
    assert list(tiny.networks.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_build_leaves_no_file(tiny: TinySet, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    owner: Any = os if step == "fsync" else Path
    monkeypatch.setattr(owner, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(tiny)
    assert list(tiny.networks.iterdir()) == []


def test_a_failed_build_keeps_the_old_file(tiny: TinySet) -> None:
    build(tiny)
    old = sha256(tiny.networks / "tiny.onnx")
    tiny.manifest_file.write_text(tiny_manifest(tiny.package, result="0" * 64))
    with pytest.raises(NetworkError):
        build(tiny)
    assert sha256(tiny.networks / "tiny.onnx") == old
