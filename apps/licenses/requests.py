"""What requests and `GET /6/features` need of the licence."""

from collections.abc import Mapping
from types import MappingProxyType

from apps.common.errors import LunaError
from apps.licenses.document import Feature
from apps.licenses.selectors import is_granted, license_require

ESTIMATIONS: Mapping[str, Feature] = MappingProxyType(
    {
        "people_counter": Feature.PEOPLE_COUNT,
        "face_quality": Feature.ISO,
        "body_attributes": Feature.BODY_ATTRIBUTES,
        "liveness": Feature.LIVENESS,
        "deepfake": Feature.DEEPFAKE,
    }
)
"""Features by the names of estimations in `GET /6/features`, which estimators name in `feature`."""


def license_gate(*, licensed: bool, method: str) -> None:
    """Require a licence that is in force for a request.

    Deletions are always accepted, because data protection does not end with a licence. Raises LunaError
    LICENSE_PROBLEM.
    """
    if licensed and method != "DELETE":
        license_require()


def license_is_valid() -> bool:
    """Return whether the platform may be used."""
    try:
        license_require()
    except LunaError:
        return False
    return True


def estimation_is_licensed(name: str) -> bool:
    """Return whether the licence includes an estimation of `GET /6/features`."""
    return is_granted(ESTIMATIONS[name])
