"""Forms from serializers: `form_of` shows JSON as a form with errors, `data_of` reads JSON from the posted form."""

from collections.abc import Mapping
from typing import Any

from django.utils.datastructures import MultiValueDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.accounts.adminbase.nodes import Group, Input, Items
from apps.common.errors import LunaError
from apps.common.filters import EventFilterSerializer
from apps.common.filters.meta import PREFIX
from apps.common.refusals import refusal_text, sentence
from apps.common.validation import PATH, kept
from apps.handlers.policies.face_quality import RangeSerializer, ThresholdField
from apps.matching.candidates import FACES, FILTERS, CandidateFiltersField
from apps.recognition.checks.table import own_thresholds
from apps.recognition.checks.thresholds import Between, OneOf
from apps.workbench.forms.fields import UNSET, shape_of, with_default

Errors = Mapping[str, str]
Posted = MultiValueDict[str, str]

META_MEMBER = "meta.*"
COUNT, GIVEN = "#count", "#given"
MAX_ITEMS = 100  # of a posted array; serializers allow fewer


def form_of(
    serializer: type[serializers.Serializer[Any]], data: Any, errors: Errors, *, name: str = "", defaults: Any = None
) -> Group:
    """Return the form of a JSON object. `errors`: the problems by path.

    `defaults`: the same object with the defaults of missing members, which the form names; by default those of the
    serializer.
    """
    node = _node(kept(serializer), name, "", data, errors, defaults)
    assert isinstance(node, Group)  # noqa: S101 - of a serializer
    return node


def data_of(serializer: type[serializers.Serializer[Any]], posted: Posted, *, name: str = "") -> dict[str, Any]:
    """Return the JSON object of a posted form. Members without a value are omitted."""
    found = _read(kept(serializer), name, posted)
    return {} if found is UNSET else dict(found)


def problems_of(
    serializer: type[serializers.BaseSerializer[Any]], data: Any, *, name: str = "", **context: Any
) -> dict[str, str]:
    """Validate JSON with a serializer of the API, and return all problems by path."""
    checked: Any = serializer(context=context)
    try:
        checked.run_validation(data)
    except serializers.ValidationError as error:
        return dict(_flat(error.detail, name))
    except LunaError as error:
        return problem_of(error, name=name)
    return {}


def problem_of(error: LunaError, *, name: str = "") -> dict[str, str]:
    """Return the problem of an error of the API by the path that its detail names, else by `name`."""
    path = PATH.search(error.detail)
    return {path[1] if path else name: PATH.sub("", refusal_text(error))}


def _flat(detail: Any, name: str) -> Any:
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _flat(value, name if key == "non_field_errors" else _join(name, str(key)))
    elif isinstance(detail, list):
        if all(isinstance(each, str) for each in detail):
            yield name, " ".join(sentence(str(each)) for each in detail)
            return
        for index, value in enumerate(detail):
            if value:
                yield from _flat(value, _join(name, str(index)))
    else:
        yield name, sentence(str(detail))


def _join(name: str, member: str) -> str:
    return f"{name}.{member}" if name else member


def words(name: str) -> str:
    """Return the name of a member as words."""
    base, _separator, bound = name.partition("__")
    text = capfirst(_(base.replace("_", " "))) if base else ""
    bounds = {"gte": _("from"), "gt": _("above"), "lt": _("below"), "lte": _("up to")}
    return f"{text} {bounds.get(bound, bound)}" if bound else text


def _members(field: Any, data: Any) -> Mapping[str, Any] | None:
    """Return the fields of an object, None if the field is no object."""
    if isinstance(field, CandidateFiltersField):
        origin = data.get("origin", FACES) if isinstance(data, Mapping) else FACES
        known = FILTERS.get(origin, FILTERS[FACES]) if isinstance(origin, str) else FILTERS[FACES]
        origins = serializers.ChoiceField(choices=tuple(FILTERS), required=False)
        return {"origin": origins, **{name: each for name, each in kept(known).fields.items() if name != "origin"}}  # type: ignore[attr-defined]  # a Serializer
    if isinstance(field, ThresholdField):
        own = own_thresholds()[field.name]
        return RangeSerializer(own.domain).fields if isinstance(own, Between) else None
    return field.fields if isinstance(field, serializers.Serializer) else None


def _leaf(field: Any) -> Any:
    """Return the field that shows a threshold of a check, which is a flag or an array of words."""
    if not isinstance(field, ThresholdField):
        return field
    own = own_thresholds()[field.name]
    if isinstance(own, OneOf):
        return serializers.ListField(child=serializers.ChoiceField(choices=own.words))
    return serializers.ChoiceField(choices=((1, _("yes")), (0, _("no"))))


def _array(field: Any) -> Any:
    """Return the child of an array of objects, None for another field."""
    child = getattr(field, "child", None) if isinstance(field, serializers.ListField) else None
    return child if isinstance(child, serializers.Serializer) else None


def _node(
    field: Any, name: str, label: str, data: Any, errors: Errors, defaults: Any = None
) -> Input | Group | Items:  # fmt: skip
    common: dict[str, Any] = {"name": name, "label": label, "error": errors.get(name, "")}
    if (child := _array(field)) is not None:
        rows = data if isinstance(data, list) else []
        known = defaults if isinstance(defaults, list) and len(defaults) == len(rows) else [None] * len(rows)
        items = [
            _node(child, _join(name, str(index)), f"{index + 1}", row, errors, known[index])
            for index, row in enumerate(rows)
        ]
        return Items(**common, items=items)  # type: ignore[arg-type]  # children that are objects give groups
    if (members := _members(field, data)) is not None:
        given = data if isinstance(data, Mapping) else {}
        filled = defaults if isinstance(defaults, Mapping) else {}
        children = [
            _node(each, _join(name, member), words(member), given.get(member, UNSET), errors, filled.get(member))
            for member, each in members.items()
        ]
        if isinstance(field, EventFilterSerializer) or _filters_events(field, given):
            children.append(_meta(name, given, errors))
        return Group(**common, children=children, given=data == {} and name != "")
    leaf = _leaf(field)
    asked = Input(**common, help=str(leaf.help_text or ""), needed=bool(field.required))
    default = leaf.default if defaults is None and not callable(leaf.default) else defaults
    return with_default(leaf, shape_of(leaf).show(leaf, asked, data), default)


def _filters_events(field: Any, data: Mapping[str, Any]) -> bool:
    return isinstance(field, CandidateFiltersField) and data.get("origin") == "events"


def _meta(name: str, data: Mapping[str, Any], errors: Errors) -> Input:
    """Return the input of conditions on `meta`, whose names are free."""
    given = {member: value for member, value in data.items() if member.startswith(PREFIX)}
    wrong = [f"{member}: {errors[_join(name, member)]}" for member in given if _join(name, member) in errors]
    return Input(
        name=_join(name, META_MEMBER),
        label=_("Conditions on meta"),
        help=_("One condition a line, as in the API: meta.camera.floor__gte:integer=3"),
        error=" ".join(wrong),
        widget="lines",
        values=tuple(f"{member}={value}" for member, value in given.items()),
    )


def _read(field: Any, name: str, posted: Posted) -> Any:
    if (child := _array(field)) is not None:
        count = posted.get(f"{name}{COUNT}", "0")
        number = min(int(count), MAX_ITEMS) if count.isascii() and count.isdigit() and len(count) < 6 else 0
        rows = [_read(child, _join(name, str(index)), posted) for index in range(number)]
        return [{} if row is UNSET else row for row in rows] or UNSET
    origin = {"origin": posted.get(_join(name, "origin")) or FACES}
    if (members := _members(field, origin)) is not None:
        found = {member: _read(each, _join(name, member), posted) for member, each in members.items()}
        for text in posted.getlist(_join(name, META_MEMBER)):
            pairs = [line.strip().partition("=") for line in text.splitlines() if line.strip()]
            found |= {(member if member.startswith(PREFIX) else PREFIX + member): value for member, _eq, value in pairs}
        found = {member: value for member, value in found.items() if value is not UNSET}
        return found if found or f"{name}{GIVEN}" in posted else UNSET
    leaf = _leaf(field)
    return shape_of(leaf).read(leaf, posted.getlist(name))
