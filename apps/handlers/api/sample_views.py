"""Views of POST /6/detector and POST /6/extractor."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, principal_of_request
from apps.common.api.views import LunaView
from apps.common.parts import HANDLERS, IMAGE_STORE
from apps.common.validation import checked_data, checked_query
from apps.handlers.api.sample_serializers import (
    DetectorQuery,
    ExtractorQuery,
    SampleIds,
)
from apps.handlers.messages import GeneratedAttributeJson, face_attributes_block
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.samples import attributes_extract, faces_detect
from apps.handlers.shapes import DetectionsJson, detections_body
from apps.handlers.types import EventParams
from apps.recognition.api.inputs import read_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.inputs.types import Rules

SAMPLE_IDS = {"type": "array", "items": {"type": "string", "format": "uuid"}}


class DetectorView(LunaView):
    parts = (HANDLERS, IMAGE_STORE)
    permissions: ClassVar = {"POST": ("face_sample", "creation")}

    @extend_schema(
        summary="detect faces",
        description="Detects faces and stores a sample of each face.",
        parameters=[DetectorQuery],
        request=image_request(),
        responses={201: DetectionsJson},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(DetectorQuery, request)
        principal = principal_of_request(request)
        inputs = read_inputs(request, Rules(image_type=query["image_type"]), account_id=principal.account_id)
        run = faces_detect(
            principal=principal,
            inputs=inputs,
            policies=query["policies"],
            params=EventParams(use_exif=query["use_exif_info"]),
        )
        return Response(detections_body(run), status=status.HTTP_201_CREATED)


class ExtractorView(LunaView):
    parts = (HANDLERS, IMAGE_STORE)
    permissions: ClassVar = {"POST": ("attribute", "creation")}

    @extend_schema(
        summary="extract attributes",
        description="Creates temporary attributes from stored face samples. The body is an array of sample ids.",
        parameters=[ExtractorQuery],
        request=dict.fromkeys(("application/json", "application/msgpack"), SAMPLE_IDS),
        responses={201: list[GeneratedAttributeJson]},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(ExtractorQuery, request)
        sample_ids = checked_data(SampleIds, {"samples": request.data})["samples"]
        extracted = attributes_extract(
            principal=principal_of_request(request),
            sample_ids=tuple(dict.fromkeys(sample_ids)),
            policy=ExtractPolicy(
                extract_face_descriptor=query["extract_descriptor"],
                extract_basic_attributes=query["extract_basic_attributes"],
                fd_score_threshold=query["fd_score_threshold"],
                descriptor_version=query.get("descriptor_version"),
            ),
            together=query["aggregate_attributes"],
            ttl_s=query.get("ttl"),
            actor=actor_of(request),
        )
        return Response([face_attributes_block(event) for event in extracted], status=status.HTTP_201_CREATED)
