"""Signatures of callbacks, as the Standard Webhooks specification (1.0) defines them for symmetric keys.

The signed content is `<id>.<timestamp>.<body>`, the signature `v1,` and the Base64 of its HMAC-SHA-256.
"""

import base64
import binascii
import hashlib
import hmac
import time
from uuid import UUID

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
HEADERS = frozenset({ID, TIMESTAMP, SIGNATURE})
PREFIX = "whsec_"
MIN_KEY_BYTES = 24


def key_of(secret: str) -> bytes:
    """Return the key of a secret: the decoded Base64 after `whsec_`, or else the UTF-8 of the text.

    Raises ValueError for a key of less than 24 bytes, or invalid Base64 after `whsec_`.
    """
    try:
        encoded = secret.removeprefix(PREFIX)
        key = base64.b64decode(encoded, validate=True) if secret.startswith(PREFIX) else secret.encode()
    except binascii.Error:
        raise ValueError(f"The text after `{PREFIX}` must be Base64.") from None
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"The key must have at least {MIN_KEY_BYTES} bytes, got {len(key)}.")
    return key


def signed_headers(callback_id: UUID, body: bytes, secret: str | None) -> dict[str, str]:
    """Return the headers of one attempt: id, time in seconds, and with a secret the signature."""
    timestamp = str(int(time.time()))
    headers = {ID: str(callback_id), TIMESTAMP: timestamp}
    if secret is not None:
        content = b".".join((str(callback_id).encode(), timestamp.encode(), body))
        digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
        headers[SIGNATURE] = "v1," + base64.b64encode(digest).decode()
    return headers
