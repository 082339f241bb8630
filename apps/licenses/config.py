"""Settings of licences."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator

from apps.common.config import Scope, Settings, group, setting

KEY_BYTES = 32


def _public_key(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a public key is Base64 of {KEY_BYTES} bytes")
    return text


PublicKey = Annotated[str, AfterValidator(_public_key)]


@group("LUNA_LICENSE", scope=Scope.START, stored=False)
class Licensing(Settings):
    """Licences of resellers. Without a public key the platform is open: all features, without limits."""

    public_keys: tuple[PublicKey, ...] = setting(
        (),
        "Public keys of issuers (`.venv/bin/python manage.py license keygen`). If set, the platform requires a licence "
        "that one of them signed, and applies its features and limits. Default: none; everything is allowed.",
        env="LUNA_LICENSE_PUBLIC_KEYS",
        accepts="a list of Ed25519 public keys in Base64, separated by commas",
    )
