"""The licence as JSON, for its resource and for operators."""

from typing import Annotated, TypedDict

from apps.common.json_types import Example, IdJson, TimeJson
from apps.common.times import format_time
from apps.licenses.document import Feature
from apps.licenses.selectors import FeatureState, LicenseState

EXPIRATION = "expiration_time"
TARGETS = (EXPIRATION, *(each.value for each in Feature))


class ExpirationJson(TypedDict):
    value: Annotated[TimeJson | None, "Time of the expiry, null for never."]
    is_expired: bool
    license_period_rest: Annotated[int | None, "Seconds to the expiry, null for never."]


class FeatureJson(TypedDict):
    available: bool
    limit: Annotated[int | None, "Null for no limit, and for a feature without limits."]
    used: Annotated[int | None, "Consumed part of the limit, null without a limit."]
    balance: Annotated[int | None, "Rest of the limit, null without a limit."]
    rate: Annotated[float | None, "Consumed part in per cent; `license_faces_limit_rate` of `faces`."]


FEATURES = {"faces": {"available": True, "limit": 100_000, "used": 41_200, "balance": 58_800, "rate": 41.2}}


class LicenseJson(TypedDict):
    license_id: Annotated[IdJson | None, "Null without a licence."]
    licensee: str | None
    unlimited: Annotated[bool, "True if the platform is open: it needs no licence and has no limits."]
    installation_id: Annotated[IdJson, "Of this installation; a licence may be issued for it."]
    expiration_time: ExpirationJson | None
    features: Annotated[dict[str, FeatureJson], "By name; those of `targets`.", Example(FEATURES)]
    notices: list[str]


def license_shape(state: LicenseState, targets: tuple[str, ...] = TARGETS) -> LicenseJson:
    """Return the JSON of a licence with the expiry and features that `targets` name."""
    found = state.license
    return {
        "license_id": None if found is None else str(found.license_id),
        "licensee": None if found is None else found.licensee,
        "unlimited": state.is_open,
        "installation_id": str(state.installation_id),
        "expiration_time": _expiration(state) if EXPIRATION in targets else None,
        "features": {name.value: _feature(each) for name, each in state.features.items() if name.value in targets},
        "notices": list(state.notices),
    }


def _expiration(state: LicenseState) -> ExpirationJson:
    expiry = state.license.expires_at if state.license is not None else None
    return {
        "value": None if expiry is None else format_time(expiry),
        "is_expired": state.is_expired,
        "license_period_rest": state.period_rest_s,
    }


def _feature(state: FeatureState) -> FeatureJson:
    return {
        "available": state.available,
        "limit": state.limit,
        "used": state.used,
        "balance": state.left,
        "rate": state.rate,
    }
