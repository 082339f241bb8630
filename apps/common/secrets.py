"""Secrets of users that the platform must be able to say again: encrypted wherever they are kept.

Fernet (AES-128-CBC with HMAC-SHA-256) under a key derived from `LUNA_SECRET_KEY`.
"""

import base64
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from apps.common.config import Services, config

MASK = "********"
"""What answers show in the place of a secret."""


class UnreadableSecretError(Exception):
    """The secret was sealed under another key, or is damaged."""


@dataclass(frozen=True, slots=True)
class Secret:
    """An encrypted text. Equal texts have different tokens."""

    token: str = field(repr=False)

    @classmethod
    def seal(cls, text: str) -> "Secret":
        return cls(_fernet(config(Services).secret_key).encrypt(text.encode()).decode())

    def reveal(self) -> str:
        """The text. Raises UnreadableSecretError."""
        try:
            return _fernet(config(Services).secret_key).decrypt(self.token.encode()).decode()
        except InvalidToken:
            raise UnreadableSecretError("a secret cannot be read: was LUNA_SECRET_KEY changed?") from None


@lru_cache(maxsize=2)
def _fernet(key: SecretStr) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"luna.common.secrets").derive(
        key.get_secret_value().encode()
    )
    return Fernet(base64.urlsafe_b64encode(derived))
