"""Reads of matched objects by key, with the requested targets."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from apps.common.scope import Scope
from apps.events.selectors import events_by_key
from apps.events.shapes import TARGETS, targets_columns
from apps.faces.attributes import attributes_get
from apps.faces.selectors import faces_by_key
from apps.faces.types import TemporaryAttribute
from apps.matching.engine.protocol import Key
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates, Found


def hydrate(*, candidates: Candidates, keys: Collection[Key], targets: Collection[str]) -> Mapping[Key, Found]:
    """Return the objects of keys from a search among `candidates`, by key; deleted objects are missing.

    `targets`: the members that the caller needs, empty for all; other members may be missing or load lazily. Names that
    are no members select nothing. One statement reads only rows of the candidates' scope.
    """
    return READS[type(candidates)](candidates.scope, keys, targets) if keys else {}


def _faces(scope: Scope, keys: Collection[Any], targets: Collection[str]) -> Mapping[Any, Found]:
    return faces_by_key(scope=scope, keys=keys, targets=targets)


def _events(scope: Scope, keys: Collection[Any], targets: Collection[str]) -> Mapping[Any, Found]:
    members = frozenset(targets).intersection(TARGETS)
    return events_by_key(scope=scope, keys=keys, columns=targets and ("event_id", *targets_columns(members)))


def _attributes(scope: Scope, keys: Collection[Any], targets: Collection[str]) -> Mapping[Any, TemporaryAttribute]:
    return {found.attribute_id: found for found in attributes_get(scope=scope, attribute_ids=list(keys))}


READS: dict[type[Any], Callable[[Scope, Collection[Any], Collection[str]], Mapping[Any, Any]]] = {
    FaceCandidates: _faces,
    EventCandidates: _events,
    AttributeCandidates: _attributes,
}
