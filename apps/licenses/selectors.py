"""The licence of this installation, as all rooms read it.

Gates run for each request, so each process remembers the verified licence for `REUSE_S`. Without public keys
(`Licensing`) the platform is open, and nothing is read.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from django.db.models import Q

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.licenses.config import Licensing
from apps.licenses.document import COUNTED, Feature, Grant, License, LicenseError, license_read
from apps.licenses.models import ONLY_KEY, Installation, Usage

REUSE_S = 5.0
NOTICE = timedelta(days=14)  # before the expiry
CLOCK_TOLERANCE = timedelta(hours=1)
SEEN_EVERY = timedelta(minutes=1)
FACES_NOTICE, FACES_MOST = 0.85, 1.10  # shares of the limit of faces
LIVENESS_NOTICE = 2000
EXPIRED = "License has expired. Please contact the issuer for a license extension."
FACES_EXCEEDED = "License limit exceeded. Please contact the issuer for a license upgrade or delete redundant faces"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureState:
    """A feature in force. `limit`, `used` and `left` are None without a limit; `rate` is used / limit in per cent."""

    available: bool
    limit: int | None = None
    used: int | None = None
    left: int | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseState:
    """The licence in force.

    `is_open`: no issuer is configured, so everything is allowed without limits. `problem`: why no licence is in force,
    None otherwise. `period_rest_s`: seconds to the expiry, 0 for an expired licence, None if it never expires.
    `notices`: texts for operators.
    """

    is_open: bool
    problem: str | None
    installation_id: UUID
    license: License | None
    is_expired: bool
    period_rest_s: int | None
    features: Mapping[Feature, FeatureState]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """The verified licence, or the problem."""

    license: License | None
    problem: str | None = None

    def is_expired(self) -> bool:
        return self.license is not None and self.license.is_expired(utc_now())


@dataclass(slots=True)
class _Remembered:
    """The standing of this process."""

    standing: Standing | None = None
    read_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


_remembered = _Remembered()
_faces_count: list[Callable[[], int]] = []


def register_faces(count: Callable[[], int]) -> None:
    """Register the function that counts the faces with descriptors or basic attributes of all accounts."""
    _faces_count[:] = [count]


def is_open() -> bool:
    """Return whether no issuer is configured, so that everything is allowed."""
    return not config(Licensing).public_keys


def standing() -> Standing:
    """Return the licence, or why there is none. Do not call it while the platform is open."""
    found = _remembered.standing
    if found is None or time.monotonic() - _remembered.read_at >= REUSE_S:
        with _remembered.lock:
            found = _remembered.standing = _read()
            _remembered.read_at = time.monotonic()
    return found


def standing_forget() -> None:
    """Read the licence at the next use."""
    _remembered.standing = None


def license_require() -> None:
    """Require a licence that is in force. Raises LunaError LICENSE_PROBLEM."""
    if is_open():
        return
    found = standing()
    if found.license is None:
        raise LunaError(errors.LICENSE_PROBLEM, found.problem)
    if found.is_expired():
        raise LunaError(errors.LICENSE_PROBLEM, EXPIRED)


def grant_require(feature: Feature) -> Grant:
    """Return the grant of a feature.

    Raises LunaError LICENSE_FEATURE_CHECK_FAILED without a valid licence, LICENSE_EXPIRED,
    LICENSE_FEATURE_WITHOUT_VALUE if the licence does not name the feature, LICENSE_FEATURE_READ_FAILED if it excludes
    it or has a value that this version cannot read.
    """
    if is_open():
        return Grant(available=True)
    found = standing()
    if found.license is None:
        raise LunaError(errors.LICENSE_FEATURE_CHECK_FAILED, f"{feature}: {found.problem}")
    if found.is_expired():
        raise LunaError(errors.LICENSE_EXPIRED, feature)
    grant = found.license.features.get(feature)
    if grant is None:
        raise LunaError(errors.LICENSE_FEATURE_WITHOUT_VALUE, feature)
    if not grant.available:
        raise LunaError(errors.LICENSE_FEATURE_READ_FAILED, feature)
    return grant


def is_granted(feature: Feature) -> bool:
    """Return whether a feature is available now."""
    try:
        grant_require(feature)
    except LunaError:
        return False
    return True


def license_state() -> LicenseState:
    """Return the licence in force with the consumption of its limits, for operators, metrics and `GET /1/license`."""
    row = installation()
    if is_open():
        return LicenseState(
            is_open=True, problem=None, installation_id=row.installation_id, license=None, is_expired=False,
            period_rest_s=None, features={each: FeatureState(available=True) for each in Feature}, notices=(),
        )  # fmt: skip
    found = standing()
    expired = found.is_expired()
    features = {each: _feature_state(each, found.license, expired) for each in Feature}
    rest = None
    if found.license is not None and found.license.expires_at is not None:
        rest = max(0, round((found.license.expires_at - utc_now()).total_seconds()))
    return LicenseState(
        is_open=False, problem=found.problem, installation_id=row.installation_id, license=found.license,
        is_expired=expired, period_rest_s=rest, features=features, notices=_notices(found, expired, rest, features),
    )  # fmt: skip


def installation() -> Installation:
    """Return the row of this installation; the first call creates it."""
    row = Installation.objects.filter(pk=ONLY_KEY).first()
    if row is None:
        row, _ = Installation.objects.get_or_create(pk=ONLY_KEY, defaults={"latest_time": utc_now()})
    return row


def liveness_used(license: License) -> int:
    """Return the consumed liveness transactions of a licence."""
    return Usage.objects.filter(pk=license.license_id).values_list("liveness_used", flat=True).first() or 0


def faces_counted() -> int:
    """Count the faces with descriptors or basic attributes of all accounts."""
    return sum(count() for count in _faces_count)


def _feature_state(feature: Feature, license: License | None, expired: bool) -> FeatureState:
    grant = license.features.get(feature) if license is not None else None
    if license is None or grant is None:
        return FeatureState(available=False)
    available = grant.available and not expired
    if feature not in COUNTED or grant.limit is None or feature is Feature.STREAMS:
        return FeatureState(available=available, limit=grant.limit)
    used = faces_counted() if feature is Feature.FACES else liveness_used(license)
    rate = round(100 * used / grant.limit, 2) if grant.limit else None
    return FeatureState(
        available=available, limit=grant.limit, used=used, left=max(0, grant.limit - used), rate=rate
    )  # fmt: skip


def _notices(
    found: Standing, expired: bool, rest_s: int | None, features: Mapping[Feature, FeatureState]
) -> tuple[str, ...]:
    texts = []
    if found.problem is not None:
        texts.append(f"No license is in force: {found.problem}.")
    if expired:
        texts.append(EXPIRED)
    elif rest_s is not None and rest_s <= NOTICE.total_seconds():
        texts.append(f"License expires in {rest_s / 86_400:.1f} days. Please contact the issuer for an extension.")
    faces, liveness = features[Feature.FACES], features[Feature.LIVENESS]
    if faces.limit and faces.used is not None and (text := faces_notice(faces.used, faces.limit)):
        texts.append(text)
    if liveness.limit and liveness.left is not None and liveness.left <= LIVENESS_NOTICE:
        texts.append(f"License: {liveness.left} liveness transactions are left of {liveness.limit}.")
    return tuple(texts)


def faces_notice(used: int, limit: int) -> str:
    """Return the text about the limit of faces, empty while more than 15 % of it are left."""
    if used > limit:
        return f"{FACES_EXCEEDED}: {used} of {limit} faces."
    if used >= limit * FACES_NOTICE:
        return f"License limit is almost reached: {used} of {limit} faces, {100 * (1 - used / limit):.0f}% are left."
    return ""


def _read() -> Standing:
    row = installation()
    now = utc_now()
    if not row.document:
        return Standing(None, "no license is installed")
    try:
        license = _verified(row.document, tuple(config(Licensing).public_keys))
    except LicenseError as error:
        return Standing(None, str(error))
    if license.installation_id not in (None, row.installation_id):
        return Standing(None, f"the license is for installation {license.installation_id}")
    latest = max(row.latest_time, license.issued_at)
    if now < latest - CLOCK_TOLERANCE:
        return Standing(None, f"the clock is set back: {_shown(now)} is before {_shown(latest)}")
    if now > row.latest_time + SEEN_EVERY:
        Installation.objects.filter(Q(latest_time__lt=now), pk=ONLY_KEY).update(latest_time=now)
    return Standing(license)


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


_verified = lru_cache(maxsize=4)(license_read)
