"""Wrong values at every place of the policies, made from their schema: each is refused with its path, none crashes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import FlagField
from apps.common.filters import FilterSerializer
from apps.common.validation import StrictSerializer, describe_validation
from apps.handlers.policies import PoliciesSerializer, policies_cached, policies_parse
from apps.handlers.policies.face_quality import ThresholdField
from apps.handlers.policies.match import CandidatesField
from apps.handlers.policies.verifier import VerifierPoliciesSerializer, verifier_policies_parse
from apps.matching.candidates import FaceCandidateFilters

DEEP: Any = []
for _ in range(100):
    DEEP = [DEEP]
ODD: tuple[Any, ...] = (
    7, -1, 1.5, 1e400, -1e400, float("nan"), 2**70, True, "", "x", "\x00", "ы" * 3000, b"\xff", [], [[]], [None], [{}],
    {}, {"": 1}, {"a": {"b": []}}, {"type": "http"}, DEEP,
)  # fmt: skip
Field = serializers.Field[Any, Any, Any, Any]
Parse = Callable[[Any], Any]
ROOTS: dict[str, type[serializers.Serializer[Any]]] = {
    "handler": PoliciesSerializer,
    "verifier": VerifierPoliciesSerializer,
}
# Required members of the items of arrays, so that a wrong member beside them is the only error.
REQUIRED: dict[str, dict[str, Any]] = {
    "match_policy": {"label": "a", "candidates": {}},
    "conditional_tags_policy": {"tag": "a"},
    "link_to_lists_policy": {"list_id": "00000000-0000-4000-8000-000000000000"},
    "callbacks": {"type": "http", "url": "https://example.org/"},
    "match": {"label": "a"},
    "authorization": {"type": "basic", "login": "a", "password": "b"},
}


@dataclass(frozen=True)
class Node:
    """A place in the policies: its path, and the field that reads it. An array's items have the step 0."""

    path: tuple[str | int, ...]
    field: Field

    def put(self, value: Any) -> Any:
        """Policies with the value at this place."""
        made = value
        for place in reversed(range(len(self.path))):
            step = self.path[place]
            made = [made] if step == 0 else {**REQUIRED.get(self.owner(place), {}), str(step): made}
        return made

    def owner(self, place: int) -> str:
        """Name of the member whose value, or whose item, has the step `place`."""
        named = [step for step in self.path[:place] if step != 0]
        return str(named[-1]) if named else ""

    @property
    def text(self) -> str:
        return ".".join(map(str, self.path))


def nodes(field: Field, path: tuple[str | int, ...] = ()) -> Iterator[Node]:
    if path:
        yield Node(path, field)
    if isinstance(field, CandidatesField):
        field = FaceCandidateFilters()
    if isinstance(field, serializers.ListField) and isinstance(field.child, serializers.Serializer):
        yield from nodes(field.child, (*path, 0))
    elif isinstance(field, serializers.Serializer):
        for name, each in field.fields.items():
            if name not in ("face_ids", "external_ids", "event_ids"):  # read as single values, too
                yield from nodes(each, (*path, str(name)))


ALL = [(kind, node) for kind, root in ROOTS.items() for node in nodes(root())]
NODES = pytest.mark.parametrize("kind", ROOTS)


def refused(parse: Parse, policies: Any) -> str | None:
    """The detail of the error, None if the policies are accepted. Other errors are raised."""
    try:
        parse(policies)
    except serializers.ValidationError as error:
        return describe_validation(error.detail, "policies")
    return None


@cache
def parser(root: type[serializers.Serializer[Any]]) -> Parse:
    """Return the validation of one instance: making instances takes most of the time of `policies_parse`."""
    return root(context={"stored": False}).run_validation


def of(kind: str) -> tuple[Parse, list[Node]]:
    return parser(ROOTS[kind]), [node for other, node in ALL if other == kind]


def wrong(field: Field) -> list[Any]:
    """Values that a field of this kind never accepts."""
    structures: list[Any] = [DEEP, {"a": {"b": []}}]
    if isinstance(field, CandidatesField | FilterSerializer | StrictSerializer):
        return [7, "x", [], [{}], True, {"surplus": 1}, DEEP]
    if isinstance(field, ThresholdField):
        return [b"\xff", "x", {"surplus": 1}, DEEP]
    if isinstance(field, serializers.ListField):
        return [7, True, {"a": 1}, DEEP] if type(field).__name__ != "ValuesField" else [{"a": 1}, DEEP]
    if isinstance(field, FlagField):
        return [2, -1, 1.5, "x", *structures]
    if isinstance(field, serializers.IntegerField | serializers.FloatField):
        bounds: list[Any] = [value + step for value, step in ((field.min_value, -1), (field.max_value, 1))
                             if value is not None]  # fmt: skip
        return [*bounds, "x", float("nan"), float("inf"), *structures]
    if isinstance(field, serializers.DictField):
        return [7, "x", []]
    if isinstance(field, serializers.ChoiceField | serializers.UUIDField):
        return [-7, "x", b"\xff", *structures]
    if isinstance(field, serializers.CharField):
        long = [] if field.max_length is None else ["x" * (field.max_length + 1)]
        return [True, "\x00", *long, *structures]
    return structures


@NODES
def test_no_value_crashes(kind: str) -> None:
    """Any value at any place is accepted or refused with 12027."""
    parse, places = of(kind)
    assert len(places) > (30 if kind == "verifier" else 150)
    for node in places:
        for value in ODD:
            refused(parse, node.put(value))


@NODES
def test_a_value_of_the_wrong_kind_is_refused_with_its_path(kind: str) -> None:
    parse, places = of(kind)
    for node in places:
        for value in wrong(node.field):
            detail = refused(parse, node.put(value))
            assert detail is not None, (node.text, value)
            assert f"Path: 'policies.{node.path[0]}" in detail, (node.text, detail)


@NODES
def test_unknown_members_are_refused_at_every_depth(kind: str) -> None:
    parse, places = of(kind)
    objects = [node for node in places if isinstance(node.field, StrictSerializer | FilterSerializer)]
    for node in objects:
        name = [step for step in node.path if step != 0][-1]
        detail = refused(parse, node.put({**REQUIRED.get(str(name), {}), "surplus": 1}))
        assert detail is not None, node.text
        assert detail.endswith(f"Path: 'policies.{node.text}.surplus'"), detail
    assert len(objects) > (4 if kind == "verifier" else 20)


def test_null_is_an_absent_member_and_nothing_is_the_default() -> None:
    for kind, node in ALL:
        detail = refused(parser(ROOTS[kind]), node.put(None))
        assert detail is None or node.field.required or 0 in node.path or node.path[-1] == "filter", (node.text, detail)


def test_arrays_are_bounded() -> None:
    parse, places = of("handler")
    bounded = {node.text: node for node in places if isinstance(node.field, serializers.ListField)}
    for text, node in bounded.items():
        child = getattr(node.field, "child", None)
        if not isinstance(child, serializers.Serializer):
            continue
        item = REQUIRED[str(node.path[-1])]
        assert refused(parse, node.put([item] * 31)), text
        assert refused(parse, node.put([item] * 30)) is None or "match_policy" in text, text


@pytest.mark.parametrize("value", [{"x": b"\xff"}, b"\x00", [b"x"], 2**70, {"match_policy": [{"label": b"x"}]}])
def test_values_that_json_has_not(value: Any) -> None:
    """MessagePack has them; they are refused as others are, also on the way through the cache."""
    for parse in (policies_parse, policies_cached, verifier_policies_parse):
        with pytest.raises(LunaError) as error:
            parse(value)
        assert error.value.code == errors.INVALID_JSON
