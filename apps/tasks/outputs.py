"""Pieces of the result of a running subtask, in rows: written with its checkpoints, read once it is whole."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from apps.tasks.models import SubtaskOutput

ROWS_AT_ONCE = 20


def output_add(*, subtask_id: int, items: Iterable[Any]) -> None:
    """Append items, which JSON can represent, to the subtask's result. Call it within a checkpoint."""
    packed = [orjson.dumps(item) for item in items]
    if packed:
        SubtaskOutput.objects.create(subtask_id=subtask_id, items=b",".join(packed).decode())


def output_bytes(*, subtask_id: int) -> Iterator[bytes]:
    """Yield a JSON array of all items in the order of their addition, in flat memory."""
    yield b"["
    after, first = 0, True
    while True:
        rows = SubtaskOutput.objects.filter(subtask_id=subtask_id, pk__gt=after).order_by("pk")[:ROWS_AT_ONCE]
        found = list(rows.values_list("pk", "items"))
        if not found:
            break
        after = found[-1][0]
        for _, items in found:
            yield items.encode() if first else b"," + items.encode()
            first = False
    yield b"]"
