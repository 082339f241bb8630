"""Request bodies, queries and responses of handlers."""

from typing import Annotated, Any, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.fields import FlagField, UUIDField, account_field
from apps.common.json_types import IdJson, Json, OneOf, TimeJson
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer
from apps.handlers.choices import HandlerType
from apps.handlers.filters import MAX_DESCRIPTION_CHARACTERS, HandlerFilterSerializer
from apps.handlers.policies import PoliciesSerializer


@extend_schema_field(PoliciesSerializer)
class PoliciesJSONField(serializers.JSONField):
    """Unparsed policies; the service validates and parses them."""


class HandlerBody(StrictSerializer):
    """Body of a handler. A static handler requires `policies`, a lambda handler (type 2) requires `lambda_id`."""

    example = {"description": "entrance", "policies": PoliciesSerializer.example}
    description = serializers.CharField(max_length=MAX_DESCRIPTION_CHARACTERS, allow_blank=True, default="")
    handler_type = serializers.ChoiceField(choices=HandlerType.choices, required=False)
    is_dynamic = FlagField(required=False, help_text="Older form of `handler_type`: false is 0, true is 1.")
    lambda_id = UUIDField(required=False)
    policies = PoliciesJSONField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        older = HandlerType.DYNAMIC if attrs.pop("is_dynamic", False) else HandlerType.STATIC
        attrs["handler_type"] = HandlerType(attrs.get("handler_type", older))
        if attrs["handler_type"] == HandlerType.STATIC and "policies" not in attrs:
            raise serializers.ValidationError({"policies": "This field is required."})
        if attrs["handler_type"] == HandlerType.LAMBDA and "lambda_id" not in attrs:
            raise serializers.ValidationError({"lambda_id": "This field is required."})
        return attrs


class HandlersQuery(HandlerFilterSerializer, PageQuery):
    """Filters and paging of handlers."""


class HandlerJson(TypedDict):
    """A handler. `policies` have their defaults, and a mask instead of each secret."""

    handler_id: IdJson
    account_id: IdJson
    description: str
    handler_type: Annotated[int, OneOf(tuple(HandlerType.values))]
    lambda_id: IdJson | None
    policies: Annotated[Json, PoliciesSerializer] | None
    create_time: TimeJson
    last_update_time: TimeJson


class HandlersJson(TypedDict):
    handlers: list[HandlerJson]


class AccountQuery(serializers.Serializer[Any]):
    account_id = account_field()
