"""Parts of a JSON Schema as a form shows them: what kind of input each part needs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]

MAX_INPUTS = 400  # of a form, which takes a second; Django accepts 1000 fields. The rest is shown as JSON
MAX_OPTIONS = 500
UNSAFE = frozenset(".#*")  # they separate names in a form
SCALARS = {"string": "text", "integer": "number", "number": "number"}
KEPT = ("description", "title", "default")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a schema. `kind`: text, number, choice, choices, lines, object, items or json.

    `options`: the values of an enumeration. `child`: the kind of the members of lines. `references`: those on the way
    to the part, because a schema may refer to itself.
    """

    kind: str
    schema: Schema = field(default_factory=dict)
    nullable: bool = False
    options: tuple[Any, ...] = ()
    child: str = ""
    references: frozenset[str] = frozenset()


class Parts:
    """The parts of one schema. Schemas that need too many inputs, or refer to themselves, are JSON from there on."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.left = MAX_INPUTS

    def take(self, count: int) -> bool:
        """Take inputs from those that the form may still have; return False if it has fewer."""
        is_left = count <= self.left
        self.left -= count if is_left else 0
        return is_left

    def part(self, schema: Any, references: frozenset[str] = frozenset()) -> Part:
        """Return what a form shows for a schema."""
        found, references = self._resolved(schema, references)
        if found is None:
            return Part("json", schema if isinstance(schema, dict) else {})
        found, nullable = _without_null(found)
        if "$ref" in found or "anyOf" in found:  # the alternative of null
            found, references = self._resolved(found, references)
            if found is None:
                return Part("json", nullable=nullable)
        kind, options, child = self._kind(found, references)
        return Part(kind, found, nullable, options, child, references)

    def members(self, part: Part) -> Iterator[tuple[str, Part, bool]]:
        """Yield name, part and necessity of the members of an object."""
        needed = part.schema.get("required", ())
        for name, each in part.schema["properties"].items():
            yield name, self.part(each, part.references), name in needed

    def item(self, part: Part) -> Part:
        """Return the part of the objects of an array."""
        return self.part(part.schema["items"], part.references)

    def _resolved(self, schema: Any, references: frozenset[str]) -> tuple[Any, frozenset[str]]:
        """Return the schema that a reference names, with the texts beside the reference; None if a form cannot."""
        texts: dict[str, Any] = {}
        while isinstance(schema, dict) and "$ref" in schema:
            texts = {name: schema[name] for name in KEPT if name in schema} | texts
            reference = schema["$ref"]
            if reference in references or not isinstance(reference, str) or not reference.startswith("#/"):
                return None, references
            references |= {reference}
            schema = self._at(reference)
        return ({**schema, **texts} if isinstance(schema, dict) else None), references

    def _at(self, reference: str) -> Any:
        place = self.root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            place = place.get(name) if isinstance(place, dict) else None
        return place

    def _kind(self, schema: Schema, references: frozenset[str]) -> tuple[str, tuple[Any, ...], str]:
        """Return kind, options and kind of members."""
        if (options := _options(schema)) is not None:
            return ("choice", options, "") if len(options) <= MAX_OPTIONS else ("json", (), "")
        kind = schema.get("type")
        if not isinstance(kind, str) or any(name in schema for name in ("anyOf", "oneOf", "allOf", "if", "not")):
            return "json", (), ""
        if kind == "object":
            names = schema.get("properties")
            safe = isinstance(names, dict) and names and all(map(_is_safe, names))
            return ("object" if safe else "json"), (), ""
        if kind == "array" and "prefixItems" not in schema:
            return self._array(schema, references)
        return SCALARS.get(kind, "json"), (), ""

    def _array(self, schema: Schema, references: frozenset[str]) -> tuple[str, tuple[Any, ...], str]:
        items, references = self._resolved(schema.get("items"), references)
        if items is None:
            return "json", (), ""
        kind, options, _child = self._kind(items, references)
        if kind == "choice":
            return "choices", options, ""
        if kind in SCALARS.values():
            return "lines", (), kind
        return ("items" if kind == "object" else "json"), (), ""


def _is_safe(name: str) -> bool:
    return bool(name) and name.isprintable() and not UNSAFE & set(name)


def _options(schema: Schema) -> tuple[Any, ...] | None:
    if isinstance(schema.get("enum"), list):
        return tuple(schema["enum"])
    if "const" in schema:
        return (schema["const"],)
    return (True, False) if schema.get("type") == "boolean" else None


def _without_null(schema: Schema) -> tuple[dict[str, Any], bool]:
    """Return a schema without the alternative null, and whether it has that."""
    kept = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf", "type")}
    for word in ("anyOf", "oneOf"):
        kinds = schema.get(word)
        if isinstance(kinds, list) and {"type": "null"} in kinds and len(kinds) == 2:
            other = next((each for each in kinds if each != {"type": "null"}), None)
            if isinstance(other, dict):
                return {**other, **kept}, True
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds and len(kinds) == 2:
        kind = next(each for each in kinds if each != "null")
        options = [each for each in schema.get("enum", ()) if each is not None]
        return {**kept, "type": kind, **({"enum": options} if options else {})}, True
    return dict(schema), False


def key_of(value: Any) -> str:
    """Return the text that names an option in a form."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def size_of(part: Part) -> int:
    """Return the number of inputs of an object, with the one of further members."""
    return len(part.schema["properties"]) + 1
