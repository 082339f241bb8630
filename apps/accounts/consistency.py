"""Consistency checks of accounts' data in Redis, for `manage.py fsck`."""

from collections.abc import Iterator
from functools import cache, partial
from uuid import UUID

from apps.accounts import kept_answers
from apps.accounts.models import Account
from apps.common.fields import parse_uuid
from apps.common.holdings import Fault
from apps.common.redis_client import client

SCAN_KEYS = 500


def answers_check(deep: bool) -> Iterator[Fault]:
    """Yield kept responses of accounts that no longer exist."""

    @cache
    def known(account_id: UUID | None) -> bool:
        return account_id is not None and Account.objects.filter(account_id=account_id).exists()

    for key in client().scan_iter(kept_answers.KEY.format("*", "*"), count=SCAN_KEYS):
        name = key.decode()
        if not known(parse_uuid(name.split(":")[2])):
            yield Fault("kept answer of no account", name, partial(_forget, key))


def _forget(key: bytes) -> None:
    client().delete(key)
