"""Licences in tests: an issuer, its licences, and their installation."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.common.config import override_config
from apps.common.times import utc_now
from apps.licenses.config import Licensing
from apps.licenses.document import Feature, Grant, License, license_write
from apps.licenses.models import Installation
from apps.licenses.selectors import installation, standing_forget
from apps.licenses.services import faces_forget

KEY = Ed25519PrivateKey.generate()
EVERYTHING = {feature: Grant(available=True) for feature in Feature}
NO = Grant(available=False)


def public(key: Ed25519PrivateKey = KEY) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def counted(limit: int) -> Grant:
    return Grant(available=limit > 0, limit=limit)


def make_license(features: dict[Feature, Grant] | None = None, **values: Any) -> License:
    """Return a licence of all features without limits; `features` replaces some."""
    now = utc_now()
    content: dict[str, Any] = {
        "license_id": uuid4(), "licensee": "Harbour Ltd", "issued_at": now - timedelta(days=1),
        "expires_at": now + timedelta(days=365), "installation_id": None, **values,
    }  # fmt: skip
    return License(features=EVERYTHING | (features or {}), **content)


def store(text: str, *, latest_time: datetime | None = None) -> UUID:
    """Store the text of a file as the installed one, without checks. Return the id of the installation."""
    row = installation()
    Installation.objects.update(document=text, latest_time=latest_time or utc_now())
    standing_forget()
    faces_forget()
    return row.installation_id


@contextmanager
def licensed(license: License | None = None, *, text: str | None = None, **row: Any) -> Iterator[License]:
    """Require licences within the block, and store one; `text` replaces the text of its file."""
    license = license or make_license()
    with override_config(Licensing, public_keys=(public(),)):
        store(license_write(license, KEY) if text is None else text, **row)
        try:
            yield license
        finally:
            standing_forget()
            faces_forget()
