"""Request bodies, queries and responses of faces, lists and attributes."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.common.api.examples import ID
from apps.common.api.responses import created_serializer
from apps.common.fields import (
    FlagField,
    SettingIntegerField,
    TextField,
    UUIDField,
    WholeNumberField,
    account_field,
    ids_field,
    targets_field,
    uuid_list,
)
from apps.common.filters.kinds import FiniteFloatField
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer
from apps.faces.attribute_input import RAW, SDK, XPK
from apps.faces.config import default_ttl_s, max_ttl_s
from apps.faces.filters import FaceFilterSerializer, ListFilterSerializer

MAX_SAMPLES = 100
MAX_DESCRIPTORS = 16


# --- attributes -----------------------------------------------------------------------------------------------


class BasicBody(StrictSerializer):
    """Age in years. Gender: 0 female, 1 male. Ethnicity: 1 african american, 2 indian, 3 asian, 4 caucasian."""

    age = WholeNumberField(min_value=0, max_value=150, required=False, allow_null=True)
    gender = WholeNumberField(min_value=0, max_value=1, required=False, allow_null=True)
    ethnicity = WholeNumberField(min_value=1, max_value=4, required=False, allow_null=True)


class BasicAttributesBody(StrictSerializer):
    """Basic attributes and their samples."""

    attributes = BasicBody(required=False)
    samples = ids_field(required=False, min_length=0, max_length=MAX_SAMPLES)


class DescriptorBody(StrictSerializer):
    """A descriptor in Base64, or an XPK file with several. `version` is the version of a raw descriptor.

    The descriptors of responses have the same form.
    """

    type = serializers.ChoiceField(choices=(RAW, SDK, XPK))
    data = TextField(required=True)  # type: ignore[assignment]  # DRF takes a declared field out
    version = WholeNumberField(min_value=1, max_value=2**31 - 1, required=False)
    score = FiniteFloatField(min_value=0, max_value=1, required=False, allow_null=True)


class DescriptorsBody(StrictSerializer):
    """Descriptors, at most one per version, and their samples."""

    descriptors = serializers.ListField(child=DescriptorBody(), max_length=MAX_DESCRIPTORS, required=False)
    samples = ids_field(required=False, min_length=0, max_length=MAX_SAMPLES)


class AttributeDataBody(StrictSerializer):
    """Attributes of a face that the client supplies."""

    basic_attributes = BasicAttributesBody(required=False)
    face_descriptors = DescriptorsBody(required=False)


class AttributeBody(AttributeDataBody):
    """A temporary attribute and its lifetime in seconds."""

    example = {"basic_attributes": {"attributes": {"age": 36, "gender": 0, "ethnicity": 4}}, "ttl": 300}
    ttl = SettingIntegerField(limit=max_ttl_s, default=default_ttl_s)


class FaceAttributeBody(AttributeDataBody):
    """The id of a temporary attribute, or the attributes themselves."""

    example = {"attribute_id": ID}
    attribute_id = UUIDField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "attribute_id" in attrs and len(attrs) > 1:
            raise serializers.ValidationError("'attribute_id' and attribute data exclude each other.")
        return attrs


class TargetsQuery(serializers.Serializer[Any]):
    """Members of the response."""

    targets = targets_field()
    account_id = account_field()


class AttributesQuery(TargetsQuery):
    attribute_ids = uuid_list(help_text="Ids of the attributes.")


class AttributeSerializer(serializers.Serializer[Any]):
    """A temporary attribute."""

    attribute_id = UUIDField(required=False)
    account_id = UUIDField(required=False)
    create_time = serializers.DateTimeField(required=False)
    basic_attributes = BasicBody(required=False, allow_null=True)
    face_descriptor = DescriptorBody(many=True, required=False)
    url = serializers.CharField()
    external_url = serializers.CharField()


class AttributesSerializer(serializers.Serializer[Any]):
    attributes = AttributeSerializer(many=True)


class SampleSerializer(serializers.Serializer[Any]):
    """Sample. `type`: 1 for a source of descriptors, 5 for a source of basic attributes."""

    sample_id = UUIDField()
    type = serializers.IntegerField()


class SamplesSerializer(serializers.Serializer[Any]):
    samples = SampleSerializer(many=True)


AttributeCreated = created_serializer("attribute_id")


# --- faces ----------------------------------------------------------------------------------------------------


class FacePatch(StrictSerializer):
    """Members of a face that a client can set."""

    example: ClassVar[dict[str, Any]] = {"user_data": "Ada Lovelace"}
    external_id = TextField(max_length=36)
    user_data = TextField(max_length=128)
    avatar = TextField(allow_null=True)
    event_id = UUIDField(required=False, allow_null=True)


class FaceBody(FacePatch):
    """A new face."""

    example: ClassVar[dict[str, Any]] = {
        "external_id": "employee-17",
        "user_data": "Ada Lovelace",
        "lists": [ID],
        "attribute": {"attribute_id": ID},
    }
    lists = ids_field(required=False, min_length=0)
    attribute = FaceAttributeBody(required=False)


class FaceIdsBody(StrictSerializer):
    face_ids = ids_field()


class FacesQuery(FaceFilterSerializer, TargetsQuery, PageQuery):
    pass


class FaceSerializer(serializers.Serializer[Any]):
    """A face. `targets` select its members."""

    face_id = UUIDField(required=False)
    account_id = UUIDField(required=False)
    event_id = UUIDField(required=False, allow_null=True)
    user_data = serializers.CharField(required=False, allow_blank=True)
    create_time = serializers.DateTimeField(required=False)
    external_id = serializers.CharField(required=False, allow_blank=True)
    avatar = serializers.CharField(required=False, allow_null=True)
    lists = serializers.ListField(child=UUIDField(), required=False)


class FacesSerializer(serializers.Serializer[Any]):
    faces = FaceSerializer(many=True)


class FaceAttributeSerializer(serializers.Serializer[Any]):
    """The attribute of a face. `targets` select its members; `face_descriptor` is included only if named."""

    create_time = serializers.DateTimeField(required=False)
    basic_attributes = BasicBody(required=False, allow_null=True)
    samples = SampleSerializer(many=True, required=False)
    face_descriptor = DescriptorBody(many=True, required=False)


FaceCreated = created_serializer("face_id")


# --- lists ----------------------------------------------------------------------------------------------------


class ListBody(StrictSerializer):
    """The description of a list."""

    user_data = TextField(max_length=128)


class ListPatch(StrictSerializer):
    user_data = TextField(max_length=128, required=True)


class ListIdsBody(StrictSerializer):
    list_ids = ids_field()


class ListFacesBody(StrictSerializer):
    """Ids of faces to attach or detach, at most 1000."""

    action = serializers.ChoiceField(choices=("attach", "detach"))
    face_ids = ids_field()


class WithFacesQuery(serializers.Serializer[Any]):
    """`with_faces=1` also deletes the faces of the lists."""

    with_faces = FlagField(default=0, help_text="1: also deletes the faces of the lists.")


class ListsQuery(ListFilterSerializer, PageQuery):
    pass


class ListSerializer(serializers.Serializer[Any]):
    """A list of faces."""

    component = "FaceList"  # `List` is a name of Python and of other languages

    list_id = UUIDField()
    account_id = UUIDField()
    user_data = serializers.CharField(allow_blank=True)
    create_time = serializers.DateTimeField()
    last_update_time = serializers.DateTimeField()


class ListsSerializer(serializers.Serializer[Any]):
    lists = ListSerializer(many=True)


ListCreated = created_serializer("list_id")
