"""Between policies and the recognition room: the plan, and what became of the pictures."""

from collections.abc import Sequence

from apps.handlers.policies import Policies
from apps.handlers.types import ImageOutcome, Sighting
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.run.pictures import RecognisedPicture
from apps.recognition.types import Plan


def plan_of(policies: Policies, *, use_exif: bool) -> Plan:
    """What the engine is asked for."""
    detect, storage = policies.detect_policy, policies.storage_policy
    return Plan(
        detect_face=detect.detect_face,
        detect_body=detect.detect_body,
        estimators=policies.estimators,
        multiface=detect.multiface_policy,
        use_exif=use_exif,
        extract_exif=detect.extract_exif,
        warp=storage.face_sample_policy.store_sample,
        body_warp=storage.body_sample_policy.store_sample,
    )


def sightings_of(seen: Sequence[RecognisedPicture]) -> list[Sighting]:
    """The people who go on, of all pictures."""
    return [
        Sighting(picture=each.picture, face=person.face, body=person.body) for each in seen for person in each.persons
    ]


def outcome_of(seen: RecognisedPicture) -> ImageOutcome:
    people = seen.result.estimations.get("people_count")
    return ImageOutcome(
        filename=seen.filename,
        error=seen.result.error,
        people=people if isinstance(people, PeopleCount) else None,
        exif=seen.result.exif,
    )
