"""Tables about networks for people: what `networks list` and `networks verify` print."""

from collections.abc import Sequence

from apps.recognition.networks.reference import Verification
from apps.recognition.networks.registry import Registry, State

LIST_HEADER = ("network", "task", "version", "licence", "upstream", "KB", "state")
VERIFY_HEADER = ("network", "output", "difference", "allowed", "")


def network_rows(registry: Registry) -> list[tuple[str, ...]]:
    """A row per known network; a star marks the one that serves its task."""
    rows: list[tuple[str, ...]] = []
    for name, manifest in registry.manifests.items():
        state = registry.state(name)
        path = registry.directory / manifest.file
        size = str(-(-path.stat().st_size // 1024)) if state is not State.MISSING else "–"
        mark = "*" if registry.selected(manifest.task) == name else ""
        licence = manifest.licence
        task = manifest.task + mark
        rows.append((name, task, manifest.version, licence.package, licence.upstream_licence, size, state.value))
    return rows


def verification_rows(results: Sequence[Verification]) -> list[tuple[str, ...]]:
    """A row per verified output."""
    return [
        (row.network, row.output, f"{row.difference:.1e}", f"{row.tolerance:.0e}", "ok" if row.ok else "DIFFERS")
        for row in results
    ]


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns padded to their widest cell, a line per row."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
