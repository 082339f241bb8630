"""Policies: the rules of a handler, as frozen dataclasses with a strict serializer each.

They apply in this order: detect, extract, match, conditional tags, storage. A missing policy takes its defaults.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from rest_framework import serializers

from apps.common.config import config
from apps.common.validation import checked_data
from apps.handlers.policies.base import MAX_ITEMS, PolicySerializer
from apps.handlers.policies.detect import DetectPolicy, DetectPolicySerializer
from apps.handlers.policies.extract import ExtractPolicy, ExtractPolicySerializer
from apps.handlers.policies.match import BODY, FACE, MatchPolicy, MatchPolicySerializer
from apps.handlers.policies.storage import StoragePolicy, StoragePolicySerializer
from apps.handlers.policies.tags import ConditionalTag, ConditionalTagSerializer
from apps.recognition.config import MissingNetworks
from apps.recognition.request.build import RecognitionRequest, recognition_request

__all__ = ["Policies", "PoliciesSerializer", "policies_cached", "policies_parse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    detect_policy: DetectPolicy = field(default_factory=DetectPolicy)
    extract_policy: ExtractPolicy = field(default_factory=ExtractPolicy)
    match_policy: tuple[MatchPolicy, ...] = ()
    conditional_tags_policy: tuple[ConditionalTag, ...] = ()
    storage_policy: StoragePolicy = field(default_factory=StoragePolicy)

    def recognition_request(self, *, use_exif: bool, face_warps: bool, body_warps: bool) -> RecognitionRequest:
        """Return the recognition request of the policies."""
        detect, extract = self.detect_policy, self.extract_policy
        return recognition_request(
            faces=detect.detect_face,
            bodies=detect.detect_body,
            estimations=(
                *detect.estimators,
                *(extract.face_estimators if detect.detect_face else ()),
                *(extract.body_estimators if detect.detect_body else ()),
            ),
            multiface=detect.multiface_policy,
            use_exif=use_exif,
            extract_exif=detect.extract_exif,
            descriptor_version=extract.descriptor_version,
            face_warps=face_warps,
            body_warps=body_warps,
            angles=detect.angles,
            states={
                "mask": detect.mask_states,
                "liveness": detect.estimate_liveness.liveness_states,
                "deepfake": detect.estimate_deepfake.deepfake_states,
            },
            predictions=detect.predictions,
            descriptor_score=extract.fd_score_threshold,
            checks=detect.face_quality.thresholds,
            must_pass_checks=detect.face_quality.filter,
            optional=not config(MissingNetworks).refuse_estimations,
        )

    @property
    def needing_pictures(self) -> tuple[str, ...]:
        """Paths of the members that need a picture: estimations, checks and limits do not apply to a descriptor."""
        extract = self.extract_policy
        of_extract = {
            "extract_basic_attributes": extract.extract_basic_attributes,
            "fd_score_threshold": extract.fd_score_threshold > 0,
        }
        return (
            *(f"detect_policy.{name}" for name in self.detect_policy.needing_pictures),
            *(f"extract_policy.{name}" for name, asks in of_extract.items() if asks),
        )


class PoliciesSerializer(PolicySerializer):
    example = {
        "detect_policy": {"estimate_mask": 1},
        "extract_policy": {"extract_basic_attributes": 1},
        "match_policy": [{"label": "employees", "candidates": {"origin": "faces"}, "limit": 1, "threshold": 0.8}],
        "conditional_tags_policy": [
            {"tag": "employee", "filters": {"match": [{"label": "employees", "similarity__gte": 0.9}]}}
        ],
        "storage_policy": {"face_policy": {"store_face": 1}},
    }
    detect_policy = DetectPolicySerializer(required=False)
    extract_policy = ExtractPolicySerializer(required=False)
    match_policy = serializers.ListField(child=MatchPolicySerializer(), max_length=MAX_ITEMS, default=list)
    conditional_tags_policy = serializers.ListField(
        child=ConditionalTagSerializer(), max_length=MAX_ITEMS, default=list
    )
    storage_policy = StoragePolicySerializer(required=False)

    @staticmethod
    def policy(**values: Any) -> Policies:  # type: ignore[override]
        for name in ("match_policy", "conditional_tags_policy"):
            values[name] = tuple(values[name])
        return Policies(**values)

    def validate(self, attrs: Any) -> Any:
        extract = attrs.extract_policy
        extracted = {FACE: extract.extract_face_descriptor, BODY: extract.extract_body_descriptor}
        for kind in dict.fromkeys(policy.descriptor for policy in attrs.match_policy):
            if not extracted[kind]:
                raise serializers.ValidationError(
                    {"match_policy": f"'extract_{kind}_descriptor' of 'extract_policy' is required."}
                )
        return attrs


class _Envelope(serializers.Serializer[Any]):
    policies = PoliciesSerializer()


def policies_parse(data: Any, *, stored: bool = False) -> Policies:
    """Parse policies from decoded JSON. Relative times (`now-7d`) count from now.

    `stored`: the secrets are already sealed. Raises LunaError INVALID_JSON with the path.
    """
    policies: Policies = checked_data(_Envelope, {"policies": data}, stored=stored)["policies"]
    return policies


def policies_cached(data: Any, *, stored: bool = False) -> Policies:
    """Return parsed policies from a cache, because `policies_parse` takes 0.6 to 15 ms.

    Policies with relative times are not cached. Raises LunaError INVALID_JSON with the path.
    """
    try:
        key = orjson.dumps(data)
    except orjson.JSONEncodeError:  # MessagePack can contain values that JSON has not
        return policies_parse(data, stored=stored)
    return policies_parse(data, stored=stored) if b'"now-' in key else _parsed(_Given(key, data), stored)


@dataclass(frozen=True, slots=True)
class _Given:
    """Decoded JSON as a cache key."""

    key: bytes
    data: Any = field(compare=False)


@lru_cache(maxsize=256)
def _parsed(given: _Given, stored: bool) -> Policies:
    return policies_parse(given.data, stored=stored)
