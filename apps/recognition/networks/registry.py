"""Registry of known and installed networks of a directory, by name and by task.

A network is known if the project or the directory (`manifests/*.toml`) has its manifest. It is installed if the
directory has its file with the manifest's hash. `selection.json` names the network of each task that does not use its
default.
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
WITHOUT_SELECTION = "without this file the default networks serve"
ADDED_MANIFESTS = "manifests"


class State(StrEnum):
    """State of a known network."""

    INSTALLED = "installed"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class InstalledNetwork:
    """Loadable network: its manifest and its ONNX file with a verified hash."""

    manifest: Manifest
    path: Path


class Registry:
    """Networks of one directory. The hash of a file is checked at first use and after each change."""

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
        """Manifests of all known networks by name, installed or not."""
        return MappingProxyType(self._manifests)

    def manifest(self, name: str) -> Manifest:
        """Return a known network's manifest. Raises NetworkError for an unknown name."""
        try:
            return self._manifests[name]
        except KeyError:
            raise NetworkError(f"network {name!r} is unknown; known networks: {', '.join(self._manifests)}") from None

    def embedded(self) -> list[str]:
        """Return the names of the embedded set: defaults with their companions, then fallbacks."""
        defaults = [manifest for manifest in self._manifests.values() if manifest.default]
        fallbacks = [manifest for manifest in self._manifests.values() if manifest.fallback]
        return list(dict.fromkeys(name for each in defaults + fallbacks for name in (each.name, *each.companions)))

    def check_addable(self, manifest: Manifest) -> None:
        """Check a new manifest. Raises NetworkError if its name, file or descriptor version is already used."""
        if manifest.default or manifest.fallback:
            raise NetworkError(
                f"network {manifest.name}: only a network of the project can be a `default` or a `fallback`"
            )
        if manifest.name in self._manifests:
            raise NetworkError(f"a network with the name {manifest.name} exists already")
        _check_distinct([*self._manifests.values(), manifest])

    def state(self, name: str) -> State:
        """Return whether a known network is installed, missing, or present with another hash."""
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
        """Return an installed network. Raises NetworkError if it is unknown, missing or damaged."""
        return self.installed(self.manifest(name))

    def installed(self, manifest: Manifest) -> InstalledNetwork:
        """Return the installed network of a manifest. Raises NetworkError if its file is missing or damaged."""
        name, state = manifest.name, self._file_state(manifest)
        path = self.directory / manifest.file
        if state is State.MISSING:
            raise NetworkError(f"network {name} is not installed in {self.directory}; {_remedy(manifest)}")
        if state is State.DAMAGED:
            raise NetworkError(f"the SHA-256 of network file {path} differs from the manifest's; {_remedy(manifest)}")
        return InstalledNetwork(manifest, path)

    def selected(self, task: str) -> str | None:
        """Return the name of the network of a task: the selected one, else the default, else None."""
        if task not in TASKS:
            raise NetworkError(f"task {task!r} is unknown; tasks: {', '.join(TASKS)}")
        chosen = self.selection().get(task)
        if chosen is not None:
            if chosen not in self._manifests:
                raise NetworkError(f"{SELECTION_FILE}: network {chosen!r} is unknown")
            if self.manifest(chosen).task != task:
                raise NetworkError(f"{SELECTION_FILE}: network {chosen} does not serve the task {task}")
            return chosen
        return next((name for name, manifest in self._manifests.items() if _is_default(manifest, task)), None)

    def for_task(self, task: str) -> InstalledNetwork:
        """Return the installed network of a task. Raises NetworkError if the task has none."""
        name = self.selected(task)
        if name is None:
            raise NetworkError(f"no network serves the task {task}")
        return self.get(name)

    def available_tasks(self) -> frozenset[str]:
        """Return the tasks whose network is installed. Raises NetworkError if the file of one is damaged."""
        selected = {task: self.selected(task) for task in TASKS}
        present = {task: name for task, name in selected.items() if name and self.state(name) is not State.MISSING}
        for name in present.values():
            self.get(name)
        return frozenset(present)

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
    return f"run `.venv/bin/python manage.py {command}`"


def _check_distinct(manifests: Iterable[Manifest]) -> None:
    """Check that defaults, fallbacks, descriptor versions and files are unique. Raises NetworkError."""
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
