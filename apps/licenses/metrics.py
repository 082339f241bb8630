"""Numbers of the licence, for metrics. An open platform has none."""

from collections.abc import Mapping

from apps.licenses.document import Feature
from apps.licenses.selectors import license_state
from apps.monitoring.metrics.sources import Source, Values

VALID, PERIOD, FACES, LIVENESS = (
    "luna_license_valid",
    "luna_license_period_rest_seconds",
    "luna_license_faces_limit_rate",
    "luna_license_liveness_balance",
)


def read() -> Mapping[str, Values]:
    """Return the numbers; those without a limit are left out."""
    state = license_state()
    faces, liveness = state.features[Feature.FACES].rate, state.features[Feature.LIVENESS].left
    valid = None if state.is_open else state.problem is None and not state.is_expired
    found: dict[str, float | None] = {VALID: valid, PERIOD: state.period_rest_s, FACES: faces, LIVENESS: liveness}
    return {name: [] if value is None else [({}, float(value))] for name, value in found.items()}


SOURCE = Source(
    "license",
    {
        VALID: "1 if a license is in force",
        PERIOD: "Seconds until the license expires",
        FACES: "Faces with attributes in per cent of the licensed number",
        LIVENESS: "Liveness transactions that are left",
    },
    read,
)
