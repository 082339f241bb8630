"""Temporary attributes go with their account: they are descriptors too, and Redis knows no cascade."""

from typing import Any
from uuid import UUID

from apps.accounts.erasure import account_erasing
from apps.common.errors import LunaError
from apps.common.redis_client import client
from apps.faces.attributes import KEY, unpack

SCAN_KEYS = 500


def attributes_erase(*, account_id: UUID) -> int:
    """Removes every temporary attribute of an account; how many there were."""
    erased = 0
    for key in client().scan_iter(KEY.format("*"), count=SCAN_KEYS):
        value = client().get(key)
        if isinstance(value, bytes) and _owner(key, value) == account_id:
            erased += client().delete(key)
    return erased


def _owner(key: bytes, value: bytes) -> UUID | None:
    try:
        return unpack(UUID(key.decode().rpartition(":")[2]), value).account_id
    except (LunaError, ValueError):
        return None


def on_account_erasing(sender: Any, account_id: UUID, **kwargs: Any) -> None:
    attributes_erase(account_id=account_id)


def connect() -> None:
    account_erasing.connect(on_account_erasing, dispatch_uid="faces")
