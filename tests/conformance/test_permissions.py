"""The matrix: every route with every right of a token, for all types of accounts and all ways to authenticate."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.api.administrators import AdministratorView
from apps.accounts.api.routes import Route, api_routes
from apps.accounts.auth.bearer import token_encode
from apps.accounts.auth.permissions import EMIT_EVENTS, OBJECT_RIGHTS, RESOURCES
from apps.accounts.choices import AccountType
from apps.accounts.models import Account, Token
from apps.common.api.views import BY_BODY
from tests.api.accounts.helpers import bearer
from tests.factories import basic_client, header_client, make_account

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
Permissions = Mapping[str, Any]
TOKEN_CODES = {11059, 11060, 11064, 11067, 11068}
NO_CODE = None
NOBODY = str(uuid4())


def grants() -> Iterator[Permissions]:
    """Nothing, then each right of the table alone."""
    yield {}
    for kind, rights in OBJECT_RIGHTS.items():
        for right in rights:
            yield {kind: [right]}
    for resource in RESOURCES:
        yield {"resources": [resource]}
    yield {"emit_events": {"allowed": 1, "white_list": [], "black_list": []}}


GRANTS = list(grants())


def expected(route: Route, permissions: Permissions) -> int | None:
    """The code with which a token of these permissions is refused, None when it may pass."""
    if route.view.resource:
        return NO_CODE if route.view.resource in permissions.get("resources", ()) else 11060
    if route.public or route.right == BY_BODY:
        return NO_CODE
    if route.right is None:
        return 11064
    if route.right == EMIT_EVENTS:
        return NO_CODE if "emit_events" in permissions else 11068
    kind, right = route.right  # type: ignore[misc]
    return NO_CODE if right in permissions.get(kind, ()) else 11059


def answered(client: Client, route: Route, *, undo: bool = True) -> tuple[int, int | None]:
    """Return status and error code, and revert the request's changes with `undo`."""
    path = route.path
    while "{" in path:
        head, _, tail = path.partition("{")
        path = head + NOBODY + tail.partition("}")[2]
    send = client.get if route.method == "GET" else partial(getattr(client, route.method.lower()), data={})
    with transaction.atomic() if undo else nullcontext():
        answer = send(path, content_type="application/json")
        if undo:
            transaction.set_rollback(True)
    is_json = answer.status_code >= 400 and answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json()["error_code"] if is_json else None


def of_administrators(route: Route) -> bool:
    return issubclass(route.view, AdministratorView) and not route.public


def token_clients(account: Account) -> list[Client]:
    tokens = Token.objects.bulk_create(Token(account=account, permissions=grant) for grant in GRANTS)
    return [bearer(token_encode(account_id=account.pk, token_id=token.token_id)) for token in tokens]


@pytest.mark.parametrize("account_type", AccountType.values)
def test_tokens(account_type: str, record_property: Any) -> None:
    account = make_account(account_type)
    routes = api_routes()
    # Administrators' resources have no rights of tokens: the least and the last grant are enough.
    of_admin = [route for route in routes if of_administrators(route)]
    checked = 0
    for permissions, client in zip(GRANTS, token_clients(account), strict=True):
        for route in routes:
            if route in of_admin and permissions not in (GRANTS[0], GRANTS[-1]):
                continue
            wanted = expected(route, permissions)
            status, code = answered(client, route, undo=wanted is NO_CODE)
            refused_by = code if code in TOKEN_CODES else NO_CODE
            assert refused_by == wanted, (route.method, route.path, permissions, status, code)
            assert refused_by is NO_CODE or status == 403
            checked += 1
    record_property("cells", checked)
    print(f"{checked} cells: {len(routes)} routes × {len(GRANTS)} grants, tokens of {account_type}")
    assert checked == (len(routes) - len(of_admin)) * len(GRANTS) + 2 * len(of_admin) > 3000


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize("way", [basic_client, header_client], ids=["basic", "header"])
@pytest.mark.parametrize("account_type", AccountType.values)
def test_accounts(account_type: str, way: Any) -> None:
    """Without a token no permission is missing; rejections are due to the type of the account."""
    client = way(make_account(account_type))
    for route in api_routes():
        status, code = answered(client, route)
        assert code not in TOKEN_CODES, (route.method, route.path, code)
        assert status != 401, (route.method, route.path, code)
        if of_administrators(route):
            refused = code in (12010, 15015)
            assert refused is not (account_type == AccountType.ADMIN and way is basic_client), (route.path, code)
        elif status == 403:
            assert code in (12010, 12033, 12049), (route.method, route.path, code)


def test_nobody() -> None:
    """Without credentials public resources respond, all others return 403 12010, those of administrators 401 15014."""
    for route in api_routes():
        status, code = answered(Client(), route)
        is_open = route.public or bool(route.view.resource)
        refusal = (401, 15014) if of_administrators(route) else (403, 12010)
        assert ((status, code) == refusal) is not is_open, (route.method, route.path, status, code)
