"""Tables of networks that the command `networks` prints."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from apps.recognition.networks.registry import Registry, State

if TYPE_CHECKING:  # they import onnx and ONNX Runtime, which a list does not need
    from apps.recognition.networks.packs import Added
    from apps.recognition.networks.reference import Verification
    from apps.recognition.networks.specs import Manifest

LIST_HEADER = ("network", "task", "pack", "licence", "upstream", "KB", "state")
VERIFY_HEADER = ("network", "output", "difference", "allowed", "")


def network_rows(registry: Registry) -> list[tuple[str, ...]]:
    """Return a row per known network; a star marks the network that serves its task."""
    rows: list[tuple[str, ...]] = []
    for name, manifest in registry.manifests.items():
        state = registry.state(name)
        path = registry.directory / manifest.file
        size = _kilobytes(path) if state is not State.MISSING else "–"
        mark = "*" if registry.selected(manifest.task) == name else ""
        licence = manifest.licence
        task = manifest.task + mark
        rows.append((name, task, manifest.pack or "–", licence.package, licence.upstream_licence, size, state.value))
    return rows


def verification_rows(results: "Sequence[Verification]") -> list[tuple[str, ...]]:
    """Return a row per verified output."""
    return [
        (row.network, row.output, f"{row.difference:.1e}", f"{row.tolerance:.0e}", "ok" if row.ok else "DIFFERS")
        for row in results
    ]


OFFER_HEADER = ("network", "task", "licence", "trained on", "figures")
ADD_HEADER = ("task", "serves now", "added", "licence", "descriptor", "KB", "difference", "of allowed")


def offer_rows(members: "Sequence[Manifest]") -> list[tuple[str, ...]]:
    """Return a row per network of a pack, with its licence and figures, before its addition."""
    return [
        (each.name, each.task, each.licence.upstream_licence, each.licence.training_data, each.figures or "–")
        for each in members
    ]


def added_rows(added: "Sequence[Added]", registry: Registry) -> list[tuple[str, ...]]:
    """Return a row per added network, with the network that serves so far and the output closest to its tolerance."""
    rows: list[tuple[str, ...]] = []
    for one in added:
        manifest, worst = one.manifest, max(one.results, key=lambda result: result.difference / result.tolerance)
        descriptor = "–"
        if manifest.descriptor is not None:
            descriptor = f"version {manifest.descriptor.version}, {manifest.descriptor.dimension} numbers"
        size = _kilobytes(registry.directory / manifest.file)
        share = f"{worst.difference / worst.tolerance:.0%}"
        licence = manifest.licence.upstream_licence
        name = manifest.name
        rows.append((manifest.task, one.serves_now, name, licence, descriptor, size, f"{worst.difference:.1e}", share))
    return rows


def _kilobytes(path: Path) -> str:
    return str(-(-path.stat().st_size // 1024))


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a text table with columns padded to their widest cell."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
