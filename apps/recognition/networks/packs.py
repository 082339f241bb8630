"""Packs: better or additional networks that are added to a directory, chosen for their tasks, and removed.

A pack is one or more manifests of one `pack` name. A user's own network is a manifest file of the same form.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.recognition.networks.builder import build_network
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.labels import LABELLED_TASKS
from apps.recognition.networks.manifest import load_manifest
from apps.recognition.networks.reference import Verification, has_reference, record_reference, verify
from apps.recognition.networks.registry import ADDED_MANIFESTS, SELECTION_FILE, Registry, State
from apps.recognition.networks.sources import source_files
from apps.recognition.networks.specs import Manifest

RECOMMENDED = "recommended"


@dataclass(frozen=True, slots=True)
class Added:
    """A network that was added: what served its task before, and how its outputs compare with their reference."""

    manifest: Manifest
    serves_now: str
    results: tuple[Verification, ...]


def pack_members(registry: Registry, target: str) -> list[Manifest]:
    """The manifests that a pack's name, a network's name or a manifest file stands for, companions included.

    Raises NetworkError when it stands for nothing.
    """
    if target.endswith(".toml"):
        return [load_manifest(Path(target))]
    members = [manifest for manifest in registry.manifests.values() if manifest.pack == target]
    if not members:
        members = [registry.manifest(target)]
    names = dict.fromkeys(name for manifest in members for name in (manifest.name, *manifest.companions))
    return [registry.manifest(name) for name in names]


def pack_add(
    registry: Registry, members: Sequence[Manifest], *, cache: Path, folder: Path | None = None
) -> list[Added]:
    """`network_add` of all members; none is added before the files of all are there and right. Raises NetworkError."""
    for manifest in members:
        if registry.manifests.get(manifest.name) == manifest and registry.state(manifest.name) is not State.INSTALLED:
            source_files(manifest, cache=cache, folder=folder)
    return [network_add(registry, manifest, cache=cache, folder=folder) for manifest in members]


def network_add(registry: Registry, manifest: Manifest, *, cache: Path, folder: Path | None = None) -> Added:
    """Adds one network to the registry's directory and verifies it; nothing is kept of one that differs.

    `folder`: where its files lie on a machine without internet. Raises NetworkError.
    """
    before = registry.selected(manifest.task)
    if registry.manifests.get(manifest.name) != manifest:
        registry.check_addable(manifest)
    built = build_network(manifest, directory=registry.directory, cache=cache, folder=folder)
    try:
        network = registry.installed(manifest)
        if not has_reference(manifest.name, registry.directory):
            record_reference(network, registry.directory)
        results = tuple(verify(network))
        if not all(result.ok for result in results):
            raise NetworkError(f"network {manifest.name}: the outputs differ from their reference; not added")
    except NetworkError:
        if built:
            (registry.directory / manifest.file).unlink(missing_ok=True)
        raise
    return Added(manifest, before or "–", results)


def serves_at_once(registry: Registry, manifest: Manifest, target: str) -> bool:
    """Return whether a network that came with the pack `recommended` serves without being chosen.

    It does where no network serves its task, or an advisory one. It never changes the version of descriptors in use.
    """
    serving = registry.selected(manifest.task)
    return target == RECOMMENDED and (serving is None or registry.manifest(serving).advisory)


def manifest_keep(registry: Registry, path: Path) -> None:
    """Keeps a user's manifest in the directory, so that its network is known from now on."""
    _write(registry.directory / ADDED_MANIFESTS / path.name, path.read_text(encoding="utf-8"))


def network_use(registry: Registry, task: str, name: str) -> None:
    """Makes an installed network serve a task. Raises NetworkError when it cannot."""
    manifest = registry.get(name).manifest
    if manifest.task != task:
        raise NetworkError(f"network {name} serves the task {manifest.task}, not {task}")
    for companion in manifest.companions if task in LABELLED_TASKS else ():
        if missing := set(manifest.labelled_output.labels) - set(
            registry.get(companion).manifest.labelled_output.labels
        ):
            labels = ", ".join(sorted(missing))
            raise NetworkError(f"network {name} has `labels` that its companion {companion} lacks: {labels}")
    selection = registry.selection() | {task: name}
    _write(registry.directory / SELECTION_FILE, json.dumps(selection, indent=2, sort_keys=True) + "\n")


def network_remove(registry: Registry, name: str) -> None:
    """Removes an installed network. Raises NetworkError for one that serves a task, or helps one that does."""
    manifest = registry.manifest(name)
    serving = registry.selected(manifest.task)
    if serving is not None and name in (serving, *registry.manifest(serving).companions):
        raise NetworkError(
            f"network {name} is in use for the task {manifest.task}; "
            f"choose another one first: `python manage.py networks use {manifest.task} NETWORK`"
        )
    registry.get(name).path.unlink()
    (registry.directory / ADDED_MANIFESTS / f"{name}.toml").unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)
