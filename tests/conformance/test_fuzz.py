"""schemathesis over our own document: no crash, no status and no body that the document does not name."""

import base64
import os
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.helpers import processes_run
from tests.conformance.document import plain
from tests.factories import PASSWORD, make_account

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# The same few requests in every run; with LUNA_FUZZ_EXAMPLES that many new ones.
EXAMPLES = int(os.environ.get("LUNA_FUZZ_EXAMPLES", "0"))


def operations() -> list[APIOperation[Any, Any, Any, Any]]:
    """Every operation, as a client that speaks JSON sees it."""
    document = deepcopy(plain())
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                content.pop("application/msgpack", None)
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


@pytest.fixture
def _transaction_of_the_test_stays_open() -> Iterator[None]:
    """As Django's own test client does it: the end of a request must not close the test's connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.usefixtures("_transaction_of_the_test_stays_open")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label.replace("/", "."))
def test_operation(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
    processes_run()  # their absence is documented as 502 of health checks
    account = make_account()
    credentials = base64.b64encode(f"{account.login}:{PASSWORD}".encode()).decode()

    @settings(
        max_examples=EXAMPLES or 10,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def answers_as_documented(case: Case[Any]) -> None:
        # The transport without a server does not decompress answers.
        headers = {"Authorization": f"Basic {credentials}", "Accept-Encoding": "identity"}
        case.call_and_validate(headers=headers, checks=CHECKS)

    try:
        answers_as_documented()
    except Unsatisfiable:
        pytest.skip("this operation takes nothing that could be bad")
