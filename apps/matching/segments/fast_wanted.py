"""Which lists in memory have fast codes: those of the settings, and those that an operator asked for by command.

An empty file in `index` of the directory of segments records what was asked for, so that it survives restarts.
"""

from contextlib import suppress
from pathlib import Path
from uuid import UUID

from apps.common.config import config, web_processes
from apps.faces.changes import lists_existing
from apps.matching.config import MatchingSpeed
from apps.matching.segments.files import FAST_SUFFIX, MANIFEST, SegmentError, manifest_read, writing

ASKED = "index"


def wants_fast(root: Path, list_id: UUID, rows: int) -> bool:
    """Return whether a list in memory is to have fast codes."""
    settings = config(MatchingSpeed)
    by_size = settings.fast_from is not None and rows >= settings.fast_from
    return list_id in settings.fast_lists or by_size or is_asked(root, list_id)


def is_asked(root: Path, list_id: UUID) -> bool:
    """Return whether the fast codes of a list were asked for by command."""
    return (root / ASKED / str(list_id)).exists()


def ask(root: Path, list_id: UUID) -> None:
    """Ask for the fast codes of a list, whatever the settings say."""
    (root / ASKED).mkdir(mode=0o700, parents=True, exist_ok=True)
    (root / ASKED / str(list_id)).touch(mode=0o600)


def forget_deleted(root: Path) -> None:
    """Take back `ask` for lists that were deleted."""
    asked = {}
    for path in (root / ASKED).glob("*"):
        with suppress(ValueError):
            asked[UUID(path.name)] = path
    for list_id in asked.keys() - lists_existing(list(asked)):
        asked[list_id].unlink(missing_ok=True)


def fast_bytes_per_row(dimension: int) -> int:
    """Return the most bytes that the fast codes of a row take in all web processes and the worker together."""
    return max(8, dimension // 8) * (web_processes() + 1)


def unask(root: Path, list_id: UUID) -> None:
    """Take back `ask`, and delete the fast codes of the list; those that the settings want are made anew."""
    (root / ASKED / str(list_id)).unlink(missing_ok=True)
    with writing(root):
        for path in root.glob(f"*/{MANIFEST}"):
            with suppress(SegmentError, FileNotFoundError):
                if UUID(manifest_read(path.parent).list_id) == list_id:
                    for codes in path.parent.glob(f"*{FAST_SUFFIX}"):
                        codes.unlink(missing_ok=True)
