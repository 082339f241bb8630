"""`manage.py index`: show, build or drop the fast codes of lists in memory."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.matching.segments.fast_building import state_of
from apps.matching.segments.fast_files import fast_described, fast_path
from apps.matching.segments.fast_wanted import ask, unask, wants_fast
from apps.matching.segments.files import MANIFEST, Manifest, SegmentError, manifest_read, segments_root


class Command(BaseCommand):
    help = "Show, build or drop the fast codes of lists in memory, which `matching_speed=fast` searches."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("status", "build", "drop"))
        parser.add_argument("list_id", nargs="?", type=UUID, help="the list; `status` shows all lists without it")

    def handle(self, *args: Any, action: str, list_id: UUID | None, **options: Any) -> None:
        root = segments_root()
        found = [(path, manifest) for path, manifest in manifests(root) if list_id in (None, UUID(manifest.list_id))]
        if action == "status":
            for path, manifest in found:
                self.stdout.write(described(root, path, manifest))
            return
        if list_id is None:
            raise CommandError(f"Name the list: manage.py index {action} LIST_ID")
        if action == "build":
            if not found:
                raise CommandError(
                    f"List {list_id} is not in memory, so it cannot have fast codes: see manage.py list_cache status"
                )
            ask(root, list_id)
            self.stdout.write(f"The worker builds the fast codes of {list_id}; manage.py index status shows progress.")
        else:
            unask(root, list_id)
            again = any(wants_fast(root, list_id, manifest.rows) for _, manifest in found)
            self.stdout.write("Dropped." if not again else "Dropped; the settings want them, so they are made anew.")


def manifests(root: Path) -> list[tuple[Path, Manifest]]:
    """Return the directories of all lists in memory with their manifests."""
    found = []
    for path in sorted(root.glob(f"*/{MANIFEST}")):
        try:
            found.append((path.parent, manifest_read(path.parent)))
        except (SegmentError, FileNotFoundError):  # the builder makes it anew
            continue
    return found


def described(root: Path, directory: Path, manifest: Manifest) -> str:
    """Return a line on the fast codes of a list: state, size and measured recall."""
    start = f"{manifest.list_id}  {manifest.rows} rows  "
    state = state_of(directory)
    try:
        codes = fast_described(fast_path(directory, manifest.files[0].name))
    except (SegmentError, FileNotFoundError, IndexError):
        if state is not None and state.state == "failed":
            return f"{start}failed: {state.error}"
        if state is not None:
            return f"{start}building: {state.done:.0%}"
        return start + ("waiting" if wants_fast(root, UUID(manifest.list_id), manifest.rows) else "exact only")
    made = datetime.fromtimestamp(codes.made_at, UTC)
    return (
        f"{start}whole: {codes.rows} rows, {codes.bytes:,} bytes in each process, {codes.recall}, "
        f"made {made:%Y-%m-%d %H:%M:%S} UTC"
    )
