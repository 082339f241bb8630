"""Policies as responses show them: with the default of each member that a client omitted."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from apps.common.fields import shown
from apps.common.filters import FilterSerializer
from apps.common.filters.serializers import filters_shown
from apps.common.validation import StrictSerializer
from apps.handlers.policies import PoliciesSerializer
from apps.handlers.policies.callbacks import CallbackSerializer
from apps.handlers.policies.face_quality import ChecksSerializer
from apps.handlers.policies.match import CandidatesField
from apps.handlers.policies.verifier import VerifierPoliciesSerializer
from apps.matching.candidates import FACES, candidate_filters_shown


def policies_filled(policies: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return stored policies of a handler with their defaults. Members without a default are omitted."""
    return None if policies is None else _filled(_kept(PoliciesSerializer), policies)


def verifier_policies_filled(policies: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored policies of a verifier, as `policies_filled` does."""
    return _filled(_kept(VerifierPoliciesSerializer), policies)


@cache
def _kept(serializer: type[StrictSerializer]) -> StrictSerializer:
    return serializer()


def _filled(serializer: StrictSerializer, given: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: _value(serializer, name, given.get(name)) for name in map(str, serializer.fields)}
    return {name: value for name, value in values.items() if value is not None}


def _value(serializer: StrictSerializer, name: str, given: Any) -> Any:
    field: Any = serializer.fields[name]
    if isinstance(field, CandidatesField):
        return {"origin": FACES, **candidate_filters_shown(given)}
    if isinstance(field, FilterSerializer):  # without defaults
        return filters_shown(field, given or {})
    if isinstance(field, ChecksSerializer):  # defaults are those of the settings at the time of use
        return {check: _check(value) for check, value in _without_nulls(given or {}).items()}
    if isinstance(field, StrictSerializer):
        if given is None and any(each.required for each in field.fields.values()):
            return None
        return _filled(field, given or {})
    if isinstance(field, serializers.ListField) and isinstance(field.child, StrictSerializer):
        items = [_filled(field.child, item) for item in given or ()]
        return [field.child.filled(item) for item in items] if isinstance(field.child, CallbackSerializer) else items
    return _default(serializer, name, field) if given is None else shown(field, given)


def _check(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: int(value) if isinstance(value, bool) else value for name, value in _without_nulls(given).items()}


def _without_nulls(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _default(serializer: StrictSerializer, name: str, field: Any) -> Any:
    """Return the default as JSON, None without one: that of the field, else of the policy's dataclass."""
    value = field.default
    if name in getattr(serializer, "live_defaults", {}):
        return serializer.live_defaults[name]()  # type: ignore[attr-defined]  # of PolicySerializer
    if value is empty:
        value = _defaults(type(serializer)).get(name)
    elif callable(value):
        value = value()
    if isinstance(value, tuple | list | frozenset):
        return [] if getattr(field, "allow_empty", True) else None
    return int(value) if isinstance(value, bool) else value


@cache
def _defaults(serializer: Any) -> Mapping[str, Any]:
    policy = getattr(serializer, "defaults", None) or getattr(serializer, "policy", None)
    if not is_dataclass(policy):
        return {}
    found = {each.name: each.default for each in fields(policy) if each.default is not MISSING}
    made = {each.name: each.default_factory() for each in fields(policy) if each.default_factory is not MISSING}
    return found | made
