"""Response bodies of event generation and of the detector, built from a run."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from apps.common.errors import LunaError
from apps.handlers.messages import (
    FaceSampleJson,
    GeneratedEventJson,
    event_block,
    sample_block,
)
from apps.handlers.pipeline.run import Run
from apps.recognition.engine.exif import ExifJson
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.run.facade import unavailable_estimations
from apps.recognition.run.pictures import RecognisedPicture, Rejected
from apps.recognition.shapes import (
    BodyDetectionJson,
    FaceDetectionJson,
    PeopleJson,
    ReasonJson,
    StatusJson,
    UnavailableJson,
    body_detection_block,
    exif_block,
    face_detection_block,
    people_block,
    reasons_block,
    status_block,
)


class ImageOutcomeJson(StatusJson):
    """Status of one image. `exif` and `people` are null if they are not requested."""

    exif: ExifJson | None


class ImagePeopleJson(ImageOutcomeJson):
    """Status of one image. `exif` and `people` are null if they are not requested."""

    people: PeopleJson | None


class RejectedFaceSampleJson(TypedDict):
    detection: FaceDetectionJson


class RejectedFaceDetectionJson(TypedDict):
    sample: RejectedFaceSampleJson


class RejectedFaceJson(TypedDict):
    """A face that failed a limit."""

    filename: str
    filter_reasons: list[ReasonJson]
    detection: RejectedFaceDetectionJson


class RejectedBodySampleJson(TypedDict):
    detection: BodyDetectionJson


class RejectedBodyDetectionJson(TypedDict):
    sample: RejectedBodySampleJson


class RejectedBodyJson(TypedDict):
    """The body of a person whose face failed a limit."""

    filename: str
    filter_reasons: list[ReasonJson]
    detection: RejectedBodyDetectionJson


class RejectedFacesJson(TypedDict):
    face_detections: list[RejectedFaceJson]


class RejectedJson(RejectedFacesJson):
    """Persons that failed a limit."""

    body_detections: list[RejectedBodyJson]


class GenerationJson(TypedDict):
    images: list[ImagePeopleJson]
    events: list[GeneratedEventJson]
    filtered_detections: RejectedJson
    unavailable_estimations: UnavailableJson


class DetectedSampleJson(TypedDict):
    face: FaceSampleJson | None


class DetectedSamplesJson(TypedDict):
    samples: list[DetectedSampleJson]
    filtered_detections: RejectedFacesJson


class ImageDetectionsJson(ImageOutcomeJson):
    """Status and faces of one image."""

    detections: DetectedSamplesJson


class DetectionsJson(TypedDict):
    images: list[ImageDetectionsJson]
    unavailable_estimations: UnavailableJson


def generation_body(run: Run) -> GenerationJson:
    """Return the response body of `POST /6/handlers/{handler_id}/events`."""
    with_coordinates = run.policies.detect_policy.people_count_coordinates
    return {
        "images": [
            *(_counted(picture_image(each), _people(each, with_coordinates)) for each in run.pictures),
            *(_counted(image_block(each.filename, each.error), None) for each in run.inputs.descriptors),
        ],
        "events": [event.message["event"] if event.message else event_block(event, run.shown) for event in run.events],
        "filtered_detections": _rejected([each for picture in run.pictures for each in picture.rejected], run.shown),
        "unavailable_estimations": unavailable_estimations(run.request.plan.optional),
    }


def detections_body(run: Run) -> DetectionsJson:
    """Return the response body of `POST /6/detector`: accepted and rejected persons of each picture."""
    persons = [person for event in run.events for person in event.persons]
    return {
        "images": [
            {
                **picture_image(picture),
                "detections": {
                    "samples": [
                        {"face": sample_block(person, run.shown)}
                        for person in persons
                        if person.picture is picture.picture
                    ],
                    "filtered_detections": rejected_faces(picture.rejected, run.shown),
                },
            }
            for picture in run.pictures
        ],
        "unavailable_estimations": unavailable_estimations(run.request.plan.optional),
    }


def picture_image(picture: RecognisedPicture) -> ImageOutcomeJson:
    """Return the status of a picture, with its EXIF data."""
    return image_block(picture.filename, picture.result.error, picture.result.exif)


def image_block(filename: str, error: LunaError | None, exif: Mapping[str, object] | None = None) -> ImageOutcomeJson:
    """Return `{filename, status, error, exif}`; `status` is 1 without an error and 0 with one."""
    return {**status_block(filename, error), "exif": exif_block(exif)}


def _counted(image: ImageOutcomeJson, people: PeopleJson | None) -> ImagePeopleJson:
    return {**image, "people": people}


def _people(picture: RecognisedPicture, with_coordinates: bool) -> PeopleJson | None:
    people = picture.result.estimations.get("people_count")
    return people_block(people, with_coordinates=with_coordinates) if isinstance(people, PeopleCount) else None


def _rejected(rejected: Sequence[Rejected], shown: frozenset[str]) -> RejectedJson:
    return {
        **rejected_faces(rejected, shown),
        "body_detections": [
            {
                "filename": each.picture.image.filename,
                "filter_reasons": reasons_block(each.reasons),
                "detection": {"sample": {"detection": body_detection_block(each.body, shown)}},
            }
            for each in rejected
            if each.body is not None
        ],
    }


def rejected_faces(rejected: Sequence[Rejected], shown: frozenset[str]) -> RejectedFacesJson:
    """Return `{face_detections}`: rejected faces with their reasons."""
    return {
        "face_detections": [
            {
                "filename": each.picture.image.filename,
                "filter_reasons": reasons_block(each.reasons),
                "detection": {"sample": {"detection": face_detection_block(each.face, shown)}},
            }
            for each in rejected
        ]
    }
