"""Filters of faces and events in the contents of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import account_field
from apps.common.filters import EventFilterSerializer, Filters
from apps.common.filters.kinds import FiniteFloatField
from apps.common.filters.serializers import SEARCH_TERMS
from apps.common.parts import EVENTS, part_is_on
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.faces.filters import FACE_TERMS, FaceFilterSerializer

ObjectsType = Literal["faces", "events"]


@dataclass(frozen=True, slots=True)
class ObjectFilters:
    """Filters of the objects of a task. `account_id`: the account that the client named, if it named one."""

    filters: Filters
    account_id: UUID | None = None


class TaskFaceFilters(FaceFilterSerializer):
    """Filters of faces."""

    strict = True


class TaskEventFilters(EventFilterSerializer):
    """Filters of events: all terms of event searches."""

    strict = True
    account_id = account_field()


FILTERS: Mapping[ObjectsType, type[serializers.Serializer[Any]]] = {
    "faces": TaskFaceFilters,
    "events": TaskEventFilters,
}


class ObjectFiltersSerializer(EventFilterSerializer):
    """Filters of faces or of events, by `objects_type`; each accepts its own filters only. Times can be relative."""

    free_members = True  # `meta.<path>`
    terms = {**SEARCH_TERMS, **FACE_TERMS}
    # Without defaults: generated clients would send them with faces, too.
    longitude_delta = FiniteFloatField(min_value=0, max_value=90, required=False)
    latitude_delta = FiniteFloatField(min_value=0, max_value=90, required=False)
    account_id = account_field()


@extend_schema_field(ObjectFiltersSerializer)
class ObjectFiltersField(serializers.Field[Any, Any, Any, Any]):
    """Filters whose meaning another member determines: `objects_type`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("an object is required.")
        return data


class ObjectsContent(StrictSerializer):
    """Content of a task with faces or events: `filters` becomes `ObjectFilters`."""

    objects_type = serializers.ChoiceField(choices=("faces", "events"))
    filters = ObjectFiltersField()
    account_id = account_field()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values: dict[str, Any] = super().to_internal_value(data)
        given = values.pop("filters", {})
        values["filters"] = filters_checked(values["objects_type"], given, context=self.context)
        return values


def filters_checked(objects_type: ObjectsType, given: Any, *, context: Mapping[str, Any]) -> ObjectFilters:
    """Return validated filters. Raises DRF's ValidationError of the member `filters`.

    `context`: that of the content's serializer. Its `now` is the time to which relative times refer.
    """
    serializer = FILTERS[objects_type](context=dict(context))
    try:
        values = serializer.run_validation(given)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"filters": error.detail}) from error
    return ObjectFilters(values["filters"], values.get("account_id"))


def scope_narrowed(scope: Scope, named: Sequence[UUID | None]) -> Scope:
    """Return the part of the scope that belongs to the accounts that the client named, None for no account.

    Raises LunaError FOREIGN_ACCOUNT_ID for an account outside the scope, and for two different accounts.
    """
    for account_id in named:
        if account_id is None:
            continue
        if not scope.allows(account_id):
            raise LunaError(errors.FOREIGN_ACCOUNT_ID, "content")
        scope = Scope(account_id)
    return scope


def content_scope(content: Mapping[str, Any], scope: Scope) -> Scope:
    """Return the scope of a content of `ObjectsContent`. Raises the errors of `scope_narrowed`."""
    return scope_narrowed(scope, [content.get("account_id"), content["filters"].account_id])


def source_check(objects_type: str) -> None:
    """Check that the objects of a task exist. Raises LunaError EVENTS_SOURCE_DISABLED for events that are off."""
    if objects_type == "events" and not part_is_on(EVENTS):
        raise LunaError(errors.EVENTS_SOURCE_DISABLED)
