"""Request bodies, queries and responses of verifiers."""

from typing import Annotated, Any, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.fields import CommaListField, uuid_list
from apps.common.json_types import IdJson, Json, TimeJson
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer
from apps.handlers.api.event_serializers import ImageQuery
from apps.handlers.filters import MAX_DESCRIPTION_CHARACTERS, VerifierFilterSerializer
from apps.handlers.policies.verifier import VerifierPoliciesSerializer
from apps.matching.types import Reference
from apps.recognition.types import ImageType

MAX_EXTERNAL_ID_CHARACTERS = 36
# Types of references by query parameter.
CANDIDATES = {
    "face_ids": "face",
    "external_ids": "face_external_id",
    "event_ids": "event",
    "attribute_ids": "attribute",
}


@extend_schema_field(VerifierPoliciesSerializer)
class VerifierPoliciesField(serializers.JSONField):
    """Unparsed policies; the service validates them."""


class VerifierBody(StrictSerializer):
    """Body of a verifier."""

    example = {"description": "gate", "policies": VerifierPoliciesSerializer.example}
    description = serializers.CharField(max_length=MAX_DESCRIPTION_CHARACTERS, allow_blank=True, default="")
    policies = VerifierPoliciesField()


class VerifiersQuery(VerifierFilterSerializer, PageQuery):
    """Filters and paging of verifiers."""


class VerifierJson(TypedDict):
    """A verifier. `policies` have their defaults; `version` counts the replacements from 1."""

    verifier_id: IdJson
    account_id: IdJson
    description: str
    version: int
    policies: Annotated[Json, VerifierPoliciesSerializer]
    create_time: TimeJson
    last_update_time: TimeJson


class VerifiersJson(TypedDict):
    verifiers: list[VerifierJson]


class VerifierVersionJson(TypedDict):
    """The version of the replaced verifier."""

    version: int


class VerificationsQuery(ImageQuery):
    """Images, and the candidates: at least one of the lists of ids. A body warp contains no usable face."""

    image_type = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in (ImageType.RAW, ImageType.FACE_WARP)], default=0
    )
    face_ids = uuid_list(help_text="Candidates: faces.")
    external_ids = CommaListField(
        child=serializers.CharField(max_length=MAX_EXTERNAL_ID_CHARACTERS),
        required=False,
        help_text="Candidates: all faces with these external ids.",
    )
    event_ids = uuid_list(help_text="Candidates: events with the descriptor of a face.")
    attribute_ids = uuid_list(help_text="Candidates: temporary attributes.")


def candidates_of(query: dict[str, Any], parameters: Any) -> list[Reference]:
    """Return the candidates of a validated query, in the order of the query string."""
    names = [name for name in parameters if name in CANDIDATES]
    return [Reference(CANDIDATES[name], str(value)) for name in names for value in query.get(name, ())]
