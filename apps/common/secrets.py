"""Secrets of users that the platform must be able to say again: encrypted wherever they are kept.

Fernet (AES-128-CBC with HMAC-SHA-256) under a key derived from `LUNA_SECRET_KEY`.
"""

import base64
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

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
        return cls(_fernet(settings.SECRET_KEY).encrypt(text.encode()).decode())

    def reveal(self) -> str:
        """The text. Raises UnreadableSecretError."""
        try:
            return _fernet(settings.SECRET_KEY).decrypt(self.token.encode()).decode()
        except InvalidToken:
            raise UnreadableSecretError("a secret cannot be read: was LUNA_SECRET_KEY changed?") from None


@lru_cache(maxsize=2)
def _fernet(key: str) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"luna.common.secrets").derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
