"""Request bodies, queries and responses of handlers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.fields import FlagField, UUIDField
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


class HandlerSerializer(serializers.Serializer[Any]):
    handler_id = UUIDField()
    account_id = UUIDField()
    description = serializers.CharField()
    handler_type = serializers.ChoiceField(choices=HandlerType.choices)
    lambda_id = UUIDField(allow_null=True)
    policies = serializers.DictField(allow_null=True)
    create_time = serializers.DateTimeField()
    last_update_time = serializers.DateTimeField()


class HandlersAnswer(serializers.Serializer[Any]):
    handlers = HandlerSerializer(many=True)


class AccountQuery(serializers.Serializer[Any]):
    account_id = UUIDField(required=False)
