"""Rows and clients for tests."""

import base64
import itertools
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.test import Client

from apps.accounts.auth.bearer import token_encode
from apps.accounts.auth.permissions import OBJECT_RIGHTS, all_permissions
from apps.accounts.auth.principal import Principal
from apps.accounts.choices import AccountType, VisibilityArea
from apps.accounts.models import Account, Token
from apps.accounts.services import account_create, token_create
from apps.common.descriptors import Calibration, Descriptor, DescriptorVersion, Kind, Vector, versions
from apps.common.scope import Scope
from apps.events.models import Event
from apps.events.services import events_create
from apps.events.types import EventDraft, EventRecord
from apps.imagestore.selectors import object_get
from apps.imagestore.services import object_bytes
from apps.sender.models import Callback
from apps.sender.outbox import NewCallback, callbacks_create
from apps.sender.targets import Target, Webhook

PASSWORD = "correct horse"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_numbers = itertools.count(1)


def make_account(account_type: str = AccountType.USER) -> Account:
    return account_create(login=f"user{next(_numbers)}@luna.test", password=PASSWORD, account_type=account_type)


def client_of(account: Account) -> Client:
    """A client whose token has all rights of the account, and sees its data only."""
    token = Token.objects.create(account=account, permissions=all_permissions())
    jwt = token_encode(account_id=account.account_id, token_id=token.token_id)
    return Client(headers={"Authorization": f"Bearer {jwt}"})


def header_client(account: Account) -> Client:
    """A client that names the account by header, which `LUNA_ALLOW_ACCOUNT_ID_HEADER` must enable."""
    return Client(headers={"Luna-Account-Id": str(account.account_id), "Host": "localhost"})


def basic_client(account: Account) -> Client:
    """A client that logs in: accounts that see all data do so this way only."""
    credentials = base64.b64encode(f"{account.login}:{PASSWORD}".encode()).decode()
    return Client(headers={"Authorization": f"Basic {credentials}"})


def principal_of_account(account: Account) -> Principal:
    """Who logged in to `account` by password."""
    return Principal(account.account_id, account.account_type, account.login, visibility_area=VisibilityArea.ALL)


def token_client(account: Account, **permissions: Any) -> Client:
    """A client with a bearer token of these permissions."""
    principal = Principal(account.account_id, account.account_type, account.login)
    jwt = token_create(principal=principal, permissions=permissions).jwt
    return Client(headers={"Authorization": f"Bearer {jwt}"})


def token_without(account: Account, kind: str, right: str) -> Client:
    """A client with a bearer token of every right on objects of a kind, except `right`."""
    return token_client(account, **{kind: [each for each in OBJECT_RIGHTS[kind] if each != right]})


def make_event(account: Account, *descriptors: Descriptor, **columns: Any) -> Event:
    draft = EventDraft(**{"create_time": NOON, **columns})
    events_create(account_id=account.account_id, records=[EventRecord(draft, descriptors)])
    event: Event = Event.objects.for_account(account.account_id).get(event_id=draft.event_id)
    return event


def make_callback(account: Account, target: Target | None = None, **values: Any) -> Callback:
    """A waiting callback."""
    new = NewCallback(target=target or Webhook(url="http://receiver.test/"), **{"payload": "{}", **values})
    callbacks_create(account_id=account.account_id, callbacks=[new])
    callback: Callback = Callback.objects.for_account(account.account_id).get(callback_id=new.callback_id)
    return callback


def stored_bytes(*, scope: Scope, bucket: str, object_id: UUID) -> bytes:
    """The bytes of a stored object. Raises LunaError as the selector and the service do."""
    return object_bytes(stored=object_get(scope=scope, bucket=bucket, object_id=object_id))


def unit_vectors(count: int, dimension: int, seed: int = 0) -> Vector:
    """Random unit vectors, float32 [count, dimension]."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_version(
    version: int, dimension: int, raw_encoding: Any = "float32-le", *, kind: Kind = "face"
) -> DescriptorVersion:
    """A registered descriptor version with a calibration that is not the identity."""
    points = ((-1.0, 0.0), (0.0, 0.1), (0.5, 0.4), (0.9, 0.9), (1.0, 1.0))
    found = DescriptorVersion(version, kind, "test", dimension, raw_encoding, Calibration(points))
    versions.register(found)
    return found


def ids(rows: list[dict[str, Any]], name: str) -> list[UUID]:
    return [UUID(row[name]) for row in rows]
