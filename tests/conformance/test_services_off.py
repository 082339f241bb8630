"""Every route of the document with each service switched off: the matrix of the manual's consequences."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.api.routes import api_routes
from apps.accounts.choices import AccountType
from apps.common.config import AdditionalServices, override_config
from apps.common.parts import PARTS
from luna.management.commands.services_page import page
from tests.conformance.document import plain
from tests.conformance.test_permissions import answered
from tests.factories import basic_client, make_account

GENERATING = r"/6/handlers/\{\w+\}/(events|stream_events|events/raw)"
PATHS = {
    "luna_events": rf"/6/events.*|{GENERATING}",
    "luna_handlers": r"/6/(handlers|verifiers).*|/6/(detector|extractor)",
    "luna_image_store": r"/6/(samples|images|objects).*|/1/buckets.*|/6/(detector|extractor)",
    "luna_lambda": "nothing",
    "luna_matcher_proxy": "nothing",
    "luna_sender": "/6/ws/ticket",
    "luna_tasks": r"/[46]/tasks.*",
}
"""Paths of rejected requests, by service. Requests that name a service only in their content are tested elsewhere."""
CODES = {part.error for part in PARTS.values()} - {None}


def test_each_service_has_a_row() -> None:
    assert set(PATHS) == set(PARTS) == set(AdditionalServices.model_fields)


@pytest.mark.django_db
@pytest.mark.parametrize("service", PATHS)
def test_routes_without_a_service(service: str, record_property: Any) -> None:
    client = basic_client(make_account(AccountType.ADMIN))
    routes = api_routes()
    documented = {(path, method.upper()) for path, methods in plain()["paths"].items() for method in methods}
    assert {(route.path, route.method) for route in routes} == documented
    rejected = 0
    with override_config(AdditionalServices, **{service: False}):
        for route in routes:
            status, code = answered(client, route)
            expected = re.fullmatch(PATHS[service], route.path) is not None
            found = (status, code) == (403, PARTS[service].error)
            assert found is expected, (service, route.method, route.path, status, code)
            assert expected or code not in CODES, (route.method, route.path, code)
            rejected += expected
    record_property("rejected", rejected)
    assert (rejected > 0) is (PATHS[service] != "nothing")


def test_the_page_is_current() -> None:
    assert (Path(settings.BASE_DIR) / "docs" / "services.md").read_text() == page(), "run `make docs`"
