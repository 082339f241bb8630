"""Changes of the licence, and the consumption of its limits."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import F

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.licenses.config import Licensing
from apps.licenses.document import Feature, License, LicenseError, license_read
from apps.licenses.models import ONLY_KEY, Charge, Installation, Usage
from apps.licenses.selectors import (
    CLOCK_TOLERANCE,
    FACES_MOST,
    FACES_NOTICE,
    LIVENESS_NOTICE,
    faces_counted,
    faces_notice,
    grant_require,
    installation,
    is_open,
    liveness_used,
    standing,
    standing_forget,
)

logger = logging.getLogger(__name__)

CHARGES_KEPT = timedelta(days=90)  # a task that was interrupted is continued within this time
RECOUNT_S, RECOUNT_NEAR_S, RECOUNT_REFUSED_S = 60.0, 10.0, 1.0
LOG_EVERY_S = 600.0
# A count of faces that takes long is repeated rarely: it takes at most this share of the time.
COUNT_SHARE = 0.02


def license_install(*, text: str) -> License:
    """Verify a file and install its licence in place of the former.

    Raises LicenseError for a file that `license_read` rejects, a licence of another installation, an expired licence,
    one that was issued in the future, and without public keys.
    """
    keys = config(Licensing).public_keys
    if not keys:
        raise LicenseError("LUNA_LICENSE_PUBLIC_KEYS is not set: the platform is open and needs no licence")
    license, row, now = license_read(text, keys), installation(), utc_now()
    if license.installation_id not in (None, row.installation_id):
        raise LicenseError(
            f"the licence is for installation {license.installation_id}, this one is {row.installation_id}"
        )
    if license.is_expired(now):
        raise LicenseError(f"the licence expired on {license.expires_at:%Y-%m-%d}")
    if now < license.issued_at - CLOCK_TOLERANCE:
        raise LicenseError(f"the licence was issued on {license.issued_at:%Y-%m-%d %H:%M} UTC: check the clock")
    with transaction.atomic():
        # Only a licence that was never installed here restarts the check of the clock.
        new = Usage.objects.get_or_create(pk=license.license_id)[1]
        latest = now if new else max(row.latest_time, now)
        Installation.objects.filter(pk=ONLY_KEY).update(document=text, latest_time=latest)
    standing_forget()
    logger.info("License %s of %r is installed", license.license_id, license.licensee)
    return license


def license_remove() -> None:
    """Remove the installed licence. Its consumption is kept."""
    Installation.objects.filter(pk=ONLY_KEY).update(document="")
    standing_forget()
    logger.info("The license is removed")


# --- liveness -------------------------------------------------------------------------------------------------

_key: ContextVar[str] = ContextVar("key of liveness charges", default="")


@contextmanager
def charged_once(key: str) -> Iterator[None]:
    """Count the liveness of the block once for each key, however often the block runs. The key names the work."""
    token = _key.set(hashlib.sha256(key.encode()).hexdigest())
    try:
        yield
    finally:
        _key.reset(token)


@dataclass(slots=True)
class Reserved:
    """Reserved transactions. `used`: those that the work has used; the others are given back."""

    count: int
    used: int = 0


@contextmanager
def liveness_reserved(count: int) -> Iterator[Reserved]:
    """Reserve liveness transactions for the block, and give back those that it did not use.

    The balance is decremented before the work by one statement, so concurrent requests never exceed it. A process that
    dies has consumed its reservation. Raises LunaError LICENSE_CONSUMPTION_FAILED if less than `count` are left, and
    those of `grant_require`.
    """
    reserved = Reserved(count)
    grant = grant_require(Feature.LIVENESS)
    license = None if is_open() else standing().license
    if license is None or grant.limit is None or count == 0:
        yield reserved
        return
    if not _consume(license, count, grant.limit, _key.get()):
        yield reserved  # it was counted before
        return
    try:
        yield reserved
    except BaseException:
        reserved.used = 0
        raise
    finally:
        if (unused := count - reserved.used) > 0:
            Usage.objects.filter(pk=license.license_id).update(liveness_used=F("liveness_used") - unused)
            if reserved.used == 0 and _key.get():
                Charge.objects.filter(pk=_key.get()).delete()


def _consume(license: License, count: int, limit: int, key: str) -> bool:
    """Decrement the balance. Return False if the key was charged before.

    Raises LunaError LICENSE_CONSUMPTION_FAILED.
    """
    with transaction.atomic():
        if key and not Charge.objects.get_or_create(pk=key, defaults={"create_time": utc_now()})[1]:
            return False
        row = Usage.objects.filter(pk=license.license_id, liveness_used__lte=limit - count)
        if not row.update(liveness_used=F("liveness_used") + count):
            left = max(0, limit - liveness_used(license))
            raise LunaError(
                errors.LICENSE_CONSUMPTION_FAILED, f"{Feature.LIVENESS}: {count} transactions, {left} are left"
            )
    left = limit - liveness_used(license)
    if left <= LIVENESS_NOTICE:
        _log("liveness" if left else "liveness consumed", f"License: {left} liveness transactions are left of {limit}.")
    return True


def charges_prune() -> None:
    """Delete keys that are older than `CHARGES_KEPT`."""
    Charge.objects.filter(create_time__lt=utc_now() - CHARGES_KEPT).delete()


# --- faces ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Faces:
    """The number of faces that this process knows: the last count of the database, and what was added since."""

    count: int = 0
    added: int = 0
    counted_at: float | None = None
    took_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def total(self) -> int:
        return self.count + self.added

    def refresh(self, older_than_s: float) -> None:
        """Count again if the last count is older, but spend at most `COUNT_SHARE` of the time with counting."""
        now = time.monotonic()
        if self.counted_at is not None and now - self.counted_at < max(older_than_s, self.took_s / COUNT_SHARE):
            return
        self.count, self.added = faces_counted(), 0
        self.counted_at = time.monotonic()
        self.took_s = self.counted_at - now


_faces = _Faces()


def faces_forget() -> None:
    """Count the faces at the next use."""
    _faces.counted_at = None


def faces_allow(described: int) -> None:
    """Require the feature for new faces, and room for `described` faces with descriptors or basic attributes.

    Faces above the limit are accepted up to 110 % of it. A process knows the faces of other processes with a delay of
    up to 10 s near the limit. Raises LunaError LICENSE_CONSUMPTION_FAILED above 110 %, and those of `grant_require`.
    """
    limit = grant_require(Feature.FACES).limit
    if limit is None or described == 0:
        return
    most = int(limit * FACES_MOST)
    with _faces.lock:
        near = _faces.total >= limit * FACES_NOTICE
        _faces.refresh(RECOUNT_NEAR_S if near else RECOUNT_S)
        if _faces.total + described > most:
            _faces.refresh(RECOUNT_REFUSED_S)
        if _faces.total + described > most:
            raise LunaError(
                errors.LICENSE_CONSUMPTION_FAILED, f"{Feature.FACES}: {_faces.total} of {limit}, at most {most}"
            )
        _faces.added += described
        text = faces_notice(_faces.total, limit)
        exceeded = _faces.total > limit
    if text:
        _log("faces exceeded" if exceeded else "faces", text)


_logged_at: dict[str, float] = {}


def _log(topic: str, text: str) -> None:
    """Log a notice, at most every `LOG_EVERY_S` a topic and process."""
    now = time.monotonic()
    if now - _logged_at.get(topic, -LOG_EVERY_S) >= LOG_EVERY_S:
        _logged_at[topic] = now
        logger.warning("%s", text)
