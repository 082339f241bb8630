"""Request bodies and responses of the matcher."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.common import errors
from apps.common.api.examples import ID
from apps.common.errors import LunaError
from apps.common.fields import TextField, WholeNumberField, account_field, parse_uuid
from apps.common.filters.kinds import FiniteFloatField
from apps.common.validation import StrictSerializer
from apps.faces.attribute_input import RAW, SDK, XPK
from apps.matching.candidates import BodyCandidateFilters, CandidateFiltersField
from apps.matching.types import DEFAULT_LIMIT, Reference

STORED_BY_UUID = ("face", "event", "attribute")
STORED = (*STORED_BY_UUID, "face_external_id", "event_external_id", "event_track_id")
DESCRIPTORS = (RAW, SDK, XPK)
EVENTS_WITH_BODIES = ("event", "event_external_id", "event_track_id")
MAX_TARGETS = 100


class ReferenceBody(StrictSerializer):
    """A stored object by its id, or a descriptor or XPK file with Base64 `data` and any id."""

    known: ClassVar[tuple[str, ...]] = (*STORED, *DESCRIPTORS)
    type = serializers.ChoiceField(choices=(*STORED, *DESCRIPTORS))
    id = TextField(max_length=128)
    data = TextField()  # type: ignore[assignment]  # DRF takes a declared field out
    version = WholeNumberField(min_value=1, max_value=2**31 - 1, required=False)

    def to_internal_value(self, data: Any) -> Reference:
        """Raises LunaError BAD_REFERENCE for a reference of no known kind."""
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind not in self.known:
            raise LunaError(errors.BAD_REFERENCE)
        reference = Reference(**{"id": "", **super().to_internal_value(data)})
        if reference.type in DESCRIPTORS and not reference.data:
            raise serializers.ValidationError({"data": "This field is required."})
        if reference.type in STORED and not reference.id:
            raise serializers.ValidationError({"id": "This field is required."})
        if reference.type in STORED_BY_UUID:
            object_id = parse_uuid(reference.id)
            if object_id is None:
                raise serializers.ValidationError({"id": "Must be a valid UUID."})
            return Reference(reference.type, str(object_id))
        return reference


class DescriptorReferenceBody(ReferenceBody):
    """A descriptor in Base64, or an XPK file with several, and any name for it."""

    type = serializers.ChoiceField(choices=DESCRIPTORS)


class BodyReferenceBody(ReferenceBody):
    """Stored events by id, external id or track id, or a body descriptor or XPK file with Base64 `data` and any id."""

    known: ClassVar[tuple[str, ...]] = (*EVENTS_WITH_BODIES, *DESCRIPTORS)
    type = serializers.ChoiceField(choices=(*EVENTS_WITH_BODIES, *DESCRIPTORS))


class RawMatchBody(StrictSerializer):
    """Up to 30 descriptors, each compared with up to 1000 others. A raw descriptor of a body needs its `version`."""

    example = {
        "references": [{"type": "sdk_descriptor", "id": "first", "data": "c2RrIGRlc2NyaXB0b3I="}],
        "candidates": [{"type": "sdk_descriptor", "id": "second", "data": "c2RrIGRlc2NyaXB0b3I="}],
    }
    references = serializers.ListField(child=DescriptorReferenceBody(), min_length=1)
    candidates = serializers.ListField(child=DescriptorReferenceBody(), min_length=1)


class CandidateBody(StrictSerializer):
    """Candidates. The response contains the `limit` (1..100) most similar ones with at least `threshold`."""

    filters = CandidateFiltersField()
    targets = serializers.ListField(child=serializers.CharField(), max_length=MAX_TARGETS, default=list)
    limit = WholeNumberField(min_value=1, max_value=2**31 - 1, default=DEFAULT_LIMIT)
    threshold = FiniteFloatField(min_value=0, max_value=1, default=0.0)


class BodyCandidateBody(CandidateBody):
    """Candidates with bodies: events. The response contains the `limit` most similar ones with at least `threshold`."""

    filters = BodyCandidateFilters()  # type: ignore[assignment]


class MatchBody(StrictSerializer):
    """Up to 30 references, each compared with up to 30 blocks of candidates."""

    example = {
        "references": [{"type": "face", "id": ID}],
        "candidates": [{"filters": {"origin": "faces", "list_id": ID}, "limit": 3, "threshold": 0.5}],
    }
    references = serializers.ListField(child=ReferenceBody(), min_length=1)
    candidates = serializers.ListField(child=CandidateBody(), min_length=1)


class BodyMatchBody(StrictSerializer):
    """Up to 30 references with bodies, each compared with up to 30 blocks of events."""

    references = serializers.ListField(child=BodyReferenceBody(), min_length=1)
    candidates = serializers.ListField(child=BodyCandidateBody(), min_length=1)


class MatchQuery(serializers.Serializer[Any]):
    account_id = account_field()
    descriptor_version = WholeNumberField(
        min_value=1,
        required=False,
        help_text="A version of the compared kind (face or body). Default: the version of new descriptors.",
    )
    matching_speed = serializers.ChoiceField(
        choices=("exact", "fast"),
        required=False,
        help_text="`fast`: in lists with fast codes, some of the nearest faces may be missing; everything else is "
        "matched exactly. Default: a setting of the operator, `exact` unless changed.",
    )
