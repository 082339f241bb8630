"""Every route of the document, asked by another account with the ids of the first: nothing seen, nothing changed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.models import Account
from apps.accounts.services import account_delete
from tests.api.accounts.helpers import JSON, bearer
from tests.api.handlers.helpers import astronaut
from tests.conformance.document import plain
from tests.conformance.examples import VARIANTS, Examples, Ids
from tests.conformance.world import MARK, everything, make_world
from tests.factories import basic_client, header_client, make_account

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
ROUTES = [
    (method.upper(), path, operation)
    for path, methods in plain()["paths"].items()
    for method, operation in methods.items()
]
OWN_ONLY = {"DELETE /6/account", "PATCH /6/account", "POST /6/accounts"}  # these name no object of another account
TAKEN_IDS = {f"PUT /1/buckets/{{bucket}}/{kind}s/{{{kind}_id}}" for kind in ("image", "object")}  # ids are everybody's
SOME_NOT_FOUND = {11020, 22004, 22005}  # answered with 400: one of several ids names nothing


def requests(ids: Ids, path: str, operation: Any) -> Iterator[tuple[str, dict[str, str], Any, str]]:
    """Path, query, body and media type of every variant."""
    for variant in range(VARIANTS):
        examples = Examples(plain(), ids, variant)
        filled = examples.path(path)
        body, media_type = examples.body(operation)
        if media_type.startswith("image/"):
            body, media_type = astronaut(), "image/jpeg"
        elif media_type in ("*/*", "application/octet-stream"):
            body = b"the intruder's"
        for query in (*examples.queries(operation), {"account_id": ids["account_id"]}):
            yield filled, query, body, media_type


def ask(client: Client, ids: Ids) -> Iterator[tuple[str, Any]]:
    """Every answer to every request, with the name of its route."""
    for method, path, operation in ROUTES:
        if f"{method} {path}" in OWN_ONLY:
            continue
        seen = set()
        for filled, query, body, media_type in requests(ids, path, operation):
            request = (filled, tuple(query.items()), repr(body))
            if request in seen:
                continue
            seen.add(request)
            if method == "GET":
                yield f"HEAD {path}", client.head(filled, query_params=query)
                yield f"GET {path}", client.get(filled, query_params=query)
            else:
                send = getattr(client, method.lower())
                yield f"{method} {path}", send(filled, body, content_type=media_type, query_params=query)


def holder_of_all_permissions(account: Account) -> Client:
    """Return a client with a token of every right; a list of permissions may not join all of them."""
    answer = basic_client(account).post("/6/tokens?grant_all_permissions=1", {}, JSON)
    assert answer.status_code == 201, answer.content
    return bearer(answer.json()["token"])


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize("kind", ["basic", "header", "token"])
def test_another_account_sees_and_changes_nothing(
    kind: str,
    redis_client: "redis.Redis",
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    tmp_path: Any,
    settings: Any,
) -> None:
    storages = {name: dict(options) for name, options in settings.STORAGES.items()}
    storages["default"]["OPTIONS"] = {"location": str(tmp_path)}
    settings.STORAGES = storages
    owner = make_account()
    with django_capture_on_commit_callbacks(execute=True):
        ids = {**make_world(basic_client(owner)), "account_id": str(owner.pk)}
    before = everything(redis_client)

    intruder = make_account()
    clients: dict[str, Callable[[Account], Client]] = {
        "basic": basic_client,
        "header": header_client,
        "token": holder_of_all_permissions,
    }
    client = clients[kind](intruder)
    statuses: dict[str, set[int]] = {}
    unknown: set[str] = set()
    with django_capture_on_commit_callbacks(execute=True):
        for route, answer in ask(client, ids):
            statuses.setdefault(route, set()).add(answer.status_code)
            check(route, answer, ids)
            if answer.status_code in (403, 404, 409) or (answer.content and code_of(answer) in SOME_NOT_FOUND):
                unknown.add(route)
    for route, found in statuses.items():
        if "{" in route.replace("{bucket}", ""):  # buckets are everybody's
            assert route in unknown, (route, found)
            assert found <= {400, 403, 404, 501} | ({409} if route in TAKEN_IDS else set()), (route, found)
    assert len(statuses) > 80

    with django_capture_on_commit_callbacks(execute=True):
        account_delete(account=intruder)
    assert everything(redis_client) == before


def code_of(answer: Any) -> int:
    return int(answer.json().get("error_code", 0)) if answer.status_code == 400 else 0


def check(route: str, answer: Any, ids: Ids) -> None:
    content = answer.getvalue().decode(errors="replace")
    assert answer.status_code < 500 or answer.status_code == 501, (route, content)
    assert MARK not in content, (route, content)
    reads = route.startswith("GET") or "matcher" in route
    if reads and answer.status_code < 300:
        named = [name for name, value in ids.items() if value in content and not value.isdigit()]  # of tasks: 1, 2 …
        assert not named, (route, content)
