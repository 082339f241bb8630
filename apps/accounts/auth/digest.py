"""Keyed digests of logins, passwords and addresses, so that cache keys reveal nothing."""

import hashlib
import hmac

from apps.common.config import Services, config


def keyed_digest(*parts: str) -> str:
    """Return the HMAC-SHA256 of the parts with the platform's secret, hexadecimal."""
    message = "\0".join(f"{len(part)}:{part}" for part in parts).encode()
    return hmac.new(
        config(Services).secret_key.get_secret_value().encode(), b"luna.accounts.credentials" + message, hashlib.sha256
    ).hexdigest()
