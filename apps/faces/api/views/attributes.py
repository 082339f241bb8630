"""Temporary attributes."""

from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope, write_account
from apps.accounts.services import audit_write
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
from apps.faces.attributes import attribute_create, attribute_delete, attribute_get, attributes_get
from apps.faces.shapes import ATTRIBUTE_TARGETS, DESCRIPTOR, attribute_shape, samples_shape, targets_check
from apps.faces.types import TemporaryAttribute

DONE = OpenApiResponse(description="Done.")


def audit_descriptors(request: Request, kind: str, owners: dict[UUID, UUID]) -> None:
    """A line for every object (id: account) whose descriptors leave the platform."""
    for account_id in set(owners.values()):
        ids = [object_id for object_id, owner in owners.items() if owner == account_id]
        audit_write(
            action="view",
            object_type=f"{kind}_descriptor",
            object_ids=ids,
            account_id=account_id,
            actor=actor_of(request),
        )


class AttributesView(LunaView):
    """Attributes from outside, and several at once."""

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
        description="Attributes that have expired are left out.",
        parameters=[AttributesQuery],
        responses=AttributesSerializer,
    )
    def get(self, request: Request) -> Response:
        query = checked_query(AttributesQuery, request)
        if "attribute_ids" not in query:
            raise LunaError(errors.MISSING_PARAMETERS, "attribute_ids")
        targets = targets_check(query["targets"], ATTRIBUTE_TARGETS)
        found = attributes_get(scope=read_scope(request), attribute_ids=query["attribute_ids"])
        shapes = [attribute_shape(attribute, targets) for attribute in found]
        if DESCRIPTOR in targets:
            audit_descriptors(request, "attribute", {each.attribute_id: each.account_id for each in found})
        return Response({"attributes": shapes})


class AttributeView(LunaView):
    """One temporary attribute."""

    permissions = {"GET": ("attribute", "view"), "DELETE": ("attribute", "deletion")}

    @extend_schema(summary="Get a temporary attribute", parameters=[TargetsQuery], responses=AttributeSerializer)
    def get(self, request: Request, attribute_id: str) -> Response:
        targets = targets_check(checked_query(TargetsQuery, request)["targets"], ATTRIBUTE_TARGETS)
        attribute = find(request, attribute_id)
        shape = attribute_shape(attribute, targets)
        if DESCRIPTOR in targets:
            audit_descriptors(request, "attribute", {attribute.attribute_id: attribute.account_id})
        return Response(shape)

    def head(self, request: Request, attribute_id: str) -> Response:
        find(request, attribute_id)
        return Response()

    @extend_schema(summary="Delete a temporary attribute", responses={204: DONE})
    def delete(self, request: Request, attribute_id: str) -> Response:
        attribute_delete(
            account_id=write_account(request), attribute_id=path_uuid(attribute_id, errors.ATTRIBUTE_NOT_FOUND)
        )
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
