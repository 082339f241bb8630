"""Values as forms: `form_of` shows a JSON value, `data_of` reads it from the posted form, `json_of` from a text.

A text without input leaves its member out: it then has its default. `""` is an empty text, `null` is null, and `[]` an
empty array. A text that would be read as another value is shown as a JSON string.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from apps.accounts.adminbase.nodes import Group, Input, Items, Options
from apps.common.api.parsers import json_decode
from apps.common.errors import LunaError
from apps.common.refusals import refusal_text, sentence
from apps.configurator.admin.forms.parts import Part, Parts, key_of, size_of

Texts = Mapping[str, str]
Posted = MultiValueDict[str, str]

UNSET: Any = object()
NULL, EMPTY_LIST, EMPTY_TEXT = "null", "[]", '""'
COUNT, GIVEN, REST = "#count", "#given", "*"
UNITS = {"_s": "s", "_ms": "ms", "_days": "d", "_hours": "h", "_minutes": "min", "_bytes": "B"}


@dataclass(slots=True)
class Read:
    """What a form holds. `problems` and `texts` of JSON that cannot be parsed are by path."""

    value: Any = UNSET
    problems: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a form says about values, by path: problems, unparsed JSON texts, notes.

    `named`: whether the defaults are those of members that are left out.
    """

    problems: Texts = field(default_factory=dict)
    texts: Texts = field(default_factory=dict)
    notes: Texts = field(default_factory=dict)
    named: bool = False


def form_of(schema: Any, value: Any, facts: Facts, *, name: str, defaults: Any = UNSET) -> Group:
    """Return the form of a value. A value that is no object is the only input of its group."""
    parts = Parts(schema)
    node = _Form(parts, facts).node(parts.part(schema), name, _("Value"), value, defaults, needed=True)
    if isinstance(node, Group):
        return node
    return Group(name="", label="", children=(node,))


def data_of(schema: Any, posted: Posted, *, name: str) -> Read:
    """Return what a posted form holds."""
    parts, found = Parts(schema), Read()
    root = parts.part(schema)
    found.value = _Reading(parts, posted, found).read(root, name, needed=True)
    if found.value is UNSET:
        found.value = {} if root.kind == "object" else None
    return found


def json_of(text: str) -> Any:
    """Parse a JSON text. Raises ValueError, whose message is for the operator and names the position."""
    try:
        return json_decode(text.encode())
    except LunaError as error:
        cause = error.__cause__
        if not isinstance(cause, json.JSONDecodeError):
            raise ValueError(refusal_text(error)) from error
        where = {"line": cause.lineno, "column": cause.colno, "problem": sentence(cause.msg)}
        raise ValueError(_("Line %(line)d, column %(column)d: %(problem)s") % where) from error


def pretty(value: Any) -> str:
    """Return JSON for an editor."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _join(name: str, member: str) -> str:
    return f"{name}.{member}" if name else member


def _label(name: str) -> str:
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    return f"{name} ({unit})" if unit else name


def _plain(value: Any) -> str:
    """Return a value in words, for a default."""
    if value is None:
        return _("none")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or _("none")
    return (value or EMPTY_TEXT) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _encoded(value: Any) -> str:
    """Return the text of a scalar that `_decoded` reads as the same value."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    ambiguous = value in (NULL, EMPTY_LIST) or value.startswith('"') or value != value.strip()
    return value if value.isprintable() and value and not ambiguous else json.dumps(value, ensure_ascii=False)


def _decoded(text: str, kind: str) -> Any:
    """Return the scalar of a text. A number that cannot be parsed stays a text, which the schema rejects."""
    if kind == "text" and not (len(text) > 1 and text.startswith('"') and text.endswith('"')):
        return text
    try:
        found = json_of(text)
    except ValueError:
        return text
    expected: Any = str if kind == "text" else int | float
    return found if isinstance(found, expected) and not isinstance(found, bool) else text


class _Form:
    def __init__(self, parts: Parts, facts: Facts) -> None:
        self.parts, self.facts = parts, facts

    def node(
        self, part: Part, name: str, label: str, value: Any, default: Any, *, needed: bool
    ) -> Input | Group | Items:
        fits = value is UNSET or isinstance(value, dict if part.kind == "object" else list)
        if part.kind == "object" and fits and self.parts.take(size_of(part)):
            return self._group(part, name, label, value, default)
        if part.kind == "items" and fits and self.parts.take(0 if value is UNSET else len(value)):
            return self._items(part, name, label, value)
        return self._input(part, name, label, value, default, needed=needed)

    def _group(self, part: Part, name: str, label: str, value: Any, default: Any) -> Group:
        given = value if isinstance(value, Mapping) else {}
        filled = default if isinstance(default, Mapping) else {}
        children = [
            self.node(
                each, _join(name, member), _label(member), given.get(member, UNSET), filled.get(member, UNSET),
                needed=needed and not self.facts.named,
            )
            for member, each, needed in self.parts.members(part)
        ]  # fmt: skip
        rest = {member: each for member, each in given.items() if member not in part.schema["properties"]}
        if rest or part.schema.get("additionalProperties", True) is not False:
            further = Part("json", {"description": _("An object with members that the schema does not name.")})
            place = _join(name, REST)
            children.append(self._input(further, place, _("Further members"), rest or UNSET, UNSET, needed=False))
        problem = self.facts.problems.get(name, "")
        return Group(
            name=name, label=label, children=children, error=problem, given=value == {} and not self._is_root(name)
        )

    def _is_root(self, name: str) -> bool:
        return "." not in name

    def _items(self, part: Part, name: str, label: str, value: Any) -> Items:
        rows = value if isinstance(value, list) else []
        child = self.parts.item(part)
        items = [
            self.node(child, _join(name, str(index)), f"{index + 1}", row, UNSET, needed=True)
            for index, row in enumerate(rows)
        ]
        groups = [
            each if isinstance(each, Group) else Group(name="", label=each.label, children=(each,)) for each in items
        ]
        return Items(name=name, label=label, items=groups, error=self.facts.problems.get(name, ""), given=value == [])

    def _input(self, part: Part, name: str, label: str, value: Any, default: Any, *, needed: bool) -> Input:
        raw = self.facts.texts.get(name)
        widget, values, options = _shown(part, value) if raw is None else ("lines", (raw,), ())
        named = self.facts.named and default is not UNSET and widget in ("text", "number", "choice")
        return Input(
            name=name,
            label=label,
            error=self.facts.problems.get(name, ""),
            widget=widget,
            values=values,
            options=options,
            needed=needed,
            default=_("default: %(value)s") % {"value": _plain(default)} if named else "",
            badge=self.facts.notes.get(name, ""),
            hint=" ".join(_hints(part, widget, UNSET if named else default, ours=self.facts.named)),
        )


def _shown(part: Part, value: Any) -> tuple[str, Sequence[str], Options]:
    """Return widget, texts and options of a value."""
    scalar = part.kind in ("text", "number")
    if part.kind in ("choice", "choices"):
        return _shown_options(part, value)
    if part.kind == "lines" and (value is UNSET or isinstance(value, list)):
        texts = () if value is UNSET else tuple(map(_encoded, value)) or (EMPTY_LIST,)
        return "lines", texts, ()
    if value is UNSET:
        return (part.kind if scalar else "lines"), (), ()
    if scalar and not isinstance(value, dict | list):
        is_null = value is None and part.nullable
        return part.kind, (NULL if is_null else _encoded(value),), ()
    return "lines", tuple(pretty(value).splitlines()), ()


def _shown_options(part: Part, value: Any) -> tuple[str, Sequence[str], Options]:
    chosen = [] if value is UNSET else value if part.kind == "choices" and isinstance(value, list) else [value]
    keys = [key_of(each) for each in chosen]
    options = [(key_of(each), _plain(each)) for each in part.options]
    if part.kind == "choices":
        options.sort(key=lambda option: keys.index(option[0]) if option[0] in keys else len(keys))
        if not part.schema.get("minItems"):
            options.append((EMPTY_LIST, _("none of them")))
            keys = keys or ([EMPTY_LIST] if value == [] else [])
    if part.nullable and (NULL, _("none")) not in options:
        options.append((NULL, _("none")))
    known = {key for key, _word in options}
    options += [(key, key) for key in keys if key not in known]  # an invalid value is shown as well
    return part.kind, tuple(keys), tuple(options)


def _hints(part: Part, widget: str, default: Any, *, ours: bool) -> Iterator[str]:
    schema = part.schema
    about = schema.get("description")
    if isinstance(about, str):
        yield _(about) if ours else about
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if part.kind == "number" and not (low is above is high is below is None):
        bounds = [
            _("from %(bound)s") % {"bound": low} if low is not None else "",
            _("above %(bound)s") % {"bound": above} if above is not None else "",
            _("to %(bound)s") % {"bound": high} if high is not None else "",
            _("below %(bound)s") % {"bound": below} if below is not None else "",
        ]
        yield _("Accepted: %(bounds)s.") % {"bounds": " ".join(filter(None, bounds))}
    if schema.get("format") == "duration":
        yield _("A duration such as PT10S or P1D.")
    if part.nullable and part.kind in ("text", "number", "lines"):
        yield _("null: none.")
    if part.kind == "lines":
        yield _("One value a line.")
    elif widget == "lines":
        yield _("JSON.")
    if default is not UNSET:
        yield _("Default: %(value)s.") % {"value": _plain(default)}


class _Reading:
    def __init__(self, parts: Parts, posted: Posted, found: Read) -> None:
        self.parts, self.posted, self.found = parts, posted, found

    def read(self, part: Part, name: str, *, needed: bool) -> Any:
        """Return the value of a part; UNSET if nothing was entered."""
        if name in self.posted and part.kind in ("object", "items"):  # shown as JSON, because its value did not fit
            return self._json(name)
        if part.kind == "object":
            return self._object(part, name, needed=needed) if self.parts.take(size_of(part)) else UNSET
        if part.kind == "items":
            return self._items(part, name, needed=needed)
        if part.kind == "json":
            return self._json(name)
        texts = [text for text in self.posted.getlist(name) if text.strip()]
        if not texts:
            return UNSET
        if part.nullable and [text.strip() for text in texts] == [NULL]:
            return None
        return self._values(part, texts)

    def _values(self, part: Part, texts: Sequence[str]) -> Any:
        if part.kind == "choice":
            return self._option(texts[0])
        if part.kind == "choices":
            return [self._option(text) for text in texts if text != EMPTY_LIST]
        if part.kind == "lines":
            lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
            return [] if lines == [EMPTY_LIST] else [_decoded(line, part.child) for line in lines]
        return _decoded(texts[0] if part.kind == "text" else texts[0].strip(), part.kind)

    def _option(self, text: str) -> Any:
        try:
            return json_of(text)
        except ValueError:
            return text

    def _object(self, part: Part, name: str, *, needed: bool) -> Any:
        found = {
            member: self.read(each, _join(name, member), needed=need) for member, each, need in self.parts.members(part)
        }
        found = {member: value for member, value in found.items() if value is not UNSET}
        place = _join(name, REST)
        rest = self._json(place)
        if isinstance(rest, dict):
            found = {**rest, **found}
        elif rest is not UNSET and place not in self.found.problems:
            self.found.problems[place] = _("Further members are a JSON object.")
            self.found.texts[place] = self.posted.get(place, "")
        return found if found or needed or f"{name}{GIVEN}" in self.posted else UNSET

    def _items(self, part: Part, name: str, *, needed: bool) -> Any:
        count = self.posted.get(f"{name}{COUNT}", "0")
        number = min(int(count), self.parts.left) if count.isascii() and count.isdigit() and len(count) < 6 else 0
        self.parts.take(number)
        child = self.parts.item(part)
        rows = [self.read(child, _join(name, str(index)), needed=True) for index in range(number)]
        if not rows:
            return [] if needed or f"{name}{GIVEN}" in self.posted else UNSET
        return [{} if row is UNSET else row for row in rows]

    def _json(self, name: str) -> Any:
        text = self.posted.get(name, "")
        if not text.strip():
            return UNSET
        try:
            return json_of(text)
        except ValueError as error:
            self.found.problems[name], self.found.texts[name] = str(error), text
            return text
