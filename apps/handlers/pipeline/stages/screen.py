"""Stage `screen`: draft events of the persons within the limits of the policies."""

from dataclasses import replace

from apps.handlers.pipeline.drafts import events_of_descriptors, events_of_persons
from apps.handlers.pipeline.run import Run
from apps.recognition.run.pictures import check_one_person, screen_pictures
from apps.recognition.types import MultifacePolicy


def screen(run: Run) -> Run:
    """Split the persons of each picture by the limits, and draft an event of each person within them.

    A request that aggregates gives one event of all persons. Each descriptor that replaces a picture gives an event
    without limits. Raises LunaError MULTIPLE_FACES_FOUND or MULTIPLE_BODIES_IN_IMAGE if a picture to aggregate shows
    several persons, unless the policy selects the best one.
    """
    if run.params.aggregate and run.policies.detect_policy.multiface_policy is not MultifacePolicy.BEST:
        check_one_person(run.results)
    pictures = screen_pictures(run.inputs.pictures, run.results, run.request.limits)
    persons = [person for picture in pictures for person in picture.persons]
    events = (*events_of_persons(run, persons), *events_of_descriptors(run))
    return replace(run, pictures=tuple(pictures), events=events)
