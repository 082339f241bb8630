"""Rights of tokens: each request on faces, lists and attributes needs its own."""

import pytest
from django.test import Client

from apps.accounts.models import Account
from tests.api.faces.helpers import external, made
from tests.api.helpers import refused
from tests.factories import token_without

BODIES = {"face": {}, "list": {}, "attribute": external(age=1)}


@pytest.mark.parametrize(
    ("kind", "method", "path", "right"),
    [
        ("face", "post", "/6/faces", "creation"),
        ("face", "get", "/6/faces", "view"),
        ("face", "get", "/6/faces/count", "view"),
        ("face", "get", "/6/faces/attributes/count", "view"),
        ("face", "get", "/6/faces/{key}", "view"),
        ("face", "get", "/6/faces/{key}/attributes", "view"),
        ("face", "get", "/6/faces/{key}/attributes/samples", "view"),
        ("face", "patch", "/6/faces/{key}", "modification"),
        ("face", "put", "/6/faces/{key}/attributes", "modification"),
        ("face", "delete", "/6/faces/{key}/attributes", "modification"),
        ("face", "delete", "/6/faces/{key}", "deletion"),
        ("face", "delete", "/6/faces", "deletion"),
        ("list", "post", "/6/lists", "creation"),
        ("list", "get", "/6/lists", "view"),
        ("list", "get", "/6/lists/count", "view"),
        ("list", "get", "/6/lists/{key}", "view"),
        ("list", "patch", "/6/lists/{key}", "modification"),
        ("list", "patch", "/6/lists/{key}/faces", "modification"),
        ("list", "delete", "/6/lists/{key}", "deletion"),
        ("list", "delete", "/6/lists", "deletion"),
        ("attribute", "get", "/6/attributes/{key}", "view"),
        ("attribute", "get", "/6/attributes/{key}/samples", "view"),
        ("attribute", "get", "/6/attributes?attribute_ids={key}", "view"),
        ("attribute", "post", "/6/attributes", "creation"),
        ("attribute", "delete", "/6/attributes/{key}", "deletion"),
    ],
)
def test_tokens_need_the_right(client: Client, account: Account, kind: str, method: str, path: str, right: str) -> None:
    path = path.format(key=made(client, f"/6/{kind}s", BODIES[kind]))
    refused(getattr(token_without(account, kind, right), method)(path), 403, 11059)
