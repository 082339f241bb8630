"""`manage.py license`: keys and licences of resellers, and the licence of this installation."""

import base64
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.config import config
from apps.common.times import utc_now
from apps.licenses.config import Licensing
from apps.licenses.document import (
    COUNTED,
    UNLIMITED,
    Feature,
    Grant,
    License,
    LicenseError,
    license_read,
    license_write,
)
from apps.licenses.selectors import installation, is_open, license_state
from apps.licenses.services import license_install, license_remove

PRIVATE_MODE = 0o600


class Command(BaseCommand):
    help = "Make keys and licences (keygen, issue), show and install the licence of this installation."
    requires_system_checks: tuple[str, ...] = ()  # keys and licences are made without the services of an installation

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        keygen = actions.add_parser("keygen", help="make the key pair of an issuer, and print the public key")
        keygen.add_argument("--private", type=Path, required=True, help="new file of the private key; keep it secret")
        issue = actions.add_parser("issue", help="sign a licence")
        issue.add_argument("--key", type=Path, required=True, help="file of the private key")
        issue.add_argument("--licensee", required=True, help="name of the customer")
        issue.add_argument("--expires", required=True, type=_expiry, help="last day in UTC (2027-12-31), or `never`")
        issue.add_argument("--installation", type=UUID, help="id of the only installation (`license show`)")
        issue.add_argument("--out", type=Path, required=True, help="new file of the licence")
        for feature in Feature:
            values = f"1, 0 or {UNLIMITED}" if feature not in COUNTED else f"a limit, 0 or {UNLIMITED}"
            issue.add_argument(
                f"--{feature.value.replace('_', '-')}", dest=feature.name, default="0", type=_grant_of(feature),
                help=f"{values}; default 0",
            )  # fmt: skip
        show = actions.add_parser("show", help="show the licence of this installation, or of a file")
        show.add_argument("file", type=Path, nargs="?")
        install = actions.add_parser("install", help="verify and install a licence")
        install.add_argument("file", type=Path)
        actions.add_parser("remove", help="remove the installed licence")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        actions: Mapping[str, Callable[..., None]] = {
            "keygen": self.keygen,
            "issue": self.issue,
            "show": self.show,
            "install": self.install,
            "remove": self.remove,
        }
        try:
            actions[action](options)
        except (LicenseError, OSError) as error:
            raise CommandError(str(error)) from None

    def keygen(self, options: Mapping[str, Any]) -> None:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with open(os.open(options["private"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE), "wb") as file:
            file.write(pem)
        self.stdout.write(f"LUNA_LICENSE_PUBLIC_KEYS={_public(key)}")

    def issue(self, options: Mapping[str, Any]) -> None:
        key = _private(options["key"])
        license = License(
            license_id=uuid4(),
            licensee=options["licensee"],
            issued_at=utc_now(),
            expires_at=options["expires"],
            installation_id=options["installation"],
            features={feature: options[feature.name] for feature in Feature},
        )
        if license.is_expired(license.issued_at):
            raise CommandError(f"--expires is in the past: {license.expires_at:%Y-%m-%d}")
        text = license_write(license, key)
        with options["out"].open("x", encoding="utf-8") as file:
            file.write(text)
        self.describe(license_read(text, [_public(key)]))

    def show(self, options: Mapping[str, Any]) -> None:
        if options["file"] is not None:
            self.describe(license_read(_text(options["file"]), config(Licensing).public_keys))
            return
        state = license_state()
        self.stdout.write(f"installation: {state.installation_id}")
        if state.is_open:
            self.stdout.write("The platform is open: it needs no licence, and all features are unlimited.")
        if state.license is not None:
            self.describe(state.license)
        for name, each in state.features.items():
            if each.used is not None:
                self.stdout.write(f"{name}: {each.used} of {each.limit} used")
        for notice in state.notices:
            self.stdout.write(self.style.WARNING(notice))

    def install(self, options: Mapping[str, Any]) -> None:
        self.describe(license_install(text=_text(options["file"])))
        self.stdout.write(self.style.SUCCESS("The licence is installed. Running processes use it within seconds."))

    def remove(self, options: Mapping[str, Any]) -> None:
        license_remove()
        open_now = "everything is allowed" if is_open() else "requests are rejected until a licence is installed"
        self.stdout.write(f"No licence is installed: {open_now}. Installation: {installation().installation_id}")

    def describe(self, license: License) -> None:
        expiry = "never" if license.expires_at is None else f"{license.expires_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"licence: {license.license_id}\nlicensee: {license.licensee}\nexpires: {expiry}")
        self.stdout.write(f"for installation: {license.installation_id or 'any'}")
        for feature in Feature:
            grant = license.features.get(feature)
            self.stdout.write(f"{feature}: {'not included' if grant is None else _shown(feature, grant)}")


def _shown(feature: Feature, grant: Grant) -> str:
    if not grant.readable:
        return "a value that this release cannot read"
    if not grant.available:
        return "no"
    if feature not in COUNTED:
        return "yes"
    return UNLIMITED if grant.limit is None else str(grant.limit)


def _grant_of(feature: Feature) -> Callable[[str], Grant]:
    def grant(text: str) -> Grant:
        if text == UNLIMITED:
            return Grant(available=True)
        value = int(text)
        if not 0 <= value <= COUNTED.get(feature, 1):
            raise ValueError(text)
        return Grant(available=value > 0, limit=value if feature in COUNTED else None)

    grant.__name__ = "value"  # argparse names it in errors
    return grant


def _expiry(text: str) -> datetime | None:
    """Return the end of a day."""
    if text == "never":
        return None
    return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time.max, UTC)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise LicenseError(f"{path} is not a licence: it is no text") from None


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise LicenseError(f"{path} is not the private key of an issuer") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise LicenseError(f"{path} is not an Ed25519 key")
    return key


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()
