"""Views of faces and their attributes."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, principal_of_request, read_scope, require_right, write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import count_serializer, created
from apps.common.api.views import LunaView, path_uuid
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.parts import EVENTS, part_check
from apps.common.scope import Scope
from apps.common.validation import checked_body, checked_query
from apps.faces import selectors, services
from apps.faces.api.serializers import (
    FaceAttributeBody,
    FaceAttributeSerializer,
    FaceBody,
    FaceCreated,
    FaceIdsBody,
    FacePatch,
    FaceSerializer,
    FacesQuery,
    FacesSerializer,
    SamplesSerializer,
    TargetsQuery,
)
from apps.faces.api.views.attributes import DONE
from apps.faces.attribute_input import attribute_parse
from apps.faces.attributes import attribute_get
from apps.faces.filters import FaceFilterSerializer
from apps.faces.models import FaceAttribute
from apps.faces.shapes import (
    DESCRIPTOR,
    FACE_ATTRIBUTE_TARGETS,
    FACE_TARGETS,
    face_attribute_shape,
    face_shape,
    samples_shape,
    targets_check,
)
from apps.faces.types import FaceDraft


def attribute_of_body(request: Request, body: dict[str, Any] | None) -> dict[str, Any]:
    """Return the services' arguments `attribute` and `attribute_id` from a body.

    Raises LunaError ATTRIBUTE_NOT_FOUND, and the errors of `attribute_parse`.
    """
    if body is None:
        return {}
    if "attribute_id" not in body:
        return {"attribute": attribute_parse(body)}
    found = attribute_get(scope=Scope(write_account(request)), attribute_id=body["attribute_id"])
    return {"attribute": found.data, "attribute_id": found.attribute_id}


class FacesView(LunaView):
    """Faces of the account."""

    permissions = {"GET": ("face", "view"), "POST": ("face", "creation"), "DELETE": ("face", "deletion")}

    @extend_schema(summary="Create a face", request=FaceBody, responses={201: FaceCreated})
    def post(self, request: Request) -> Response:
        body = checked_body(FaceBody, request)
        if body.get("lists"):
            require_right(principal_of_request(request), "list", "modification")
        if body.get("event_id"):
            part_check(EVENTS)
        attribute = attribute_of_body(request, body.pop("attribute", None))
        face = services.face_create(account_id=write_account(request), draft=FaceDraft(**body, **attribute))
        return created("face_id", face.face_id, address("face", face.face_id))

    @extend_schema(summary="Find faces", parameters=[FacesQuery], responses=FacesSerializer)
    def get(self, request: Request) -> Response:
        query = checked_query(FacesQuery, request)
        targets = targets_check(query["targets"], FACE_TARGETS)
        faces = selectors.faces_page(
            scope=read_scope(request),
            filters=query["filters"],
            page=Page(query["page"], query["page_size"]),
            with_lists="lists" in targets,
        )
        return Response({"faces": [face_shape(face, targets) for face in faces]})

    @extend_schema(summary="Delete faces", request=FaceIdsBody, responses={204: DONE})
    def delete(self, request: Request) -> Response:
        body = checked_body(FaceIdsBody, request)
        services.faces_delete(account_id=write_account(request), face_ids=body["face_ids"], actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class FacesCountView(LunaView):
    """Number of faces."""

    permissions = {"GET": ("face", "view")}

    @extend_schema(summary="Count faces", parameters=[FaceFilterSerializer], responses=count_serializer("faces_count"))
    def get(self, request: Request) -> Response:
        filters = checked_query(FaceFilterSerializer, request)["filters"]
        return Response({"faces_count": selectors.faces_count(scope=read_scope(request), filters=filters)})


class FacesAttributesCountView(LunaView):
    """Number of faces with an attribute."""

    permissions = {"GET": ("face", "view")}

    @extend_schema(
        summary="Count faces with attributes",
        parameters=[FaceFilterSerializer],
        responses=count_serializer("attributes_count"),
    )
    def get(self, request: Request) -> Response:
        filters = checked_query(FaceFilterSerializer, request)["filters"]
        return Response({"attributes_count": selectors.attributes_count(scope=read_scope(request), filters=filters)})


class FaceView(LunaView):
    """One face."""

    permissions = {"GET": ("face", "view"), "PATCH": ("face", "modification"), "DELETE": ("face", "deletion")}

    @extend_schema(summary="Get a face", parameters=[TargetsQuery], responses=FaceSerializer)
    def get(self, request: Request, face_id: str) -> Response:
        targets = targets_check(checked_query(TargetsQuery, request)["targets"], FACE_TARGETS)
        face = selectors.face_get(scope=read_scope(request), face_id=path_uuid(face_id, errors.FACE_NOT_FOUND))
        return Response(face_shape(face, targets))

    def head(self, request: Request, face_id: str) -> Response:
        selectors.face_check(scope=read_scope(request), face_id=path_uuid(face_id, errors.FACE_NOT_FOUND))
        return Response()

    @extend_schema(summary="Change a face", request=FacePatch, responses={204: DONE})
    def patch(self, request: Request, face_id: str) -> Response:
        key = path_uuid(face_id, errors.FACE_NOT_FOUND)
        changes = checked_body(FacePatch, request)
        if not changes:
            raise LunaError(errors.EMPTY_JSON)
        if changes.get("event_id"):
            part_check(EVENTS)
        services.face_update(account_id=write_account(request), face_id=key, changes=changes, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete a face", responses={204: DONE})
    def delete(self, request: Request, face_id: str) -> Response:
        key = path_uuid(face_id, errors.FACE_NOT_FOUND)
        services.face_delete(account_id=write_account(request), face_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class FaceAttributesView(LunaView):
    """The attribute of a face."""

    permissions = {"GET": ("face", "view"), "PUT": ("face", "modification"), "DELETE": ("face", "modification")}

    @extend_schema(
        summary="Get the attribute of a face", parameters=[TargetsQuery], responses=FaceAttributeSerializer
    )  # fmt: skip
    def get(self, request: Request, face_id: str) -> Response:
        targets = targets_check(checked_query(TargetsQuery, request)["targets"], FACE_ATTRIBUTE_TARGETS)
        if DESCRIPTOR in targets:
            key = path_uuid(face_id, errors.FACE_NOT_FOUND)
            found = services.face_descriptors_view(scope=read_scope(request), face_id=key, actor=actor_of(request))
        else:
            found = find(request, face_id)
        return Response(face_attribute_shape(found, targets))

    def head(self, request: Request, face_id: str) -> Response:
        find(request, face_id)
        return Response()

    @extend_schema(summary="Replace the attribute of a face", request=FaceAttributeBody, responses={204: DONE})
    def put(self, request: Request, face_id: str) -> Response:
        key = path_uuid(face_id, errors.FACE_NOT_FOUND)
        attribute = attribute_of_body(request, checked_body(FaceAttributeBody, request))
        services.face_attribute_set(
            account_id=write_account(request), face_id=key, **attribute, actor=actor_of(request)
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete the attribute of a face", responses={204: DONE})
    def delete(self, request: Request, face_id: str) -> Response:
        key = path_uuid(face_id, errors.FACE_NOT_FOUND)
        services.face_attribute_delete(account_id=write_account(request), face_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class FaceAttributeSamplesView(LunaView):
    """Samples of a face's attribute."""

    permissions = {"GET": ("face", "view")}

    @extend_schema(summary="Get the samples of a face", responses=SamplesSerializer)
    def get(self, request: Request, face_id: str) -> Response:
        found = find(request, face_id)
        return Response({"samples": samples_shape(found.descriptor_samples, found.basic_attributes_samples)})


def find(request: Request, face_id: str) -> FaceAttribute:
    return selectors.face_attribute_get(scope=read_scope(request), face_id=path_uuid(face_id, errors.FACE_NOT_FOUND))
