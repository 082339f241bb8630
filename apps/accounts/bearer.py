"""JSON Web Tokens: how a token's and its account's id travel in an `Authorization: Bearer` header.

A token names a stored row and says nothing else, so replacing or deleting the row takes effect at once. It is signed
by HS256 with a key derived from the platform's secret, or by ES256 where `LUNA_JWT_ECDSA_KEY` names a key; only the
algorithm in force is accepted, so a change of it ends all older tokens.
"""

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.common.api.fields import parse_uuid
from apps.common.errors import LunaError


@dataclass(frozen=True, slots=True)
class Signature:
    """The algorithm in force and its keys."""

    algorithm: str
    private: Any
    public: Any


def signature() -> Signature:
    """What tokens are signed with. Raises ImproperlyConfigured for a key that is no prime256v1 key."""
    return _signature(settings.SECRET_KEY, settings.LUNA_JWT_ECDSA_KEY, settings.LUNA_JWT_ECDSA_KEY_PASSWORD)


@lru_cache(maxsize=4)
def _signature(secret: str, ecdsa_key: str, password: str) -> Signature:
    if not ecdsa_key:
        key = hmac.new(secret.encode(), b"luna.accounts.jwt", hashlib.sha256).digest()
        return Signature("HS256", key, key)
    pem = ecdsa_key.encode() if ecdsa_key.startswith("-----BEGIN") else Path(ecdsa_key).read_bytes()
    private = load_pem_private_key(pem, password.encode() or None)
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise ImproperlyConfigured("LUNA_JWT_ECDSA_KEY is not a private key on the curve prime256v1")
    return Signature("ES256", private, private.public_key())


def token_encode(*, account_id: UUID, token_id: UUID) -> str:
    """The JWT of a token, with the claims `account_id` and `token_id`."""
    current = signature()
    claims = {"account_id": str(account_id), "token_id": str(token_id)}
    return jwt.encode(claims, current.private, algorithm=current.algorithm)


def token_decode(text: str) -> tuple[UUID, UUID]:
    """Account id and token id of a JWT that we signed. Raises LunaError 11062 for anything else."""
    current = signature()
    try:
        claims = jwt.decode(text, current.public, algorithms=[current.algorithm])
    except jwt.InvalidTokenError as error:
        raise LunaError(11062) from error
    account_id, token_id = (parse_uuid(claims.get(name)) for name in ("account_id", "token_id"))
    if account_id is None or token_id is None:
        raise LunaError(11062)
    return account_id, token_id
