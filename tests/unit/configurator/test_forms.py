"""Values as forms: what a form shows is read back as the same value, also for hostile schemas."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict

from apps.configurator import platform
from apps.configurator.admin.forms.building import Facts, data_of, form_of, json_of
from apps.configurator.differences import differences

NAME = "value"
HOSTILE = '"><script>alert(1)</script>'


class Fields(HTMLParser):
    """The fields of a page, as a browser sends them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: MultiValueDict[str, str] = MultiValueDict()
        self.select = self.area = ""
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "select":
            self.select = name
        elif tag == "option" and "selected" in given:
            self.found.setlist(self.select, [value])
        elif tag == "textarea":
            self.area, self.text = name, ""
        elif tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.found.appendlist(name, "".join(value.splitlines()))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.found.appendlist(self.area, self.text)


def sent(schema: Any, value: Any, facts: Facts | None = None) -> MultiValueDict[str, str]:
    fields = Fields()
    node = form_of(schema, value, facts or Facts(), name=NAME)
    html = render_to_string("admin/workbench/forms/members.html", {"node": node})
    assert "<script" not in html
    fields.feed(html)
    return fields.found


def returned(schema: Any, value: Any) -> Any:
    read = data_of(schema, sent(schema, value), name=NAME)
    assert read.problems == {}
    return read.value


TREE = {
    "$defs": {
        "node": {"type": "object", "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/node"}}}
    },
    "$ref": "#/$defs/node",
}
WIDE = {
    "$defs": {
        f"l{level}": {"type": "object", "properties": {f"m{i}": {"$ref": f"#/$defs/l{level + 1}"} for i in range(9)}}
        for level in range(9)
    }
    | {"l9": {"type": "object", "properties": {"x": {"type": "integer"}}}},
    "$ref": "#/$defs/l0",
}
NESTED: dict[str, Any] = {"$defs": {"l": {"type": "array", "items": {"$ref": "#/$defs/l"}}}, "$ref": "#/$defs/l"}
LONG = {
    "type": "object",
    "properties": {
        "rows": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "word": {"enum": [f"w{i}" for i in range(600)]},
        "last": {"type": "object", "properties": {"y": {"type": "string"}}},
    },
}
OBJECT = {
    "type": "object",
    "required": ["needed"],
    "properties": {
        "needed": {"type": "string"},
        "text": {"type": "string"},
        "number": {"type": "number", "minimum": 0, "exclusiveMaximum": 5},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "flag": {"type": ["boolean", "null"]},
        "word": {"enum": ["a", 1, None, {"b": 2}]},
        "words": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
        "lines": {"type": "array", "items": {"type": "string"}},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "inner": {"type": "object", "properties": {"deep": {"type": "string"}}, "additionalProperties": False},
        "free": {"type": "object"},
        "either": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        "dotted": {"type": "object", "properties": {"a.b": {"type": "integer"}}},
        "when": {"type": "string", "format": "duration"},
    },
}
VALUES = [
    {},
    {"needed": ""},
    {"needed": "x", "text": "null", "number": 0.5, "maybe": None, "flag": None, "word": None},
    {"needed": '"quoted"', "text": "", "maybe": 3, "flag": False, "word": {"b": 2}},
    {"needed": "two\nlines", "text": "  spaces ", "word": 1, "words": [], "lines": [], "numbers": [], "rows": []},
    {"needed": HOSTILE, "text": "[]", "words": ["c", "a"], "lines": ["[]", "", "null", " x", '"', HOSTILE, "ü"]},
    {"needed": "{{ 7|add:7 }}", "numbers": [1, -2], "rows": [{"x": 1}, {}, {"x": 2}], "inner": {}, "free": {"a": [1]}},
    {"needed": "x", "inner": {"deep": "d"}, "free": {}, "either": "1", "dotted": {"a.b": 1}, "when": "PT1S"},
    {"needed": "x", "either": 1, "further": {"members": [HOSTILE]}, "more": None},
    {"needed": "x", "rows": "no array", "inner": [1], "number": "no number"},
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_form_returns_the_value_that_it_shows(value: Any) -> None:
    assert returned(OBJECT, value) == value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "x"),
        ({"type": "integer"}, 3),
        ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
        ({}, {"anything": [1, None]}),
        (True, "x"),
        ({"type": "object", "properties": {HOSTILE: {"type": "string", "description": HOSTILE}}}, {HOSTILE: HOSTILE}),
        (TREE, {"name": "a", "child": {"name": "b", "child": {"name": "c"}}}),
        (WIDE, {"m0": {"m8": {"m3": {}}}}),
        ({"$ref": "https://elsewhere/schema"}, {"x": 1}),
        ({"$ref": "#/$defs/missing"}, 5),
        (NESTED, [[[]], []]),
        ({"type": "object", "properties": {"a": NESTED["$defs"]["l"]}, **NESTED}, [[[]], []]),
        ({"type": "object", "properties": {f"m{i}": {"type": "integer"} for i in range(1500)}}, {"m9": 1, "m1400": 2}),
        (LONG, {"rows": [{"x": i} for i in range(150)], "word": "w3", "last": {"y": "z"}}),
        (LONG, {"rows": [{"x": i} for i in range(350)], "last": {"y": "z"}}),
        (LONG, {"rows": [{"x": i} for i in range(5000)], "word": "w599", "last": {"y": "z"}}),
    ],
    ids=range(16),
)
def test_values_that_are_no_simple_objects(schema: Any, value: Any) -> None:
    assert returned(schema, value) == value
    assert sum(len(texts) for _name, texts in sent(schema, value).lists()) < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS


def test_every_default_and_every_change_of_the_platform_is_read_back() -> None:
    for name, group in platform.groups().items():
        schema, default = platform.schema_of(group), platform.default_of(group)
        facts = Facts(named=True)
        assert data_of(schema, sent(schema, {}, facts), name=NAME).value == {}, name
        assert data_of(schema, sent(schema, default), name=NAME).value == default, name


def test_invalid_entries_stay_and_name_their_place() -> None:
    posted = MultiValueDict({f"{NAME}.number": ["NaN"], f"{NAME}.free": ['{"a": 1,\n x}'], f"{NAME}.*": ["[1]"]})
    read = data_of(OBJECT, posted, name=NAME)
    assert read.value["number"] == "NaN"
    assert read.problems[f"{NAME}.free"].startswith("Line 2, column 2:")
    assert set(read.problems) == set(read.texts) == {f"{NAME}.free", f"{NAME}.*"}
    shown = sent(OBJECT, read.value, Facts(problems=read.problems, texts=read.texts))
    assert shown[f"{NAME}.free"].strip() == '{"a": 1,\n x}'
    assert shown[f"{NAME}.*"].strip() == "[1]"


def test_counts_of_rows_are_bounded() -> None:
    for count, rows in (("3", 3), ("99999", 384), ("-1", 0), ("x", 0), ("999999999", 0)):
        read = data_of(OBJECT, MultiValueDict({f"{NAME}.rows#count": [count]}), name=NAME)
        assert len(read.value.get("rows", ())) == rows


def test_json_with_a_problem_names_line_and_column() -> None:
    deep = "[" * 200 + "]" * 200
    for text, message in (("{", "Line 1, column 2"), ('{"a":\n\n x}', "Line 3, column 2"), (deep, "128 levels")):
        with pytest.raises(ValueError, match=message):
            json_of(text)


def test_differences_are_by_member() -> None:
    before = {"a": 1, "b": {"c": [1], "d": 2}, "f": True}
    found = list(differences(before, {"a": 1, "b": {"c": [2], "d": 2}, "e": None, "f": 1}))
    assert [(each.path, each.after) for each in found] == [("b.c", [2]), ("e", None), ("f", 1)]
