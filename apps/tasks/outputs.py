"""Pieces of the result of a running subtask, in rows: written with its checkpoints, read once it is whole."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import orjson
from django.db.models import QuerySet

from apps.tasks.models import SubtaskOutput, Task

ROWS_AT_ONCE = 20


def output_add(*, subtask_id: int, items: Iterable[Any]) -> None:
    """Append items, which JSON can represent, to the subtask's result. Call it within a checkpoint."""
    packed = [orjson.dumps(item) for item in items]
    if packed:
        SubtaskOutput.objects.create(subtask_id=subtask_id, items=b",".join(packed).decode())


def outputs_where(*, tasks: QuerySet[Task], matches: Callable[[bytes], bool]) -> list[int]:
    """Return the keys of the pieces of the tasks' results whose JSON `matches`."""
    rows = SubtaskOutput.objects.filter(subtask__task__in=tasks).values_list("pk", "items")
    return [key for key, items in rows.iterator(chunk_size=ROWS_AT_ONCE) if matches(items.encode())]


def outputs_erase(*, keys: Collection[int], matches: Callable[[bytes], bool]) -> None:
    """Remove the items of these pieces whose JSON `matches`; the other items stay."""
    for row in SubtaskOutput.objects.filter(pk__in=keys).iterator(chunk_size=ROWS_AT_ONCE):
        packed = [orjson.dumps(item) for item in orjson.loads(f"[{row.items}]")]
        row.items = b",".join(item for item in packed if not matches(item)).decode()
        if row.items:
            row.save(update_fields=["items"])
        else:
            row.delete()


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
