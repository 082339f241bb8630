"""Views of /6/verifiers: create, read, replace, validate and delete verifiers, and verify with them."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, principal_of_request, require_right, write_account
from apps.accounts.auth.permissions import MATCHING
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import count_serializer, created, created_serializer
from apps.common.api.views import LunaView, path_uuid
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.parts import HANDLERS
from apps.common.times import format_time
from apps.common.validation import checked_body, checked_query
from apps.handlers import selectors, services
from apps.handlers.api.verification_shapes import (
    RawVerificationsJson,
    VerificationsJson,
    raw_verifications_body,
    verifications_body,
)
from apps.handlers.api.verifier_serializers import (
    VerificationsQuery,
    VerifierBody,
    VerifierJson,
    VerifiersJson,
    VerifiersQuery,
    VerifierVersionJson,
    candidates_of,
)
from apps.handlers.config import HandlersLimits
from apps.handlers.filters import VerifierFilterSerializer
from apps.handlers.models import Verifier
from apps.handlers.policies.filled import verifier_policies_filled
from apps.handlers.types import EventParams
from apps.handlers.verification import candidate_limit, policies_of, verifications_make
from apps.matching.api.serializers import RawMatchBody
from apps.matching.api.views import MAX_RAW_CANDIDATES
from apps.matching.matcher import match_raw
from apps.matching.references import descriptors_probes, reference_limit
from apps.recognition.api.inputs import read_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.inputs.types import Rules

NOTHING = OpenApiResponse(description="Done.")


def verifier_body(verifier: Verifier) -> VerifierJson:
    return {
        "verifier_id": str(verifier.verifier_id),
        "account_id": str(verifier.account_id),
        "description": verifier.description,
        "version": verifier.version,
        "policies": verifier_policies_filled(verifier.policies),
        "create_time": format_time(verifier.create_time),
        "last_update_time": format_time(verifier.last_update_time),
    }


def _draft(request: Request) -> services.VerifierDraft:
    return services.VerifierDraft(**checked_body(VerifierBody, request))


def _account(request: Request) -> UUID:
    """Return the client's own account: other verifiers are invisible to every client.

    Raises LunaError ACCOUNT_ID_PARAMETER_DENIED for another account in the query.
    """
    account_id = principal_of_request(request).account_id
    if request.query_params.get("account_id", str(account_id)) != str(account_id):
        raise LunaError(errors.ACCOUNT_ID_PARAMETER_DENIED)
    return account_id


def _verifier(request: Request, verifier_id: str) -> Verifier:
    key = path_uuid(verifier_id, errors.VERIFIER_NOT_FOUND)
    return selectors.verifier_get(account_id=_account(request), verifier_id=key)


class VerifiersView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"GET": ("verifier", "view"), "POST": ("verifier", "creation")}

    @extend_schema(summary="create verifier", request=VerifierBody, responses={201: created_serializer("verifier_id")})
    def post(self, request: Request) -> Response:
        verifier = services.verifier_create(
            account_id=write_account(request), draft=_draft(request), actor=actor_of(request)
        )
        return created("verifier_id", verifier.verifier_id, address("verifier", verifier.verifier_id))

    @extend_schema(
        summary="get verifiers",
        description="Verifiers of the client's account. Those of other accounts are visible to no client.",
        parameters=[VerifiersQuery],
        responses={200: VerifiersJson},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(VerifiersQuery, request)
        page = Page(query["page"], query["page_size"])
        verifiers = selectors.verifiers_page(account_id=_account(request), filters=query["filters"], page=page)
        return Response({"verifiers": [verifier_body(verifier) for verifier in verifiers]})


class VerifiersCountView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"GET": ("verifier", "view")}

    @extend_schema(
        summary="get verifiers count",
        parameters=[VerifierFilterSerializer],
        responses={200: count_serializer("verifiers_count")},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(VerifierFilterSerializer, request)
        verifiers = selectors.verifiers_filter(account_id=_account(request), filters=query["filters"])
        return Response({"verifiers_count": verifiers.count()})


class VerifiersValidatorView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"POST": ("verifier", "creation")}

    @extend_schema(summary="validate verifier policies", request=VerifierBody, responses={204: NOTHING})
    def post(self, request: Request) -> Response:
        services.verifier_check(draft=_draft(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class VerifierView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {
        "GET": ("verifier", "view"),
        "PUT": ("verifier", "modification"),
        "DELETE": ("verifier", "deletion"),
    }

    @extend_schema(summary="get verifier", responses={200: VerifierJson})
    def get(self, request: Request, verifier_id: str) -> Response:
        return Response(verifier_body(_verifier(request, verifier_id)))

    @extend_schema(summary="check if verifier exists", responses={200: NOTHING})
    def head(self, request: Request, verifier_id: str) -> Response:
        key = path_uuid(verifier_id, errors.VERIFIER_NOT_FOUND)
        if not selectors.verifier_exists(account_id=_account(request), verifier_id=key):
            raise LunaError(errors.VERIFIER_NOT_FOUND, verifier_id)
        return Response()

    @extend_schema(
        summary="replace verifier",
        description="Replaces description and policies, and raises the version by 1.",
        request=VerifierBody,
        responses={200: VerifierVersionJson},
    )
    def put(self, request: Request, verifier_id: str) -> Response:
        key = path_uuid(verifier_id, errors.VERIFIER_NOT_FOUND)
        version = services.verifier_replace(
            account_id=write_account(request), verifier_id=key, draft=_draft(request), actor=actor_of(request)
        )
        return Response({"version": version})

    @extend_schema(summary="remove verifier", request=None, responses={204: NOTHING})
    def delete(self, request: Request, verifier_id: str) -> Response:
        key = path_uuid(verifier_id, errors.VERIFIER_NOT_FOUND)
        services.verifier_delete(account_id=write_account(request), verifier_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class VerificationsView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"POST": ("verifier", "view")}

    @extend_schema(
        summary="perform verification",
        description="Compares each face of the images with all candidates of the query, by the policies of the "
        "verifier. A token needs the permission `matching` for the kinds of the candidates, too.",
        parameters=[VerificationsQuery],
        request=image_request(descriptors=True),
        responses={201: VerificationsJson},
    )
    def post(self, request: Request, verifier_id: str) -> Response:
        principal = principal_of_request(request)
        policies = policies_of(_verifier(request, verifier_id))
        query = checked_query(VerificationsQuery, request)
        candidates = candidates_of(query, request.query_params)
        for kind in dict.fromkeys(each.type.partition("_")[0] for each in candidates):
            require_right(principal, kind, MATCHING)
        candidate_limit().check(len(candidates))
        rules = Rules(
            image_type=query["image_type"],
            descriptors=True,
            max_images=config(HandlersLimits).received_images_limit,
        )
        verification = verifications_make(
            principal=principal,
            policies=policies,
            candidates=candidates,
            inputs=read_inputs(request, rules, account_id=principal.account_id),
            params=EventParams(use_exif=query["use_exif_info"]),
        )
        return Response(verifications_body(verification), status=status.HTTP_201_CREATED)


class RawVerificationsView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"POST": ("verifier", "view")}

    @extend_schema(
        summary="raw verification",
        description="Compares descriptors of the request with each other. Of the verifier only the threshold applies.",
        request={"application/json": RawMatchBody, "application/msgpack": RawMatchBody},
        responses={200: RawVerificationsJson},
    )
    def post(self, request: Request, verifier_id: str) -> Response:
        threshold = policies_of(_verifier(request, verifier_id)).verification_threshold
        body: dict[str, Any] = checked_body(RawMatchBody, request)
        references = descriptors_probes(body["references"], reference_limit())
        candidates = descriptors_probes(body["candidates"], candidate_limit(MAX_RAW_CANDIDATES))
        return Response(
            raw_verifications_body(
                [each.id for each in references],
                [each.id for each in candidates],
                match_raw(references=references, candidates=candidates),
                threshold,
            )
        )
