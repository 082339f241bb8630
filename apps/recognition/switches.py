"""Switches of detectors and estimators at start, by the platform's names, and the estimations of each switch.

A request for an estimator that is off is rejected with ESTIMATOR_NOT_INITIALIZED. The estimator still runs if an
estimator that is on needs it; only then its network is loaded.
"""

from collections.abc import Mapping
from types import MappingProxyType

from apps.recognition.vocabulary import ESTIMATIONS

FACE_DETECTOR, BODY_DETECTOR, HUMAN_DETECTOR = "face_detector", "body_detector", "human_detector"
FACE_WARP, BODY_WARP = "face_warp", "body_warp"


def _switches() -> dict[str, tuple[str, ...]]:
    # `human-detector` covers faces and bodies of one picture together.
    switches: dict[str, tuple[str, ...]] = {
        "human-detector": (HUMAN_DETECTOR,),
        "face-detector": (FACE_DETECTOR,),
        "body-detector": (BODY_DETECTOR,),
        "face-warp-estimator": (FACE_WARP,),
        "body-warp-estimator": (BODY_WARP,),
    }
    for row in ESTIMATIONS.values():
        if row.switch is not None:
            switches[row.switch] = (*switches.get(row.switch, ()), row.name)
    return switches


SWITCHES: Mapping[str, tuple[str, ...]] = MappingProxyType(_switches())


def variable(switch: str) -> str:
    """Return the environment variable of a switch."""
    return f"LUNA_ENABLE_{switch.replace('-', '_').upper()}"


def names_off(switches: Mapping[str, bool]) -> frozenset[str]:
    """Return the names of detectors and estimators that are off. `switches`: on or off by switch."""
    return frozenset(name for switch, on in switches.items() if not on for name in SWITCHES[switch])
