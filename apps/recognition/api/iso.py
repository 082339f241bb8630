"""View of POST /6/iso: checks of ISO/IEC 19794-5 with fixed thresholds. It stores nothing."""

from typing import Any, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api.views import LunaView
from apps.common.config import config
from apps.common.fields import FlagField
from apps.common.validation import checked_query
from apps.recognition.api.inputs import read_public_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.checks.evaluate import ESTIMATION, CheckReport, CheckReportJson
from apps.recognition.checks.table import ISO_THRESHOLDS
from apps.recognition.config import MissingNetworks
from apps.recognition.engine.exif import ExifJson
from apps.recognition.inputs.types import Rules
from apps.recognition.request.build import recognition_request
from apps.recognition.run.pictures import RecognisedPicture, recognise_pictures
from apps.recognition.shapes import StatusJson, exif_block, status_block
from apps.recognition.types import Face, ImageType, MultifacePolicy, RectJson

POLICIES = [(each.value, each.name) for each in MultifacePolicy]
# A body warp contains no usable face.
IMAGE_TYPES = [(each.value, each.name) for each in (ImageType.RAW, ImageType.FACE_WARP)]


class IsoQuery(serializers.Serializer[Any]):
    """Query of /6/iso: decoding of images, and the policy for several faces in one image."""

    multiface_policy = serializers.ChoiceField(choices=POLICIES, default=MultifacePolicy.NOT_ALLOWED.value)
    extract_exif = FlagField(default=False, help_text="Return `exif` of each image.")
    image_type = serializers.ChoiceField(choices=IMAGE_TYPES, default=ImageType.RAW.value)
    use_exif_info = FlagField(default=True, help_text="Turn pictures by their EXIF orientation.")


class IsoDetectionJson(TypedDict):
    rect: RectJson
    iso: CheckReportJson


class IsoFaceJson(TypedDict):
    detection: IsoDetectionJson


class IsoEstimationJson(TypedDict):
    face: IsoFaceJson


class IsoImageJson(StatusJson):
    """Status and faces of one image."""

    exif: ExifJson | None
    estimations: list[IsoEstimationJson]


class IsoAnswerJson(TypedDict):
    images: list[IsoImageJson]


class IsoView(LunaView):
    public = True
    resource = "iso"

    @extend_schema(
        summary="iso",
        description="Checks faces against ISO/IEC 19794-5. `unmeasured_checks` lists the checks that could not be "
        "measured; a setting determines whether they pass.",
        parameters=[IsoQuery],
        request=image_request(),
        responses={200: IsoAnswerJson},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(IsoQuery, request)
        rules = Rules(image_type=ImageType(query["image_type"]))
        asked = recognition_request(
            multiface=MultifacePolicy(query["multiface_policy"]),
            use_exif=query["use_exif_info"],
            extract_exif=query["extract_exif"],
            checks=ISO_THRESHOLDS,
            unmeasured_passes=not config(MissingNetworks).fail_iso_checks,
        )
        seen = recognise_pictures(read_public_inputs(request, rules), asked)
        return Response({"images": [_image(each) for each in seen]})


def _image(seen: RecognisedPicture) -> IsoImageJson:
    return {
        **status_block(seen.filename, seen.result.error),
        "exif": exif_block(seen.result.exif),
        "estimations": [{"face": {"detection": _detection(face)}} for face in seen.passed],
    }


def _detection(face: Face) -> IsoDetectionJson:
    report = face.estimations[ESTIMATION]
    assert isinstance(report, CheckReport)  # noqa: S101  # `check_faces` put it there
    return {"rect": face.rect.json(), "iso": report.json()}
