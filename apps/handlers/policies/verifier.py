"""Policies of a verifier: those of a handler that concern one face, and the threshold of a verification."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from apps.common.fields import FlagField
from apps.common.validation import StrictSerializer, checked_data
from apps.handlers.policies import Policies
from apps.handlers.policies.base import PolicySerializer
from apps.handlers.policies.detect import DetectPolicy, DetectPolicySerializer, score_field
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.policies.storage import (
    AttributePolicySerializer,
    EventPolicy,
    NotificationPolicy,
    SamplePolicy,
    SamplePolicySerializer,
    StoragePolicy,
)

DEFAULT_THRESHOLD = 0.9  # about one false match in 10,000 comparisons (docs/similarity.md): nobody reviews a status
# Members of a handler's detect_policy that concern bodies or pictures, or that the vendor's verifiers lack.
NOT_OF_VERIFIERS = frozenset(
    ("detect_face", "detect_body", "body_attributes", "estimate_people_count", "people_count_coordinates",
     "estimate_glasses")
)  # fmt: skip


def storage_of(**policies: Any) -> StoragePolicy:
    """Return the storage policy of a verifier: samples of faces and temporary attributes, nothing else."""
    return StoragePolicy(
        **policies,
        body_sample_policy=SamplePolicy(store_sample=False),
        event_policy=EventPolicy(store_event=False),
        notification_policy=NotificationPolicy(send_notification=False),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierPolicies:
    """Policies of a verifier. A pair is verified if its similarity is greater than `verification_threshold` (0..1)."""

    detect_policy: DetectPolicy = field(default_factory=DetectPolicy)
    extract_policy: ExtractPolicy = field(default_factory=ExtractPolicy)
    storage_policy: StoragePolicy = field(default_factory=storage_of)
    verification_threshold: float = DEFAULT_THRESHOLD

    @property
    def policies(self) -> Policies:
        """The same policies as those of a handler, for the stages of the pipeline."""
        return Policies(
            detect_policy=self.detect_policy, extract_policy=self.extract_policy, storage_policy=self.storage_policy
        )


class VerifierDetectPolicySerializer(DetectPolicySerializer):
    """Detection and estimation of faces."""

    def get_fields(self) -> dict[str, Any]:
        return {name: each for name, each in super().get_fields().items() if name not in NOT_OF_VERIFIERS}

    @staticmethod
    def policy(**values: Any) -> DetectPolicy:  # type: ignore[override]
        return DetectPolicySerializer.policy(**values, body_attributes=frozenset(), estimate_glasses=False)


class VerifierExtractPolicySerializer(PolicySerializer):
    """Extraction. The descriptor of a face is always extracted."""

    policy = ExtractPolicy
    extract_basic_attributes = FlagField(required=False)
    fd_score_threshold = score_field()


def _without_filters(fields: dict[str, Any]) -> dict[str, Any]:
    """A verifier generates no events, so its policies have no filters."""
    return {name: each for name, each in fields.items() if name != "filters"}


class VerifierSamplePolicySerializer(SamplePolicySerializer):
    """Storage of face samples."""

    def get_fields(self) -> dict[str, Any]:
        return _without_filters(super().get_fields())


class VerifierAttributePolicySerializer(AttributePolicySerializer):
    """Storage of temporary attributes."""

    def get_fields(self) -> dict[str, Any]:
        return _without_filters(super().get_fields())


class VerifierStoragePolicySerializer(PolicySerializer):
    policy = staticmethod(storage_of)  # type: ignore[assignment]
    face_sample_policy = VerifierSamplePolicySerializer(required=False)
    attribute_policy = VerifierAttributePolicySerializer(required=False)


class VerifierPoliciesSerializer(PolicySerializer):
    policy = VerifierPolicies
    example = {
        "detect_policy": {"multiface_policy": 2},
        "storage_policy": {"face_sample_policy": {"store_sample": 0}},
        "verification_threshold": 0.9,
    }
    detect_policy = VerifierDetectPolicySerializer(required=False)
    extract_policy = VerifierExtractPolicySerializer(required=False)
    storage_policy = VerifierStoragePolicySerializer(required=False)
    verification_threshold = score_field()


class _Envelope(StrictSerializer):
    policies = VerifierPoliciesSerializer()


def verifier_policies_parse(data: Any, *, stored: bool = False) -> VerifierPolicies:
    """Parse policies from decoded JSON, of a client or `stored`. Raises LunaError INVALID_JSON with the path."""
    policies: VerifierPolicies = checked_data(_Envelope, {"policies": data}, stored=stored)["policies"]
    return policies


def verifier_policies_cached(stored: Any) -> VerifierPolicies:
    """Return stored policies, parsed once for equal ones. Raises LunaError INVALID_JSON with the path."""
    return _parsed(orjson.dumps(stored))


@lru_cache(maxsize=256)
def _parsed(stored: bytes) -> VerifierPolicies:
    return verifier_policies_parse(orjson.loads(stored), stored=True)
