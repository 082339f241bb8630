"""The erasure of a person."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, principal_of_request, require_right, write_account
from apps.accounts.auth.permissions import DELETION
from apps.common import errors
from apps.common.api.views import BY_BODY, LunaView
from apps.common.errors import LunaError
from apps.common.holdings import Trace
from apps.common.validation import checked_body
from apps.privacy.api.serializers import ErasureBody, ReceiptSerializer
from apps.privacy.erasure import person_erase, receipt_keep

ERASED_KINDS = ("face", "attribute", "face_sample", "body_sample", "image")
FACE = "aa409e7b-40b5-41a7-9c92-4c3c6e3cbb0a"
BODIES: dict[str, Any] = {"by face": {"face_id": FACE}, "by external id": {"external_id": "guest-17", "dry_run": True}}
RECEIPT = {
    "receipt_id": "0f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b",
    "time": "2026-11-23T16:30:30.061260Z",
    "subject": f"face {FACE}",
    "dry_run": False,
    "faces": [FACE],
    "temporary_attributes": 1,
    "events": ["d85d5057-1c0f-4f0e-9a55-2d5e5f0f7a11"],
    "mentions": 0,
    "callbacks": 0,
    "tasks": [],
    "schedules": [],
    "task_errors": 0,
    "objects": ["visionlabs-samples/5a44/5a44bab9-5d6f-4b43-9d4a-0a7f2b6f3c5d.jpg"],
    "person_groups": [],
    "enrolled_faces": [],
    "list_segments": 1,
    "files_left": [],
}


class ErasuresView(LunaView):
    """Erasures of people of the account."""

    permissions: ClassVar = {"POST": BY_BODY}
    licensed = False  # the right of a person does not end with a licence

    @extend_schema(
        summary="Erase a person",
        description="Erases everything that the account holds about a person: the faces with this id or external id, "
        "their descriptors and attributes, and the samples and images that they and their events refer to. Events of "
        "the person keep time and place. Events of others lose their matches with the person.\n\n"
        "A token needs `deletion` of face, attribute, face_sample, body_sample and image. "
        "The operator keeps the receipt.",
        request=ErasureBody,
        responses={201: ReceiptSerializer},
        examples=[
            *(
                OpenApiExample(name, value=value, request_only=True, media_type=media_type)
                for media_type in ("application/json", "application/msgpack")
                for name, value in BODIES.items()
            ),
            OpenApiExample("receipt", value=RECEIPT, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        body = checked_body(ErasureBody, request)
        for kind in ERASED_KINDS:
            require_right(principal_of_request(request), kind, DELETION)
        trace = Trace(
            face_id=body.get("face_id"),
            external_id=body.get("external_id"),
            account_id=write_account(request),
            actor=actor_of(request),
        )
        receipt = person_erase(trace=trace, dry_run=body["dry_run"])
        if receipt.is_empty:
            raise (
                LunaError(errors.FACE_NOT_FOUND, trace.face_id)
                if trace.face_id
                else LunaError(errors.FACE_EXTERNAL_ID_NOT_FOUND, trace.external_id, status=404)
            )
        if not receipt.dry_run:
            receipt_keep(receipt=receipt)
        return Response(receipt.members(), status=status.HTTP_201_CREATED)
