"""The signed licence: features, limits, and the file. Pure functions.

A file is JSON with two members: `license`, the Base64 of the signed bytes, and `signature`, the Base64 of their Ed25519
signature (RFC 8032). The signed bytes are JSON themselves; they are verified before they are parsed.
"""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VERSION = 1
UNLIMITED = "unlimited"
MAX_FILE_CHARACTERS = 65_536
MAX_TEXT_CHARACTERS = 256
MAX_LIVENESS = 16_777_215
MAX_COUNT = 2**53


class Feature(StrEnum):
    """A feature by its name in licences, errors and `GET /1/license`."""

    FACES = "faces"  # faces with descriptors or basic attributes
    LIVENESS = "liveness"
    DEEPFAKE = "deepfake"
    ISO = "iso"
    BODY_ATTRIBUTES = "body_attributes"
    PEOPLE_COUNT = "people_count"
    LAMBDA = "lambda"
    INDEX = "index"
    STREAMS = "streams"


COUNTED: Mapping[Feature, int] = {
    Feature.FACES: MAX_COUNT,
    Feature.LIVENESS: MAX_LIVENESS,
    Feature.STREAMS: MAX_COUNT,
}
"""Features with a limit, and the largest limit. The value of the others is 0 or 1."""
NAMES = frozenset(each.value for each in Feature)


class LicenseError(Exception):
    """The licence cannot be used; the text is for operators and clients."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The value of a feature. `limit`: None for no limit. `readable`: whether this version knows the value."""

    available: bool
    limit: int | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """A licence. `expires_at`: None for never. `installation_id`: None for every installation."""

    license_id: UUID
    licensee: str
    issued_at: datetime
    expires_at: datetime | None
    installation_id: UUID | None
    features: Mapping[Feature, Grant]

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at


def license_write(license: License, key: Ed25519PrivateKey) -> str:
    """Return the text of a signed file. Raises LicenseError for values that no licence may have."""
    content = {
        "version": VERSION,
        "license_id": str(license.license_id),
        "licensee": license.licensee,
        "issued_at": license.issued_at.isoformat(),
        "expires_at": None if license.expires_at is None else license.expires_at.isoformat(),
        "installation_id": None if license.installation_id is None else str(license.installation_id),
        "features": {name.value: _value(name, grant) for name, grant in license.features.items()},
    }
    payload = json.dumps(content, indent=1).encode()
    _parsed(payload)
    file = {"license": base64.b64encode(payload).decode(), "signature": base64.b64encode(key.sign(payload)).decode()}
    return json.dumps(file, indent=1) + "\n"


def license_read(text: str, public_keys: Collection[str]) -> License:
    """Verify the text of a file by one of the keys (Base64), and return the licence.

    Raises LicenseError for a file that is no licence, has no valid signature, or is of an unknown version.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        raise LicenseError(f"the file has over {MAX_FILE_CHARACTERS} characters")
    try:
        file = json.loads(text)
        payload = base64.b64decode(file["license"], validate=True)
        signature = base64.b64decode(file["signature"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise LicenseError("the file is not a licence: JSON with `license` and `signature` is required") from None
    if not any(_is_signed(payload, signature, key) for key in public_keys):
        raise LicenseError("the signature is not valid: the file was changed, or its issuer is not trusted")
    return _parsed(payload)


def _is_signed(payload: bytes, signature: bytes, key: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True


def _parsed(payload: bytes) -> License:
    try:
        content = json.loads(payload)
        if content["version"] != VERSION:
            raise LicenseError(f"the licence has version {content['version']!r}, this release reads {VERSION}")
        return License(
            license_id=UUID(content["license_id"]),
            licensee=_text(content["licensee"]),
            issued_at=_time(content["issued_at"]),
            expires_at=None if content["expires_at"] is None else _time(content["expires_at"]),
            installation_id=None if content["installation_id"] is None else UUID(content["installation_id"]),
            features={Feature(name): _grant(Feature(name), value) for name, value in content["features"].items()
                      if name in NAMES},
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LicenseError(f"the licence is damaged: {error!r}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS or not value.isprintable():
        raise ValueError(f"`licensee` must be a text of at most {MAX_TEXT_CHARACTERS} printable characters")
    return value


def _time(value: str) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(f"time without zone: {value!r}")
    return time.astimezone(UTC)


def _value(feature: Feature, grant: Grant) -> int | str:
    if feature not in COUNTED:
        return int(grant.available)
    if not grant.available:
        return 0
    return UNLIMITED if grant.limit is None else grant.limit


def _grant(feature: Feature, value: Any) -> Grant:
    most = COUNTED.get(feature, 1)
    if feature in COUNTED and value == UNLIMITED:
        return Grant(available=True)
    if type(value) is not int or not 0 <= value <= most:
        return Grant(available=False, readable=False)
    return Grant(available=value > 0, limit=value if feature in COUNTED else None)
