"""Credentials of callbacks: sealed in the database, masked in answers and in the admin site, kept by a masked PUT."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from apps.common.config import Services
from apps.common.secrets import MASK, Secret, UnreadableSecretError
from apps.handlers.models import Handler
from apps.handlers.policies import policies_parse
from apps.handlers.policies.callbacks import CallbackPolicy
from apps.handlers.policies.filled import policies_filled
from apps.sender.targets import Webhook
from tests.api.handlers.helpers import JSON, make_handler
from tests.factories import make_account

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse"
ADDRESS = "https://example.org/hook"


def callback(url: str = ADDRESS, password: str = PASSWORD, header: str = "battery", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "url": url,
        "authorization": {"type": "basic", "login": "staple", "password": password},
        "params": {"headers": {"X-Api-Key": header}},
        **more,
    }


def policies(*callbacks: Any) -> dict[str, Any]:
    return {"storage_policy": {"callbacks": list(callbacks)}}


def stored(path: str) -> Handler:
    return Handler.objects.unscoped().get(handler_id=path.rpartition("/")[2])


def revealed(path: str) -> list[tuple[str, str, str, str]]:
    """Address, login, password and key of each callback, as they would be delivered."""
    found: list[CallbackPolicy] = list(policies_parse(stored(path).policies, stored=True).storage_policy.callbacks)
    return [
        (hook.url, hook.login.reveal(), hook.password.reveal(), hook.headers["X-Api-Key"].reveal())
        for each in found
        if isinstance(hook := each.target, Webhook) and hook.login and hook.password
    ]


def test_sealed_at_rest_and_masked_in_answers(client: Client) -> None:
    path = make_handler(client, policies(callback()))
    site = Client()
    site.force_login(make_account("admin"))
    pages = [
        site.get(reverse("admin:handlers_handler_change", args=(stored(path).pk,))).content.decode(),
        orjson.dumps(stored(path).policies).decode(),
        client.get(path).content.decode(),
        client.get("/6/handlers").content.decode(),
    ]
    assert ADDRESS in pages[0]
    for page in pages:
        assert not any(word in page for word in ("staple", PASSWORD, "battery"))
    shown = client.get(path).json()["policies"]["storage_policy"]["callbacks"][0]
    masked = callback(password=MASK, header=MASK) | {
        "authorization": {"type": "basic", "login": MASK, "password": MASK}
    }
    filled = policies_filled(policies(masked))
    assert filled is not None
    assert shown == filled["storage_policy"]["callbacks"][0]
    assert revealed(path) == [(ADDRESS, "staple", PASSWORD, "battery")]


def test_a_masked_put_keeps_what_is_stored(client: Client) -> None:
    path = make_handler(client, policies(callback(), callback(password="second")))
    body = client.get(path).json()["policies"]
    body["storage_policy"]["callbacks"][1]["authorization"]["password"] = "third"
    body["detect_policy"] = {"estimate_quality": 1}
    answer = client.put(path, {"policies": body}, JSON)
    assert answer.status_code == 204, answer.json()
    assert [each[2] for each in revealed(path)] == [PASSWORD, "third"]
    kept = stored(path).policies
    assert kept is not None
    assert kept["detect_policy"] == {"estimate_quality": 1}


def test_a_mask_is_worth_nothing_elsewhere(client: Client) -> None:
    """Not for another address, not in a new handler, not in another's."""
    path = make_handler(client, policies(callback()))
    masked = callback(password=MASK)
    other = make_handler(client)
    for answer in (
        client.put(path, {"policies": policies(callback("https://attacker.example/", MASK))}, JSON),
        client.put(path, {"policies": policies(masked, masked)}, JSON),
        client.put(other, {"policies": policies(masked)}, JSON),
        client.post("/6/handlers", {"policies": policies(masked)}, JSON),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)
        assert "authorization.password" in answer.json()["detail"]
    assert revealed(path) == [(ADDRESS, "staple", PASSWORD, "battery")]


def test_sealed_tokens_of_clients_are_refused(client: Client) -> None:
    """A client cannot decrypt a sealed token from a database copy by sending it in policies."""
    sealed = {"sealed": Secret.seal(PASSWORD).token}
    body = policies(callback(password=sealed))  # type: ignore[arg-type]
    for answer in (client.post("/6/handlers", {"policies": body}, JSON),
                   client.post("/6/handlers/validator", {"policies": body}, JSON)):  # fmt: skip
        assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)


@pytest.mark.parametrize(
    "broken",
    [
        callback("https://user:password@example.org/"),
        callback(password="x" * 129),
        callback(password="\x00"),
        callback(header="a\r\nX-Other: b"),
        callback(header="\xe9"),
        callback(authorization={"type": "basic", "login": "a:b", "password": ""}),
        callback(authorization={"type": "basic", "login": "a"}),
        callback(authorization={"type": "bearer", "token": "x"}),
        callback(params={"headers": {"Authorization": "Bearer x"}}),
    ],
)
def test_bad_credentials(client: Client, broken: Any) -> None:
    answer = client.post("/6/handlers", {"policies": policies(broken)}, JSON)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)


def test_policies_stored_before_they_were_sealed(client: Client) -> None:
    path = make_handler(client)
    Handler.objects.unscoped().update(policies=policies(callback()))
    assert PASSWORD not in client.get(path).content.decode()
    assert revealed(path) == [(ADDRESS, "staple", PASSWORD, "battery")]
    assert client.put(path, {"policies": client.get(path).json()["policies"]}, JSON).status_code == 204
    assert PASSWORD not in orjson.dumps(stored(path).policies).decode()
    assert revealed(path) == [(ADDRESS, "staple", PASSWORD, "battery")]


def test_a_secret_says_nothing_of_itself(configure: Callable[..., None]) -> None:
    secret = Secret.seal(PASSWORD)
    assert secret.token not in repr(secret)
    assert secret != Secret.seal(PASSWORD)
    configure(Services, secret_key="another")
    with pytest.raises(UnreadableSecretError):
        secret.reveal()
