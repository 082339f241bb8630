"""Views of temporary attributes."""

from collections.abc import Collection, Sequence
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope, write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import created
from apps.common.api.views import LunaView, path_uuid
from apps.common.errors import LunaError
from apps.common.validation import checked_body, checked_query
from apps.faces.api.serializers import (
    AttributeBody,
    AttributeCreated,
    AttributeSerializer,
    AttributesQuery,
    AttributesSerializer,
    SamplesSerializer,
    TargetsQuery,
)
from apps.faces.attribute_input import attribute_parse
from apps.faces.attributes import attribute_create, attribute_delete, attribute_get, attributes_get, descriptors_view
from apps.faces.shapes import ATTRIBUTE_TARGETS, DESCRIPTOR, attribute_shape, samples_shape, targets_check
from apps.faces.types import TemporaryAttribute

DONE = OpenApiResponse(description="Done.")


def attributes_read(
    request: Request, attribute_ids: Sequence[UUID], targets: Collection[str]
) -> list[TemporaryAttribute]:
    """Return the existing attributes in the requested order; a read of descriptors writes audit lines."""
    scope = read_scope(request)
    if DESCRIPTOR in targets:
        return descriptors_view(scope=scope, attribute_ids=attribute_ids, actor=actor_of(request))
    return attributes_get(scope=scope, attribute_ids=attribute_ids)


class AttributesView(LunaView):
    """Creation and bulk reads of temporary attributes."""

    permissions = {"GET": ("attribute", "view"), "POST": ("attribute", "creation")}

    @extend_schema(summary="Create a temporary attribute", request=AttributeBody, responses={201: AttributeCreated})
    def post(self, request: Request) -> Response:
        body = checked_body(AttributeBody, request)
        attribute = attribute_create(
            account_id=write_account(request), data=attribute_parse(body), ttl_s=body["ttl"]
        )  # fmt: skip
        return created("attribute_id", attribute.attribute_id, address("attribute", attribute.attribute_id))

    @extend_schema(
        summary="Get temporary attributes",
        description="Expired attributes are omitted.",
        parameters=[AttributesQuery],
        responses=AttributesSerializer,
    )
    def get(self, request: Request) -> Response:
        query = checked_query(AttributesQuery, request)
        if "attribute_ids" not in query:
            raise LunaError(errors.MISSING_PARAMETERS, "attribute_ids")
        targets = targets_check(query["targets"], ATTRIBUTE_TARGETS)
        found = attributes_read(request, query["attribute_ids"], targets)
        return Response({"attributes": [attribute_shape(attribute, targets) for attribute in found]})


class AttributeView(LunaView):
    """One temporary attribute."""

    permissions = {"GET": ("attribute", "view"), "DELETE": ("attribute", "deletion")}

    @extend_schema(summary="Get a temporary attribute", parameters=[TargetsQuery], responses=AttributeSerializer)
    def get(self, request: Request, attribute_id: str) -> Response:
        targets = targets_check(checked_query(TargetsQuery, request)["targets"], ATTRIBUTE_TARGETS)
        key = path_uuid(attribute_id, errors.ATTRIBUTE_NOT_FOUND)
        found = attributes_read(request, [key], targets)
        if not found:
            raise LunaError(errors.ATTRIBUTE_NOT_FOUND, key)
        return Response(attribute_shape(found[0], targets))

    def head(self, request: Request, attribute_id: str) -> Response:
        find(request, attribute_id)
        return Response()

    @extend_schema(summary="Delete a temporary attribute", responses={204: DONE})
    def delete(self, request: Request, attribute_id: str) -> Response:
        key = path_uuid(attribute_id, errors.ATTRIBUTE_NOT_FOUND)
        attribute_delete(account_id=write_account(request), attribute_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AttributeSamplesView(LunaView):
    """Samples of a temporary attribute."""

    permissions = {"GET": ("attribute", "view")}

    @extend_schema(summary="Get the samples of a temporary attribute", responses=SamplesSerializer)
    def get(self, request: Request, attribute_id: str) -> Response:
        data = find(request, attribute_id).data
        return Response({"samples": samples_shape(data.descriptor_samples, data.basic_samples)})


def find(request: Request, attribute_id: str) -> TemporaryAttribute:
    return attribute_get(scope=read_scope(request), attribute_id=path_uuid(attribute_id, errors.ATTRIBUTE_NOT_FOUND))
