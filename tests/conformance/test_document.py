"""The OpenAPI document: valid, without guesses, changed only on purpose, and fit for generators of clients."""

import builtins
import keyword
import re
import typing
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from apps.accounts.api.routes import Route, api_routes
from apps.accounts.auth.permissions import OBJECT_RIGHTS
from apps.common.api.views import BY_BODY
from apps.common.validation import StrictSerializer
from tests.conformance.answers import strict
from tests.conformance.document import SNAPSHOT, as_yaml, plain

REFRESH = "make docs"


def test_document_is_valid_and_guesses_nothing(tmp_path: Path) -> None:
    call_command("spectacular", file=str(tmp_path / "openapi.yaml"), validate=True, fail_on_warn=True)


def test_snapshot() -> None:
    assert SNAPSHOT.read_text() == as_yaml(), f"the API has changed: look at the difference, then run `{REFRESH}`"


def test_page_of_permissions() -> None:
    out = StringIO()
    call_command("permissions_page", stdout=out)
    page = Path(settings.BASE_DIR) / "docs" / "permissions.md"
    assert page.read_text() == out.getvalue(), f"rights or routes have changed: run `{REFRESH}`"


@pytest.mark.parametrize("route", api_routes(), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_says_what_a_token_needs(route: Route) -> None:
    if route.right not in (None, BY_BODY, ("emit_events", "allowed")):
        kind, right = route.right  # type: ignore[misc]
        assert right in OBJECT_RIGHTS[kind]
    assert set(route.view.permissions) <= {method.upper() for method in dir(route.view)}


def test_whatever_takes_json_takes_messagepack() -> None:
    bodies = {
        (method, path): {name: media["schema"] for name, media in operation["requestBody"]["content"].items()}.get
        for path, methods in plain()["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    assert [name for name, body in bodies.items() if body("application/json") != body("application/msgpack")] == []


def test_every_operation_is_described() -> None:
    operations = [
        (method, path, operation) for path, methods in plain()["paths"].items() for method, operation in methods.items()
    ]
    assert len(operations) == len(api_routes())
    assert len({operation["operationId"] for _, _, operation in operations}) == len(operations)
    for method, path, operation in operations:
        assert operation.get("summary"), (method, path)
        assert any(status.startswith("2") for status in operation["responses"]), (method, path)
        assert {"400", "404", "500"} <= set(operation["responses"]), (method, path)


SCHEMAS = plain()["components"]["schemas"]
OPERATIONS = [
    (method, path, operation) for path, methods in plain()["paths"].items() for method, operation in methods.items()
]
JAVASCRIPT = {"Array", "Blob", "Boolean", "Date", "Error", "Event", "File", "Function", "Image", "Map", "Number",
              "Object", "Promise", "Proxy", "Request", "Response", "Set", "String", "Symbol"}  # fmt: skip
# Words of code, not of the API.
INTERNAL = re.compile(r"DRF|LunaError|LunaView|[Ss]erializer|mixin|Wrapper|docstring|selector|queryset")
# Objects whose members the client, the type of a task, or the group of a setting names.
CLIENTS_OWN = {"content", "meta", "statistic", "settings"}


def nodes(node: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas below a node, with the name of the member."""
    if isinstance(node, dict):
        yield name, node
        for key, value in node.items():
            if key not in ("example", "enum"):
                yield from nodes(value, name if key in ("items", "allOf") else key)
    elif isinstance(node, list):
        for item in node:
            yield from nodes(item, name)


def test_names_of_components_are_no_names_of_languages() -> None:
    taken = {*dir(builtins), *keyword.kwlist, *typing.__all__, *JAVASCRIPT}
    assert sorted(set(SCHEMAS) & taken) == []


def test_no_schema_is_a_choice_of_several() -> None:
    assert [name for name, node in nodes(plain()) if {"oneOf", "anyOf", "not"} & set(node)] == []


def test_objects_have_typed_members() -> None:
    objects = [(name, node) for name, node in nodes(plain()) if node.get("type") == "object"]
    untyped = {
        name for name, node in objects if "properties" not in node and node.get("additionalProperties", {}) == {}
    }
    assert untyped <= CLIENTS_OWN


def test_every_parameter_is_described_and_ids_are_uuids_or_numbers() -> None:
    for method, path, operation in OPERATIONS:
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (method, path, parameter["name"])
            if parameter["in"] == "path" and parameter["name"].endswith("_id"):
                number = parameter["name"] in ("task_id", "subtask_id", "error_id", "schedule_id")
                kind = {"type": "integer", "minimum": 1} if number else {"type": "string", "format": "uuid"}
                assert parameter["schema"] == kind, (method, path)


def test_tags_are_resources_in_the_order_of_the_document() -> None:
    names = [tag["name"] for tag in plain()["tags"]]
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == set(names)
    assert names.index("detector") < names.index("faces") < names.index("handlers") < names.index("tokens")
    assert all(len(operation["tags"]) == 1 for _, _, operation in OPERATIONS)


def test_descriptions_are_for_clients() -> None:
    texts = [node["description"] for _, node in nodes(plain()) if isinstance(node.get("description"), str)]
    assert [text for text in texts if INTERNAL.search(text)] == []


def test_json_parts_of_forms_say_so() -> None:
    forms = [
        (path, content["multipart/form-data"])
        for _, path, operation in OPERATIONS
        if "multipart/form-data" in (content := operation.get("requestBody", {}).get("content", {}))
    ]
    assert len(forms) >= 7
    for path, form in forms:
        schema = form["schema"]
        members = SCHEMAS[schema["$ref"].rpartition("/")[2]]["properties"] if "$ref" in schema else schema["properties"]
        for name, member in members.items():
            if name != "image" and ("$ref" in member or member.get("type") in ("array", "object")):
                assert form["encoding"][name] == {"contentType": "application/json"}, (path, name)


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """JSON bodies of requests and of successful responses."""
    for method, path, operation in OPERATIONS:
        answers = [answer for status, answer in operation["responses"].items() if status < "300"]
        for body in (operation.get("requestBody", {}), *answers):
            if "application/json" in body.get("content", {}):
                yield f"{method} {path}", body["content"]["application/json"]


def test_every_body_has_an_example_that_fits() -> None:
    for name, media in bodies():
        examples = [each["value"] for each in media.get("examples", {}).values()] or [media["example"]]
        found = [error for example in examples for error in strict(media["schema"]).iter_errors(example)]
        assert [f"{error.json_path}: {error.message}" for error in found] == [], name


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_examples_of_requests_are_accepted() -> None:
    with_example = [kind for kind in subclasses(StrictSerializer) if "example" in vars(kind)]
    assert len(with_example) >= 10
    for kind in with_example:
        kind().run_validation(kind.example)
