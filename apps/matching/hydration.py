"""The objects of matched keys, with the targets that were asked for."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from apps.common.scope import Scope
from apps.events.selectors import events_by_key
from apps.events.shapes import targets_columns
from apps.faces.attributes import attributes_get
from apps.faces.selectors import faces_by_key
from apps.faces.types import TemporaryAttribute
from apps.matching.engine.protocol import Key
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates, Found


def hydrate(*, candidates: Candidates, keys: Collection[Key], targets: Collection[str]) -> Mapping[Key, Found]:
    """Return the objects of keys that a search among `candidates` gave, by key; one that was deleted is left out.

    `targets`: the members that the caller shows, none for all; others may be missing or are loaded one by one. One
    statement, of the rows of the candidates' scope alone.
    """
    return READS[type(candidates)](candidates.scope, keys, targets) if keys else {}


def _faces(scope: Scope, keys: Collection[Any], targets: Collection[str]) -> Mapping[Any, Found]:
    return faces_by_key(scope=scope, keys=keys, with_lists=not targets or "lists" in targets)


def _events(scope: Scope, keys: Collection[Any], targets: Collection[str]) -> Mapping[Any, Found]:
    return events_by_key(scope=scope, keys=keys, columns=targets and ("event_id", *targets_columns(targets)))


def _attributes(scope: Scope, keys: Collection[Any], targets: Collection[str]) -> Mapping[Any, TemporaryAttribute]:
    return {found.attribute_id: found for found in attributes_get(scope=scope, attribute_ids=list(keys))}


READS: dict[type[Any], Callable[[Scope, Collection[Any], Collection[str]], Mapping[Any, Any]]] = {
    FaceCandidates: _faces,
    EventCandidates: _events,
    AttributeCandidates: _attributes,
}
