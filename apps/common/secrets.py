"""Encryption of secrets that the platform must be able to read back, such as passwords of callbacks.

Fernet (AES-128-CBC with HMAC-SHA-256) with a key derived from `FERNET_PASSPHRASE` and `SALT`, or from `LUNA_SECRET_KEY`
if no passphrase is set. Former keys still decrypt; `apps.common.rotation` replaces their secrets.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import SecretStr

from apps.common.config import Services, config

MASK = "********"
"""The text that responses show instead of a secret."""
SEALED = "sealed"
"""The key of a secret within stored JSON: `{"sealed": token}`."""


class UnreadableSecretError(Exception):
    """The secret was encrypted with another key, or is damaged."""


@dataclass(frozen=True, slots=True)
class Secret:
    """An encrypted text. Equal texts result in different tokens."""

    token: str = field(repr=False)

    @classmethod
    def seal(cls, text: str) -> "Secret":
        return cls(_keys(config(Services))[0].encrypt(text.encode()).decode())

    def reveal(self) -> str:
        """Decrypt the text. Raises UnreadableSecretError."""
        try:
            return MultiFernet(_keys(config(Services))).decrypt(self.token.encode()).decode()
        except InvalidToken:
            raise UnreadableSecretError(
                "a secret cannot be decrypted: FERNET_PASSPHRASE, SALT or LUNA_SECRET_KEY may have changed"
            ) from None

    def rotated(self) -> "Secret":
        """Return the secret under the current key: itself if that key encrypted it. Raises UnreadableSecretError."""
        try:
            _keys(config(Services))[0].decrypt(self.token.encode())
        except InvalidToken:
            return Secret.seal(self.reveal())
        return self


def sealed_places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the position of each token in stored JSON: `holder[key]` is the token."""
    if isinstance(value, dict):
        if set(value) == {SEALED} and isinstance(value[SEALED], str):
            yield value, SEALED
            return
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from sealed_places(each)


@lru_cache(maxsize=4)
def _keys(services: Services) -> tuple[Fernet, ...]:
    """Return the keys: the one that encrypts, then those that decrypt too."""
    keys = [
        *_of_passphrase(services.fernet_passphrase, services.salt),
        *_of_secret_key(services.secret_key),
        *_of_passphrase(services.fernet_passphrase_old, services.salt_old),
        *_of_secret_key(services.secret_key_old),
    ]
    return tuple(keys)


def _of_passphrase(passphrase: SecretStr, salt: SecretStr) -> list[Fernet]:
    """Return the key of a passphrase, none for an empty one. scrypt with the parameters of RFC 7914 for logins."""
    if not (text := passphrase.get_secret_value()):
        return []
    scrypt = Scrypt(salt=salt.get_secret_value().encode(), length=32, n=2**14, r=8, p=1)
    return [Fernet(base64.urlsafe_b64encode(scrypt.derive(text.encode())))]


def _of_secret_key(key: SecretStr) -> list[Fernet]:
    if not (text := key.get_secret_value()):
        return []
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"luna.common.secrets").derive(text.encode())
    return [Fernet(base64.urlsafe_b64encode(derived))]
