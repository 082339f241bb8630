"""Packs: addition, selection and removal of networks in a directory.

A pack is a set of manifests with the same `pack` name. A user's own network is a manifest file of the same form.
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
    """Added network, with the network that served its task so far, and the verification of its outputs."""

    manifest: Manifest
    serves_now: str
    results: tuple[Verification, ...]


def pack_members(registry: Registry, target: str) -> list[Manifest]:
    """Return the manifests of a pack's name, a network's name or a manifest file, including companions.

    Raises NetworkError for an unknown name.
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
    """Add all members after the files of all of them are present and valid. Raises NetworkError."""
    for manifest in members:
        if registry.manifests.get(manifest.name) == manifest and registry.state(manifest.name) is not State.INSTALLED:
            source_files(manifest, cache=cache, folder=folder)
    return [network_add(registry, manifest, cache=cache, folder=folder) for manifest in members]


def network_add(registry: Registry, manifest: Manifest, *, cache: Path, folder: Path | None = None) -> Added:
    """Add one network to the registry's directory and verify it; remove it if its outputs differ.

    `folder`: directory of its files, for a machine without internet. Raises NetworkError.
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
    """Return whether a network of the pack `recommended` is selected for its task at once.

    It is if no network, or an advisory one, serves the task. The version of descriptors never changes this way.
    """
    serving = registry.selected(manifest.task)
    return target == RECOMMENDED and (serving is None or registry.manifest(serving).advisory)


def manifest_keep(registry: Registry, path: Path) -> None:
    """Copy a user's manifest into the directory, which makes its network known."""
    _write(registry.directory / ADDED_MANIFESTS / path.name, path.read_text(encoding="utf-8"))


def network_use(registry: Registry, task: str, name: str) -> None:
    """Select an installed network for a task. Raises NetworkError if it does not fit."""
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
    """Remove an installed network. Raises NetworkError if it, or a network with it as companion, serves a task."""
    manifest = registry.manifest(name)
    serving = registry.selected(manifest.task)
    if serving is not None and name in (serving, *registry.manifest(serving).companions):
        raise NetworkError(
            f"network {name} is in use for the task {manifest.task}; "
            f"select another one first: `.venv/bin/python manage.py networks use {manifest.task} NETWORK`"
        )
    registry.get(name).path.unlink()
    (registry.directory / ADDED_MANIFESTS / f"{name}.toml").unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)
