"""Masks for texts that leave the installation: secrets, ids and addresses of people, and encoded pictures."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretBytes, SecretStr

from apps.common.config import GROUPS, Directories, config

MASK = "**********"
SHORTEST = 4  # characters of a secret; a shorter one would mask ordinary words
# A password in a URL within a text that is no secret as a whole.
URL_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]+@")
_CREDENTIALS = re.compile(r"(?i)\b(basic|bearer|token|digest)(\s+)[A-Za-z0-9._~+/=-]{12,}")
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?")
_COOKIE = re.compile(r"""(?i)(\bcookie["']?\s*[:=]\s*["']?)[^\s"';}]+(;\s*[^\s"';}]+)*""")
# `password=…`, and the member of a JSON object, whose quotes stay.
_NAMED = re.compile(
    r"""(?i)(\w*(?:password|passwd|pwd|passphrase|secret|salt|token|(?:api|access|private|secret)[_-]?key)(?:_old)?"""
    r"""["']?\s*(?::|=(?!=))\s*)"""
    r"""(?:(")(?:[^"\\]|\\.)*"|(')(?:[^'\\]|\\.)*'|(?!(?:true|false|null|[\d.]+)\b)[^\s,;{}\[\]"']+)"""
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")  # Base64 of pictures and descriptors
# Request ids, which clients report, keep their UUID.
_UUID = re.compile(r"(?i)(?<![0-9]{10},)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")


class Masker:
    """Masks texts of one bundle. Equal ids get equal masks within it, and other masks in another bundle."""

    def __init__(self) -> None:
        self._salt = os.urandom(16)
        secrets = sorted(set(secrets_known()), key=len, reverse=True)  # a secret may contain another one
        self._secrets = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def secrets(self, text: str) -> str:
        """Return a text without secrets."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        text = URL_PASSWORD.sub(rf"\1:{MASK}@", text)
        text = _JWT.sub(MASK, _PRIVATE_KEY.sub(MASK, text))
        text = _COOKIE.sub(rf"\1{MASK}", text)
        return _NAMED.sub(_without_value, _CREDENTIALS.sub(rf"\1\2{MASK}", text))

    def all(self, text: str) -> str:
        """Return a text without secrets, e-mail addresses, encoded pictures and ids other than those of requests."""
        text = _ENCODED.sub(lambda found: f"<{len(found[0])} characters>", self.secrets(text))
        return _UUID.sub(self._pseudonym, _EMAIL.sub("<e-mail>", text))

    def _pseudonym(self, found: re.Match[str]) -> str:
        return f"<id {hashlib.blake2b(found[0].lower().encode(), key=self._salt, digest_size=4).hexdigest()}>"


def _without_value(found: re.Match[str]) -> str:
    quote = found[2] or found[3] or ""
    return f"{found[1]}{quote}{MASK}{quote}"


def secrets_known() -> Iterator[str]:
    """Yield the values of all secret settings, the passwords in their URLs, and the contents of secret files."""
    for model, group in GROUPS.items():
        for variable in group.variables:
            value: Any = config(model)
            for key in variable.path:
                value = getattr(value, key)
            if isinstance(value, SecretStr | SecretBytes):
                found = value.get_secret_value()
                yield from _parts(found if isinstance(found, str) else found.decode(errors="replace"))
    folder = config(Directories).var / "secrets"
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        yield from _parts(_content(path))


def _content(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""  # a directory, or unreadable: nothing of it can be in the bundle


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret, and the password of a URL as it is written and as it is read, in each of `_writings`."""
    found = [secret]
    with suppress(ValueError):
        found += [password := urlsplit(secret).password or "", unquote(password)]
    for each in found:
        if len(each) >= SHORTEST:
            yield from _writings(each)


def _writings(secret: str) -> Iterator[str]:
    """Yield a secret as logs may contain it: plain, in JSON, in Python's notation and in a URL."""
    yield secret
    for quoted in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)):
        yield quoted[1:-1]
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))


def masked(value: Any) -> Any:
    """Return JSON with a mask instead of each password in a URL."""
    if isinstance(value, dict):
        return {name: masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return URL_PASSWORD.sub(rf"\1:{MASK}@", value) if isinstance(value, str) else value
