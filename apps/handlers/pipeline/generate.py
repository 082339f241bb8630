"""Event generation: the stages in their order."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from uuid import UUID

from apps.accounts.auth.principal import Principal
from apps.common.parts import IMAGE_STORE, SENDER, part_check
from apps.handlers.pipeline.enrolment import enrolling
from apps.handlers.pipeline.run import Run, execute
from apps.handlers.pipeline.stages.decide import decide
from apps.handlers.pipeline.stages.fill import fill
from apps.handlers.pipeline.stages.match import match
from apps.handlers.pipeline.stages.notify import notify
from apps.handlers.pipeline.stages.recognise import recognise
from apps.handlers.pipeline.stages.screen import screen
from apps.handlers.pipeline.stages.tag import tag
from apps.handlers.pipeline.stages.write import write
from apps.handlers.policies import Policies
from apps.handlers.types import EventParams
from apps.licenses.services import faces_allow
from apps.recognition.inputs.types import Inputs

RECOGNITION = (recognise, screen, fill)
DECISION = (match, tag, decide)
NO_CONTEXT = nullcontext()


def generate_events(
    *, principal: Principal, handler_id: UUID | None, policies: Policies, inputs: Inputs, params: EventParams
) -> Run:
    """Generate events, store them and notify their receivers by the policies.

    Each person gives an event; a request that aggregates gives one event of all persons. An invalid picture does not
    affect the other pictures. Its error is raised only if it is the single picture of the request. Raises LunaError
    SENDER_DISABLED or IMAGE_STORE_DISABLED for policies that need what is disabled, those of `faces_allow` for policies
    that store faces, and the errors of `recognise`, `screen`, `match` and `write`.
    """
    run = Run(principal=principal, policies=policies, inputs=inputs, params=params, handler_id=handler_id)
    return events_store(events_recognise(run))


def events_try(*, principal: Principal, policies: Policies, inputs: Inputs, params: EventParams) -> Run:
    """Recognise, match, tag and decide as `generate_events` does, without writing or sending anything.

    `events` of the run have their decisions, `objects` what would be stored. Event plugins that fill `meta` do run.
    Raises the errors of `generate_events` except those of `write`.
    """
    screened = events_recognise(Run(principal=principal, policies=policies, inputs=inputs, params=params))
    with enrolling(screened, execute(screened, DECISION)) as decided:
        return decided


def policies_licensed(policies: Policies) -> None:
    """Check that the licence includes all that policies ask for. Raises the errors of the licence."""
    if policies.storage_policy.face_policy.store_face:
        faces_allow(0)
    policies.recognition_request(use_exif=True, face_warps=False, body_warps=False)


def events_recognise(run: Run) -> Run:
    """Recognise and screen the pictures of a run, without writing. Raises the errors of `generate_events`."""
    storage = run.policies.storage_policy
    if storage.needs_sender:
        part_check(SENDER)
    if storage.needs_image_store:
        part_check(IMAGE_STORE)
    if storage.face_policy.store_face:
        faces_allow(0)
    return execute(run, RECOGNITION)


def events_store(
    screened: Run, *, within: AbstractContextManager[None] = NO_CONTEXT, also: Callable[[Run], None] | None = None
) -> Run:
    """Match, decide and store the events of a run of `events_recognise`, and notify their receivers.

    `within`: a transaction that the writes join. `also`: further writes of it, which get the stored run. Raises the
    errors of `generate_events`.
    """
    with enrolling(screened, execute(screened, DECISION)) as decided, within:
        written = execute(decided, (write,))
        if also is not None:
            also(written)
    return execute(written, (notify,))
