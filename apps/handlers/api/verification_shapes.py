"""Response bodies of verifications, built from their result."""

from collections.abc import Iterable, Sequence
from typing import TypedDict, cast

from apps.faces.shapes import FACE_TARGETS
from apps.handlers.messages import FaceSampleJson, GeneratedAttributeJson, face_attributes_block, sample_block
from apps.handlers.shapes import (
    ImageOutcomeJson,
    RejectedFacesJson,
    image_block,
    picture_image,
    rejected_faces,
)
from apps.handlers.types import GeneratedEvent
from apps.handlers.verification import Verification
from apps.matching.api.shapes import RawMatchJson
from apps.matching.shapes import ATTRIBUTE_TARGETS, MatchResultJson, match_shape
from apps.matching.types import Match
from apps.matching.verification import EVENT_MEMBERS, Verified
from apps.recognition.run.facade import unavailable_estimations
from apps.recognition.shapes import UnavailableJson


class VerificationJson(MatchResultJson):
    """Comparison with one candidate. `status`: whether the similarity is greater than the verifier's threshold."""

    status: bool


class SampleOfFaceJson(TypedDict):
    face: FaceSampleJson | None


class VerifiedFaceJson(TypedDict):
    """A face with its comparisons, in the order of the query's ids. `sample.face` is null for a descriptor."""

    sample: SampleOfFaceJson
    face_attributes: GeneratedAttributeJson
    verifications: list[VerificationJson]


class VerifiedFacesJson(TypedDict):
    face_detections: list[VerifiedFaceJson]


class ImageVerificationsJson(ImageOutcomeJson):
    """Status and faces of one image or descriptor file."""

    detections: VerifiedFacesJson


class VerificationsJson(TypedDict):
    images: list[ImageVerificationsJson]
    filtered_detections: RejectedFacesJson
    unavailable_estimations: UnavailableJson


class RawVerificationJson(RawMatchJson):
    status: bool


class RawReferenceVerificationsJson(TypedDict):
    reference_id: str
    matches: list[RawVerificationJson]


class RawVerificationsJson(TypedDict):
    """References with all candidates of each, in the order of the request."""

    matches: list[RawReferenceVerificationsJson]


def verifications_body(verification: Verification) -> VerificationsJson:
    """Return the response body of `POST /6/verifiers/{verifier_id}/verifications`."""
    run = verification.run
    shown = run.shown
    faces = zip(run.events, verification.comparisons, strict=True)
    of_persons = [(event.persons[0], _face(event, verified, shown)) for event, verified in faces if event.persons]
    of_descriptors = iter(
        _face(event, verified, shown)
        for event, verified in zip(run.events, verification.comparisons, strict=True)
        if not event.persons
    )
    return {
        "images": [
            *(
                _image(picture_image(each), [face for person, face in of_persons if person.picture is each.picture])
                for each in run.pictures
            ),
            *(
                _image(image_block(file.filename, file.error), [next(of_descriptors) for _ in file.descriptors])
                for file in run.inputs.descriptors
            ),
        ],
        "filtered_detections": rejected_faces([each for picture in run.pictures for each in picture.rejected], shown),
        "unavailable_estimations": unavailable_estimations(run.request.plan.optional),
    }


def raw_verifications_body(
    references: Iterable[str], candidates: Sequence[str], similarities: Iterable[Sequence[float]], threshold: float
) -> RawVerificationsJson:
    """Return the response body of `POST /6/verifiers/{verifier_id}/raw`: ids, and a row of similarities each."""
    return {
        "matches": [
            {
                "reference_id": reference,
                "matches": [
                    {"candidate_id": candidate, "similarity": similarity, "status": similarity > threshold}
                    for candidate, similarity in zip(candidates, row, strict=True)
                ],
            }
            for reference, row in zip(references, similarities, strict=True)
        ]
    }


def _image(image: ImageOutcomeJson, faces: list[VerifiedFaceJson]) -> ImageVerificationsJson:
    return {**image, "detections": {"face_detections": faces}}


def _face(event: GeneratedEvent, verified: Sequence[Verified], shown: frozenset[str]) -> VerifiedFaceJson:
    return {
        "sample": {"face": sample_block(event.persons[0], shown) if event.persons else None},
        "face_attributes": face_attributes_block(event),
        "verifications": [_verification(each) for each in verified],
    }


def _verification(verified: Verified) -> VerificationJson:
    return cast(VerificationJson, {**match_shape(verified.match, _targets(verified.match)), "status": verified.status})


def _targets(match: Match) -> frozenset[str]:
    if match.face is not None:
        return frozenset(FACE_TARGETS)
    return EVENT_MEMBERS if match.event is not None else frozenset(ATTRIBUTE_TARGETS)
