"""Keyed digests of logins, passwords and addresses: readers of the cache learn nothing from its keys."""

import hashlib
import hmac

from apps.common.config import Services, config


def keyed_digest(*parts: str) -> str:
    """HMAC-SHA256 of the parts under the platform's secret, hexadecimal."""
    message = "\0".join(f"{len(part)}:{part}" for part in parts).encode()
    return hmac.new(
        config(Services).secret_key.get_secret_value().encode(), b"luna.accounts.credentials" + message, hashlib.sha256
    ).hexdigest()
