"""Requests made from the document, that name objects of one's choice."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Ids = Mapping[str, str]
VARIANTS = 8


@dataclass(frozen=True)
class Examples:
    """`ids` stand wherever the document wants a UUID: under their own name, else each in turn by `variant`."""

    document: Mapping[str, Any]
    ids: Ids
    variant: int

    def path(self, template: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self.id_for(match[1]), template)

    def body(self, operation: Mapping[str, Any]) -> tuple[Any, str]:
        """A body and its media type, JSON where that is taken."""
        content = self.resolved(operation.get("requestBody", {})).get("content", {})
        if "application/json" in content:
            return self.value(content["application/json"].get("schema", {})), "application/json"
        return b"", next(iter(content), "application/json")

    def queries(self, operation: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """Without anything, then with each parameter that takes ids."""
        yield {}
        for parameter in map(self.resolved, operation.get("parameters", ())):
            schema = self.resolved(parameter["schema"])
            if parameter["in"] == "query" and "uuid" in (schema.get("format"), schema.get("items", {}).get("format")):
                yield {parameter["name"]: self.id_for(parameter["name"])}

    def value(self, schema: Mapping[str, Any], name: str = "") -> Any:
        schema = self.resolved(schema)
        for several in ("oneOf", "anyOf"):
            if several in schema:
                return self.value(self.chosen(schema[several]), name)
        if "allOf" in schema:
            return self.value(schema["allOf"][0], name)
        if "enum" in schema:
            return self.chosen([each for each in schema["enum"] if each not in ("", None)])
        match schema.get("type"):
            case "object":
                return {key: self.value(schema["properties"][key], key) for key in self.members(schema)}
            case "array":
                count = max(1, schema.get("minItems", 1))
                return [self.value(schema["items"], name) for _ in range(count)]
            case "string":
                return self.text(schema, name)
            case "integer" | "number":
                return schema.get("minimum", 1)
            case "boolean":
                return True
            case _:
                return {}

    def members(self, schema: Mapping[str, Any]) -> list[str]:
        """Yield all members first, then the required members with one optional member each."""
        names = list(schema.get("properties", {}))
        if self.variant == 0 or not names:
            return names
        return sorted({*schema.get("required", ()), names[(self.variant - 1) % len(names)]})

    def text(self, schema: Mapping[str, Any], name: str) -> str:
        match schema.get("format"):
            case "uuid":
                return self.id_for(name)
            case "date-time":
                return "2030-01-01T00:00:00Z"
            case "email":
                return "taken-over@luna.test"
            case _:
                return "abcdefgh"[: schema.get("maxLength", 8)]

    def id_for(self, name: str) -> str:
        singular = name.removesuffix("s")
        return self.ids.get(singular) or self.chosen(list(self.ids.values()))

    def chosen(self, options: Sequence[Any]) -> Any:
        return next(itertools.islice(itertools.cycle(options), self.variant, None))

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema
