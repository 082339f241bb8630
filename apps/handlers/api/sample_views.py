"""POST /6/detector and /6/extractor."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, write_account
from apps.common.addresses import address
from apps.common.api.views import LunaView
from apps.common.links import links
from apps.common.validation import checked_data, checked_query
from apps.handlers.api.sample_serializers import (
    DetectorAnswer,
    DetectorQuery,
    ExtractedSerializer,
    ExtractorQuery,
    SampleIds,
)
from apps.handlers.api.shapes import filtered_block, image_block
from apps.handlers.messages import sample_block
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.samples import Extracted, ImageDetections, attributes_extract, faces_detect
from apps.recognition.api.inputs import read_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.inputs.types import Rules
from apps.recognition.shapes import estimation_block

SAMPLE_IDS = {"type": "array", "items": {"type": "string", "format": "uuid"}}


class DetectorView(LunaView):
    permissions: ClassVar = {"POST": ("face_sample", "creation")}

    @extend_schema(
        summary="detect faces",
        description="Finds faces and stores a sample of each.",
        parameters=[DetectorQuery],
        request=image_request(),
        responses={201: DetectorAnswer},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(DetectorQuery, request)
        account_id = write_account(request)
        inputs = read_inputs(request, Rules(image_type=query["image_type"]), account_id=account_id)
        found = faces_detect(
            account_id=account_id, inputs=inputs, policies=query["policies"], use_exif=query["use_exif_info"]
        )
        shown = query["policies"].detect_policy.shown
        return Response({"images": [_image(each, shown) for each in found]}, status=status.HTTP_201_CREATED)


def _image(found: ImageDetections, shown: frozenset[str]) -> dict[str, Any]:
    return image_block(found.outcome) | {
        "detections": {
            "samples": [{"face": sample_block(sighting, shown)} for sighting in found.sightings],
            "filtered_detections": {"face_detections": filtered_block(found.rejected, shown)["face_detections"]},
        }
    }


class ExtractorView(LunaView):
    permissions: ClassVar = {"POST": ("attribute", "creation")}

    @extend_schema(
        summary="extract attributes",
        description="Temporary attributes from stored face samples; the body is an array of their ids.",
        parameters=[ExtractorQuery],
        request=dict.fromkeys(("application/json", "application/msgpack"), SAMPLE_IDS),
        responses={201: ExtractedSerializer(many=True)},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(ExtractorQuery, request)
        sample_ids = checked_data(SampleIds, {"samples": request.data})["samples"]
        extracted = attributes_extract(
            account_id=write_account(request),
            sample_ids=tuple(dict.fromkeys(sample_ids)),
            policy=ExtractPolicy(
                extract_face_descriptor=query["extract_descriptor"],
                extract_basic_attributes=query["extract_basic_attributes"],
                fd_score_threshold=query["fd_score_threshold"],
            ),
            version=query.get("descriptor_version") if query["extract_descriptor"] else None,
            together=query["aggregate_attributes"],
            ttl_s=query.get("ttl"),
            actor=actor_of(request),
        )
        return Response([_extracted(each) for each in extracted], status=status.HTTP_201_CREATED)


def _extracted(extracted: Extracted) -> dict[str, Any]:
    return {
        "attribute_id": str(extracted.attribute_id),
        **links(address("attribute", extracted.attribute_id)),
        "samples": [str(sample) for sample in extracted.samples],
        "score": None if extracted.score is None else round(extracted.score, 4),
        "basic_attributes": estimation_block("basic_attributes", extracted.basic_attributes),
    }
