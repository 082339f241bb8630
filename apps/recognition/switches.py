"""What an operator can switch off at start, by the platform's names, and what each switch stands for here.

A switched-off estimator is refused as one without network is (ESTIMATOR_NOT_INITIALIZED). It may still be made where
another one that is on needs it; its network is loaded only then.
"""

from collections.abc import Mapping
from types import MappingProxyType

FACE_DETECTOR, BODY_DETECTOR, HUMAN_DETECTOR = "face_detector", "body_detector", "human_detector"
FACE_WARP, BODY_WARP = "face_warp", "body_warp"

# `human-detector` finds faces and bodies of one picture together. All names but the constants above are estimators'.
SWITCHES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "human-detector": (HUMAN_DETECTOR,),
        "face-detector": (FACE_DETECTOR,),
        "body-detector": (BODY_DETECTOR,),
        "people-count-estimator": ("people_count",),
        "face-landmarks5-estimator": ("landmarks5",),
        "face-landmarks68-estimator": ("landmarks68",),
        "head-pose-estimator": ("head_pose",),
        "deepfake-estimator": ("deepfake",),
        "liveness-estimator": ("liveness",),
        "fisheye-estimator": ("radial_distortion",),
        "face-detection-background-estimator": ("background",),
        "face-warp-estimator": (FACE_WARP,),
        "body-warp-estimator": (BODY_WARP,),
        "quality-estimator": ("quality",),
        "image-color-type-estimator": ("face_color_type",),
        "face-natural-light-estimator": ("natural_light",),
        "eyes-estimator": ("eyes_attributes",),
        "gaze-estimator": ("gaze",),
        "mouth-attributes-estimator": ("mouth_attributes",),
        "emotions-estimator": ("emotions",),
        "mask-estimator": ("mask",),
        "glasses-estimator": ("glasses",),
        "eyebrow-expression-estimator": ("eyebrows",),
        "red-eyes-estimator": ("red_eyes",),
        "headwear-estimator": ("headwear",),
        "basic-attributes-estimator": ("basic_attributes",),
        "face-descriptor-estimator": ("face_descriptor",),
        "body-descriptor-estimator": ("body_descriptor",),
        "body-attributes-estimator": ("body_basic_attributes", "upper_body", "lower_body", "accessories"),
        # Estimators of our own
        "dynamic-range-estimator": ("dynamic_range",),
        "face-occlusion-estimator": ("face_occlusion",),
        "illumination-uniformity-estimator": ("illumination_uniformity",),
        "shoulders-position-estimator": ("shoulders_position",),
    }
)


def variable(switch: str) -> str:
    """The environment variable of a switch."""
    return f"LUNA_ENABLE_{switch.replace('-', '_').upper()}"


def names_off(switches: Mapping[str, bool]) -> frozenset[str]:
    """What is off, given what is said of each switch."""
    return frozenset(name for switch, on in switches.items() if not on for name in SWITCHES[switch])
