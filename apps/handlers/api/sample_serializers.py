"""Queries of the detector and the extractor."""

from typing import Any

from rest_framework import serializers

from apps.common.fields import FlagField, SettingIntegerField, UUIDField, WholeNumberField
from apps.common.filters.kinds import FiniteFloatField
from apps.faces.config import max_ttl_s
from apps.handlers.api.event_serializers import ImageQuery
from apps.handlers.policies import Policies
from apps.handlers.policies.detect import DetectPolicy
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.policies.face_quality import FaceQualityPolicy
from apps.recognition.request.build import ANGLES, MAX_ANGLE_DEGREES, angle_field, estimation_flag
from apps.recognition.types import ImageType, MultifacePolicy
from apps.recognition.vocabulary import detector_flags

MAX_SAMPLES = 100
FLAGS = detector_flags()


class DetectorQuery(ImageQuery):
    """Query of the detector. Validation adds `policies`: the detector runs as a handler that stores samples.

    A body warp is not accepted because it contains no usable face.
    """

    image_type = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in (ImageType.RAW, ImageType.FACE_WARP)], default=0
    )
    multiface_policy = serializers.ChoiceField(choices=[(each.value, each.name) for each in MultifacePolicy], default=1)
    extract_exif = FlagField(default=False, help_text="Return `exif` of each image.")
    pitch_threshold = angle_field(default=MAX_ANGLE_DEGREES)
    roll_threshold = angle_field(default=MAX_ANGLE_DEGREES)
    yaw_threshold = angle_field(default=MAX_ANGLE_DEGREES)

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {flag: estimation_flag(flag) for flag in FLAGS}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        shown = frozenset(name for flag, name in FLAGS.items() if attrs.pop(flag))
        detect = DetectPolicy(
            multiface_policy=MultifacePolicy(attrs.pop("multiface_policy")),
            extract_exif=attrs.pop("extract_exif"),
            shown=shown,
            face_quality=FaceQualityPolicy(estimate="face_quality" in shown),
            **{name: attrs.pop(name) for name in (f"{angle}_threshold" for angle in ANGLES)},
        )
        attrs["policies"] = Policies(detect_policy=detect, extract_policy=ExtractPolicy(extract_face_descriptor=False))
        return attrs


class ExtractorQuery(serializers.Serializer[Any]):
    extract_descriptor = FlagField(default=True, help_text="Extract a descriptor.")
    descriptor_version = WholeNumberField(
        min_value=1, required=False, help_text="Default: the version of new descriptors."
    )
    extract_basic_attributes = FlagField(default=False, help_text="Estimate age, gender and ethnicity.")
    aggregate_attributes = FlagField(default=False, help_text="Also estimate all images as one person.")
    ttl = SettingIntegerField(limit=max_ttl_s, required=False, help_text="Lifetime of the attributes, seconds.")
    fd_score_threshold = FiniteFloatField(
        min_value=0, max_value=1, default=0.0, help_text="Faces with a lower score of the descriptor are rejected."
    )


class SampleIds(serializers.Serializer[Any]):
    """Wrapper of the array in the request body, so that errors name a path."""

    samples = serializers.ListField(child=UUIDField(), allow_empty=False, max_length=MAX_SAMPLES)
