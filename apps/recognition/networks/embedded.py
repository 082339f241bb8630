"""Embedded set: the default network of each task, and fallbacks of defaults whose package can be unavailable.

The network of a task changes only explicitly, in `selection.json`. A missing descriptor network must not change the
descriptor version of new faces. A build therefore records a fallback that replaces its default. It also records the
default that a directory already uses when a newer default appears.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.recognition.networks.builder import build_network
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.packs import network_use
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.specs import Manifest

Progress = Callable[[list[Manifest]], Iterable[Manifest]]


@dataclass(frozen=True, slots=True)
class Built:
    """Names of the built networks, and notes for the operator, one sentence each."""

    names: tuple[str, ...]
    notes: tuple[str, ...]


def build_embedded(registry: Registry, *, cache: Path, progress: Progress = iter) -> Built:
    """Build the missing networks of the embedded set into the registry's directory, defaults first.

    If a default cannot be built, its fallback serves the task. The note about it appears once, because later builds
    skip this default. Raises NetworkError for a network without a fallback.
    """
    notes = list(_kept_descriptors(registry))
    built = []
    for manifest in progress(_waiting(registry)):
        try:
            build_network(manifest, directory=registry.directory, cache=cache)
        except NetworkError as error:
            if not manifest.default or (fallback := _fallback(registry, manifest.task)) is None:
                raise
            build_network(fallback, directory=registry.directory, cache=cache)
            if registry.selected(manifest.task) == manifest.name:
                network_use(registry, manifest.task, fallback.name)
            notes.append(
                f"{error}. {registry.selected(manifest.task)} serves {manifest.task} instead; to change this later: "
                f"{_way(manifest)}"
            )
        else:
            built.append(manifest.name)
    return Built(tuple(built), tuple(notes))


def _kept_descriptors(registry: Registry) -> Iterator[str]:
    """Select the descriptor network that an older directory uses, once, so that a newer default does not replace it."""
    for fallback in registry.manifests.values():
        if not fallback.fallback or fallback.descriptor is None or fallback.task in registry.selection():
            continue
        name = registry.selected(fallback.task)
        if name is None or (registry.state(fallback.name), registry.state(name)) != (State.INSTALLED, State.MISSING):
            continue
        network_use(registry, fallback.task, fallback.name)
        yield (
            f"New descriptors keep version {fallback.descriptor.version} ({fallback.name}), which this installation "
            f"uses; to change to the newer default: {_way(registry.manifest(name))}, and extract the stored faces "
            "again (docs/networks.md)"
        )


def _waiting(registry: Registry) -> list[Manifest]:
    waiting = [name for name in registry.embedded() if registry.state(name) is not State.INSTALLED]
    return [each for each in map(registry.manifest, waiting) if not _given_up(registry, each)]


def _given_up(registry: Registry, manifest: Manifest) -> bool:
    """Return whether an earlier build selected the fallback instead of this default."""
    serving = registry.manifests.get(registry.selection().get(manifest.task, ""))
    return manifest.default and serving is not None and serving.fallback


def _fallback(registry: Registry, task: str) -> Manifest | None:
    return next((each for each in registry.manifests.values() if each.fallback and each.task == task), None)


def _way(manifest: Manifest) -> str:
    command = ".venv/bin/python manage.py networks"
    return f"`{command} build {manifest.name}`, `{command} use {manifest.task} {manifest.name}`"
