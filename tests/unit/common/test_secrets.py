"""Secrets at rest: keys of passphrase and secret key, former keys, rotation in every column."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from apps.common.config import Services, config
from apps.common.secrets import Secret, UnreadableSecretError
from apps.handlers.models import Handler
from apps.sender.models import Callback
from apps.sender.targets import MqttTopic, TelegramChat, Webhook
from tests.factories import make_account, make_callback


@pytest.fixture
def keys(configure: Callable[..., None]) -> Callable[..., None]:
    def change(**values: str) -> None:
        configure(Services, **{name: SecretStr(value) for name, value in values.items()})

    return change


def token_of(row: Any) -> str:
    return str(row.policies["storage_policy"]["callbacks"][0]["authorization"]["password"]["sealed"])


@pytest.mark.parametrize(
    "changed", [{"fernet_passphrase": "other"}, {"salt": "other"}, {"fernet_passphrase": "", "secret_key": "k" * 50}]
)
def test_a_secret_needs_the_key_that_sealed_it(keys: Callable[..., None], changed: dict[str, str]) -> None:
    keys(fernet_passphrase="pass", salt="salt")
    secret = Secret.seal("täglich")
    assert secret.reveal() == "täglich"
    assert "täglich" not in repr(secret)
    keys(**changed)
    with pytest.raises(UnreadableSecretError):
        secret.reveal()


def test_the_salt_alone_changes_nothing_and_a_first_passphrase_reads_earlier_secrets(
    keys: Callable[..., None],
) -> None:
    secret = Secret.seal("old")
    keys(salt="salt")
    assert secret.reveal() == "old"
    assert secret.rotated() is secret
    keys(fernet_passphrase="pass")
    assert secret.reveal() == "old"
    assert secret.rotated().token != secret.token
    assert secret.rotated().reveal() == "old"


@pytest.mark.django_db
def test_rotation_reaches_every_stored_secret_and_reports_those_without_a_key(keys: Callable[..., None]) -> None:
    account = make_account()

    def sealed(text: str) -> dict[str, str]:
        return {"sealed": Secret.seal(text).token}

    def handler() -> Handler:
        hook = {"type": "http", "url": "http://a", "authorization": {"login": sealed("l"), "password": sealed("p")}}
        policies = {"storage_policy": {"callbacks": [hook]}}
        row: Handler = Handler.objects.create(account_id=account.pk, policies=policies)
        return row

    keys(fernet_passphrase="lost")
    lost = handler()
    keys(fernet_passphrase="first", salt="1")
    kept = handler()
    Handler.objects.create(account_id=account.pk, policies=None)
    targets = (
        Webhook(url="http://a", headers={"X": Secret.seal("h")}, secret=Secret.seal("s" * 24)),
        MqttTopic(url="mqtt://a", topic="t", login=Secret.seal("m")),
        TelegramChat(chat_id="1", token=Secret.seal("1:t")),
    )
    for target in targets:
        make_callback(account, target)
    keys(fernet_passphrase="second", salt="2", fernet_passphrase_old="first", salt_old="1")
    out, problems = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="2 secrets cannot be decrypted"):
        call_command("rotate_secrets", stdout=out, stderr=problems)
    assert "6 secrets have the current key" in out.getvalue()
    assert str(lost.pk) in problems.getvalue()

    keys(fernet_passphrase_old="", salt_old="")
    kept.refresh_from_db()
    assert Secret(token_of(kept)).reveal() == "p"
    stored = {row.kind: row.target for row in Callback.objects.for_account(account.pk)}
    assert Webhook.unpacked(stored["http"]).headers["X"].reveal() == "h"
    assert Webhook.unpacked(stored["http"]).secret.reveal() == "s" * 24
    assert MqttTopic.unpacked(stored["mqtt"]).login.reveal() == "m"
    assert TelegramChat.unpacked(stored["telegram"]).token.reveal() == "1:t"
    before = token_of(kept)
    lost.delete()
    call_command("rotate_secrets", stdout=out)
    kept.refresh_from_db()
    assert token_of(kept) == before  # nothing to do
    assert config(Services).fernet_passphrase.get_secret_value() == "second"
