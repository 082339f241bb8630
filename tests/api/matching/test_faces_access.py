"""POST /6/matcher/faces: scope of accounts and permissions of tokens."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.faces.services import list_create
from tests.api.matching.requests import (
    FACES,
    VECTORS,
    body,
    failed,
    found_ids,
    make_attribute,
    make_face,
    make_matched_event,
    matched,
    post,
    raw,
    stored,
)
from tests.factories import basic_client, make_account, token_client

pytestmark = pytest.mark.django_db


def test_accounts_are_isolated(client: Client, account: Account) -> None:
    """Another account's objects are no references and no candidates, by whatever id they are named."""
    stranger = make_account()
    row = list_create(account_id=stranger.account_id)
    face = make_face(stranger, VECTORS[0], external_id="x", lists=[row.list_id])
    event = make_matched_event(stranger, VECTORS[0], external_id="x", track_id="x")
    attribute = make_attribute(stranger, VECTORS[0])
    for reference, code in [
        (stored("face", face.face_id), 22002),
        (stored("face_external_id", "x"), 11041),
        (stored("event", event.event_id), 23001),
        (stored("event_external_id", "x"), 11057),
        (stored("event_track_id", "x"), 11058),
        (stored("attribute", attribute.attribute_id), 22011),
    ]:
        answer = post(client, body(reference))
        assert answer.json()["error_code"] == code
    blocks: list[dict[str, Any]] = [
        FACES,
        {"filters": {"face_ids": [str(face.face_id)]}},
        {"filters": {"list_id": str(row.list_id)}},
        {"filters": {"origin": "events"}},
        {"filters": {"origin": "events", "event_ids": [str(event.event_id)]}},
        {"filters": {"origin": "attributes", "attribute_ids": [str(attribute.attribute_id)]}},
    ]
    (answer,) = matched(client, raw(VECTORS[0]), *blocks)
    assert [block["result"] for block in answer["matches"]] == [[]] * 6
    foreign = {"filters": {"account_id": str(stranger.account_id)}}
    failed(client, body(raw(VECTORS[0]), foreign), 403, 11069)
    failed(client, body(raw(VECTORS[0])), 403, 11063, f"?account_id={stranger.account_id}")
    failed(client, body(raw(VECTORS[0]), foreign), 400, 31000, f"?account_id={account.account_id}")


def test_advanced_user_matches_another_account(account: Account) -> None:
    face = make_face(account, VECTORS[0])
    make_face(make_account(), VECTORS[0])
    reader = basic_client(make_account(AccountType.ADVANCED_USER))
    named = {"filters": {"account_id": str(account.account_id)}}
    assert found_ids(matched(reader, raw(VECTORS[0]), named)) == [str(face.face_id)]
    answer = post(reader, body(raw(VECTORS[0])), f"?account_id={account.account_id}")
    assert found_ids(answer.json()) == [str(face.face_id)]


@pytest.mark.parametrize(
    ("kind", "origin", "right"),
    [
        ("face", "faces", {"face": ["matching"]}),
        ("event", "events", {"event": ["matching"]}),
        ("attribute", "attributes", {"attribute": ["matching"]}),
        ("face", "events", {"face": ["matching"], "event": ["matching"]}),
        (None, "faces", {"face": ["matching"]}),
    ],
)
def test_tokens_need_the_right_to_match(
    account: Account, kind: str | None, origin: str, right: dict[str, list[str]]
) -> None:
    objects = {
        "face": make_face(account, VECTORS[0]).face_id,
        "event": make_matched_event(account, VECTORS[0]).event_id,
        "attribute": make_attribute(account, VECTORS[0]).attribute_id,
    }
    filters: dict[str, Any] = {"origin": origin}
    if origin == "attributes":
        filters["attribute_ids"] = [str(objects["attribute"])]
    data = body(stored(kind, objects[kind]) if kind else raw(VECTORS[0]), {"filters": filters})
    assert post(token_client(account, **right), data).status_code == 200
    everything = {"face": ["matching", "view"], "event": ["matching", "view"], "attribute": ["matching", "view"]}
    for missing in right:
        rights = everything | {missing: ["view"]}
        assert f'"{missing}"' in failed(token_client(account, **rights), data, 403, 11059)


def test_no_credentials() -> None:
    failed(Client(), body(raw(VECTORS[0])), 403, 12010)
