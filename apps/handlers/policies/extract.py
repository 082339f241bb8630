"""extract_policy: extraction of descriptors and basic attributes."""

from dataclasses import dataclass

from apps.common.fields import FlagField
from apps.handlers.policies.base import PolicySerializer
from apps.handlers.policies.detect import score_field


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractPolicy:
    """Extraction. `fd_score_threshold` 0..1: faces with a lower descriptor score are rejected.

    `descriptor_version`: None for the version of new descriptors; a handler cannot set another.
    """

    extract_face_descriptor: bool = True
    extract_body_descriptor: bool = False
    extract_basic_attributes: bool = False
    fd_score_threshold: float = 0.0
    descriptor_version: int | None = None

    @property
    def face_estimators(self) -> frozenset[str]:
        wanted = {"face_descriptor": self.extract_face_descriptor, "basic_attributes": self.extract_basic_attributes}
        return frozenset(name for name, on in wanted.items() if on)

    @property
    def body_estimators(self) -> frozenset[str]:
        return frozenset({"body_descriptor"} if self.extract_body_descriptor else ())


class ExtractPolicySerializer(PolicySerializer):
    policy = ExtractPolicy
    extract_face_descriptor = FlagField(required=False)
    extract_body_descriptor = FlagField(required=False)
    extract_basic_attributes = FlagField(required=False)
    fd_score_threshold = score_field()
