"""What is installed: networks of a directory by name and by task.

A network is known by a manifest of the project or by one that was added to the directory (`manifests/*.toml`), and
installed when its file lies there with the manifest's hash. `selection.json` says which network serves a task where
it is not the default.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.manifest import MANIFEST_DIR, TASKS, load_manifests
from apps.recognition.networks.sources import sha256_of
from apps.recognition.networks.specs import Manifest

SELECTION_FILE = "selection.json"
WITHOUT_SELECTION = "without it the default networks serve"
ADDED_MANIFESTS = "manifests"


class State(StrEnum):
    """Whether a known network can be used."""

    INSTALLED = "installed"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class InstalledNetwork:
    """A network that can be loaded: its manifest and its ONNX file, whose hash was checked."""

    manifest: Manifest
    path: Path


class Registry:
    """The networks of one directory. Hashes are checked when a network is asked for, once per file and change."""

    def __init__(self, directory: Path, *, project_manifests: Path = MANIFEST_DIR) -> None:
        self.directory = directory
        known = load_manifests(project_manifests)
        for name, manifest in load_manifests(directory / ADDED_MANIFESTS).items():
            if name in known:
                raise NetworkError(f"{directory / ADDED_MANIFESTS / name}.toml: the project has a network of this name")
            known[name] = manifest
        self._manifests = known
        self._checked: dict[str, tuple[int, int]] = {}
        _check_distinct(known.values())

    @property
    def manifests(self) -> Mapping[str, Manifest]:
        """Every known network by name, installed or not."""
        return MappingProxyType(self._manifests)

    def manifest(self, name: str) -> Manifest:
        """A known network's manifest. Raises NetworkError for an unknown name."""
        try:
            return self._manifests[name]
        except KeyError:
            raise NetworkError(f"there is no network {name!r}; known are {', '.join(self._manifests)}") from None

    def embedded(self) -> list[str]:
        """The networks that an installation has from the start: the default ones, their companions, then fallbacks."""
        defaults = [manifest for manifest in self._manifests.values() if manifest.default]
        fallbacks = [manifest for manifest in self._manifests.values() if manifest.fallback]
        return list(dict.fromkeys(name for each in defaults + fallbacks for name in (each.name, *each.companions)))

    def check_addable(self, manifest: Manifest) -> None:
        """Raises NetworkError where a new manifest takes a name, file or descriptor version that is taken."""
        if manifest.default or manifest.fallback:
            raise NetworkError(
                f"network {manifest.name}: only a network of the project can be a `default` or a `fallback`"
            )
        if manifest.name in self._manifests:
            raise NetworkError(f"there is a network {manifest.name} already")
        _check_distinct([*self._manifests.values(), manifest])

    def state(self, name: str) -> State:
        """Whether a known network is installed, missing, or there with another hash."""
        return self._file_state(self.manifest(name))

    def _file_state(self, manifest: Manifest) -> State:
        path = self.directory / manifest.file
        try:
            status = path.stat()
        except OSError:
            return State.MISSING
        stamp = (status.st_mtime_ns, status.st_size)
        if self._checked.get(manifest.name) != stamp:
            if sha256_of(path) != manifest.sha256:
                return State.DAMAGED
            self._checked[manifest.name] = stamp
        return State.INSTALLED

    def get(self, name: str) -> InstalledNetwork:
        """An installed network. Raises NetworkError when it is unknown, missing or damaged."""
        return self.installed(self.manifest(name))

    def installed(self, manifest: Manifest) -> InstalledNetwork:
        """The installed network of a manifest. Raises NetworkError when its file is missing or damaged."""
        name, state = manifest.name, self._file_state(manifest)
        path = self.directory / manifest.file
        if state is State.MISSING:
            raise NetworkError(f"network {name} is not installed in {self.directory}; {_remedy(manifest)}")
        if state is State.DAMAGED:
            raise NetworkError(f"network file {path} has not the manifest's SHA-256; {_remedy(manifest)}")
        return InstalledNetwork(manifest, path)

    def selected(self, task: str) -> str | None:
        """The name of the network that serves a task: the chosen one, else the default; None without either."""
        if task not in TASKS:
            raise NetworkError(f"there is no task {task!r}; tasks are {', '.join(TASKS)}")
        chosen = self.selection().get(task)
        if chosen is not None:
            if chosen not in self._manifests:
                raise NetworkError(f"{SELECTION_FILE}: there is no network {chosen!r}")
            if self.manifest(chosen).task != task:
                raise NetworkError(f"{SELECTION_FILE}: network {chosen} does not serve the task {task}")
            return chosen
        return next((name for name, manifest in self._manifests.items() if _is_default(manifest, task)), None)

    def for_task(self, task: str) -> InstalledNetwork:
        """The installed network that serves a task. Raises NetworkError when there is none."""
        name = self.selected(task)
        if name is None:
            raise NetworkError(f"no network serves the task {task}")
        return self.get(name)

    def available_tasks(self) -> frozenset[str]:
        """The tasks whose selected network is installed."""
        selected = {task: self.selected(task) for task in TASKS}
        return frozenset(task for task, name in selected.items() if name and self.state(name) is State.INSTALLED)

    def selection(self) -> dict[str, str]:
        path = self.directory / SELECTION_FILE
        try:
            selection = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise NetworkError(f"{path}: cannot be read, {WITHOUT_SELECTION}: {error}") from error
        if not isinstance(selection, dict) or any(not isinstance(name, str) for name in selection.values()):
            raise NetworkError(f"{path}: must be an object of task and network names, {WITHOUT_SELECTION}")
        return selection


def _is_default(manifest: Manifest, task: str) -> bool:
    return manifest.default and manifest.task == task


def _remedy(manifest: Manifest) -> str:
    embedded = manifest.default or manifest.fallback
    command = "networks build" if embedded else f"networks add {manifest.name}"
    return f"run `python manage.py {command}`"


def _check_distinct(manifests: Iterable[Manifest]) -> None:
    """A task has one default and one fallback, and a descriptor version or a file belongs to one network."""
    seen: dict[tuple[str, object], str] = {}
    for manifest in manifests:
        keys: list[tuple[str, object]] = [("file", manifest.file)]
        if manifest.default:
            keys.append(("default of task", manifest.task))
        if manifest.fallback:
            keys.append(("fallback of task", manifest.task))
        if manifest.descriptor is not None:
            keys.append(("descriptor version", manifest.descriptor.version))
        for key in keys:
            other = seen.setdefault(key, manifest.name)
            if other != manifest.name:
                raise NetworkError(f"networks {other} and {manifest.name} have one {key[0]} {key[1]}")
