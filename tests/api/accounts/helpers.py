"""What every test of accounts asks."""

from typing import Any
from uuid import UUID

from django.test import Client

from apps.accounts.models import Account
from tests.factories import basic_client

JSON = "application/json"


def issue(account: Account, **body: Any) -> tuple[UUID, Client, str]:
    """A token made through the API: its id, a client that carries it, and the JWT."""
    answer = basic_client(account).post("/6/tokens", {"permissions": {}, **body}, JSON)
    assert answer.status_code == 201, answer.content
    jwt = answer.json()["token"]
    return UUID(answer.json()["token_id"]), bearer(jwt), jwt


def bearer(jwt: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {jwt}"})


BODY = {"login": "someone@luna.test", "password": "a password", "account_type": "user"}  # of a registration


def register(**changes: Any) -> Any:
    return Client().post("/6/accounts", {**BODY, **changes}, JSON)
