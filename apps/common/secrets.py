"""Encryption of secrets that the platform must be able to read back, such as passwords of callbacks.

Fernet (AES-128-CBC with HMAC-SHA-256) with a key derived from `LUNA_SECRET_KEY`.
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
"""The text that responses show instead of a secret."""


class UnreadableSecretError(Exception):
    """The secret was encrypted with another key, or is damaged."""


@dataclass(frozen=True, slots=True)
class Secret:
    """An encrypted text. Equal texts result in different tokens."""

    token: str = field(repr=False)

    @classmethod
    def seal(cls, text: str) -> "Secret":
        return cls(_fernet(config(Services).secret_key).encrypt(text.encode()).decode())

    def reveal(self) -> str:
        """Decrypt the text. Raises UnreadableSecretError."""
        try:
            return _fernet(config(Services).secret_key).decrypt(self.token.encode()).decode()
        except InvalidToken:
            raise UnreadableSecretError("a secret cannot be decrypted: LUNA_SECRET_KEY may have changed") from None


@lru_cache(maxsize=2)
def _fernet(key: SecretStr) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"luna.common.secrets").derive(
        key.get_secret_value().encode()
    )
    return Fernet(base64.urlsafe_b64encode(derived))
