"""Rotation of the key of stored secrets: the key that fits decrypts each secret, the current key encrypts it again.

A room registers its columns with secrets in `AppConfig.ready()`.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models, transaction

from apps.common.secrets import Secret, UnreadableSecretError, sealed_places

Places = Callable[[Any], Iterator[tuple[dict[str, Any], str]]]


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A JSON column with tokens of secrets. `model`: its label, such as `handlers.Handler`."""

    model: str
    column: str
    places: Places = sealed_places


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The result for one row. `secrets`: how many now have the current key. `unreadable`: how many no key fits."""

    row: str
    secrets: int
    unreadable: int


_columns: list[SealedColumn] = []


def register_sealed(*columns: SealedColumn) -> None:
    """Register columns whose secrets `secrets_rotate` encrypts again."""
    _columns.extend(each for each in columns if each not in _columns)


def secrets_rotate() -> Iterator[Rotated]:
    """Encrypt all stored secrets with the current key, one transaction a row, and yield the rows with secrets.

    It can be interrupted and repeated: secrets with the current key stay as they are.
    """
    for each in _columns:
        model: Any = apps.get_model(each.model)
        rows: models.Manager[Any] = model._base_manager
        used = rows.exclude(**{f"{each.column}__isnull": True}).order_by("pk").values_list("pk", flat=True)
        for key in used.iterator(chunk_size=1000):
            with transaction.atomic():
                row = rows.select_for_update(of=("self",)).filter(pk=key).first()
                rotated = None if row is None else _rotate(row, each)
            if rotated is not None:
                yield rotated


def _rotate(row: Any, each: SealedColumn) -> Rotated | None:
    value = deepcopy(getattr(row, each.column))
    total = changed = unreadable = 0
    for holder, key in each.places(value):
        total += 1
        try:
            token = Secret(holder[key]).rotated().token
        except UnreadableSecretError:
            unreadable += 1
            continue
        changed += token != holder[key]
        holder[key] = token
    if changed:
        type(row)._base_manager.filter(pk=row.pk).update(**{each.column: value})
    name = f"{each.model} {row.pk}, {each.column}"
    return Rotated(row=name, secrets=total - unreadable, unreadable=unreadable) if total else None
