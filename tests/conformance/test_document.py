"""The OpenAPI document: valid, without guesses, and changed only on purpose."""

from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from apps.accounts.api.routes import Route, api_routes
from apps.accounts.auth.permissions import OBJECT_RIGHTS
from apps.common.api.views import BY_BODY
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
        (method, path): operation["requestBody"]["content"].get
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
