"""JSON Web Tokens of bearer authentication. They hold the ids of a token and of its account.

A JWT refers to a stored row and contains no rights, so changing or deleting the row takes effect at once. The signature
is HS256 with a key derived from the platform's secret, or ES256 if `LUNA_JWT_ECDSA_KEY` is set. Only the current
algorithm is accepted, so changing it invalidates all earlier tokens.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from apps.accounts.config import TokenSignature
from apps.common import errors
from apps.common.config import Services, config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid

PEM_START = "-----BEGIN"
PEM_START_BASE64 = base64.b64encode(PEM_START.encode()[:9]).decode()


@dataclass(frozen=True, slots=True)
class Signature:
    """The current algorithm and its keys."""

    algorithm: str
    private: Any
    public: Any


def signature() -> Signature:
    """Return the current signature. Raises ImproperlyConfigured unless the key is readable and on prime256v1."""
    return _signature(
        config(Services).secret_key.get_secret_value(),
        config(TokenSignature).ecdsa_key.get_secret_value(),
        config(TokenSignature).ecdsa_key_password.get_secret_value(),
    )


def signature_check(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Report an invalid signing key as an error, which prevents the start."""
    try:
        signature()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="accounts.E001")]
    return []


@lru_cache(maxsize=4)
def _signature(secret: str, ecdsa_key: str, password: str) -> Signature:
    if not ecdsa_key:
        key = hmac.new(secret.encode(), b"luna.accounts.jwt", hashlib.sha256).digest()
        return Signature("HS256", key, key)
    try:
        private = load_pem_private_key(_pem(ecdsa_key), password.encode() or None)
    except (OSError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"LUNA_JWT_ECDSA_KEY cannot be read: {error}") from error
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise ImproperlyConfigured("LUNA_JWT_ECDSA_KEY must be a private key on the curve prime256v1.")
    return Signature("ES256", private, private.public_key())


def _pem(key: str) -> bytes:
    """Return the PEM of a setting that holds PEM, its Base64, or the path of a PEM file."""
    if key.startswith(PEM_START):
        return key.encode()
    if key.startswith(PEM_START_BASE64):
        return base64.b64decode(key, validate=True)
    return Path(key).read_bytes()


def token_encode(*, account_id: UUID, token_id: UUID) -> str:
    """Sign a JWT with the claims `account_id` and `token_id`."""
    current = signature()
    claims = {"account_id": str(account_id), "token_id": str(token_id)}
    return jwt.encode(claims, current.private, algorithm=current.algorithm)


def token_decode(text: str) -> tuple[UUID, UUID]:
    """Verify a JWT and return its account id and token id. Raises LunaError TOKEN_CORRUPTED."""
    current = signature()
    try:
        claims = jwt.decode(text, current.public, algorithms=[current.algorithm])
    except jwt.InvalidTokenError as error:
        raise LunaError(errors.TOKEN_CORRUPTED) from error
    account_id, token_id = (parse_uuid(claims.get(name)) for name in ("account_id", "token_id"))
    if account_id is None or token_id is None:
        raise LunaError(errors.TOKEN_CORRUPTED)
    return account_id, token_id
