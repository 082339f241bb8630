"""Photographs of an operator: recognised and matched without storing anything, or enrolled as a face."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.utils.translation import gettext as _

from apps.accounts.auth.principal import Principal
from apps.common import errors
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.refusals import refusal_text
from apps.common.scope import Scope
from apps.faces.models import Face
from apps.faces.selectors import lists_check
from apps.handlers.config import HandlersLimits
from apps.handlers.pipeline.run import Run, execute
from apps.handlers.pipeline.stages.decide import decide
from apps.handlers.pipeline.stages.match import match
from apps.handlers.pipeline.stages.recognise import recognise
from apps.handlers.pipeline.stages.screen import screen
from apps.handlers.pipeline.stages.write import write
from apps.handlers.policies import Policies
from apps.handlers.policies.detect import FACE_FLAGS, DetectPolicy
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.policies.match import MatchPolicy, PolicyCandidates
from apps.handlers.policies.storage import EventPolicy, FacePolicy, LinkPolicy, NotificationPolicy, StoragePolicy
from apps.handlers.types import EventParams
from apps.matching.candidates import FACES
from apps.recognition.inputs.types import Inputs, Picture
from apps.recognition.run.facade import available_estimators
from apps.recognition.types import ImageInput, MultifacePolicy
from apps.workbench.errors import WorkbenchError
from apps.workbench.texts import checked_external_id, checked_name

CANDIDATES_SHOWN = 5
LABEL = "candidates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """An enrolled face. `refused`: the photographs that it does not contain, by name, with the sentence of each."""

    face_id: UUID
    refused: dict[str, str] = field(default_factory=dict)
    already: bool = False


def photograph_try(*, principal: Principal, image: ImageInput, list_id: UUID | None, detailed: bool) -> Run:
    """Recognise a photograph, and match its faces with the faces of a list, or of the account.

    `detailed`: all face estimations that the platform has networks for. Nothing is stored. Raises LunaError for a
    photograph that cannot be read, and LISTS_NOT_FOUND for an unknown list.
    """
    filters = {}
    if list_id is not None:
        lists_check(scope=Scope(principal.account_id), list_ids=[list_id])
        filters = {"list_id": list_id}
    shown = available_estimators() & {*FACE_FLAGS.values(), "liveness"} if detailed else frozenset()
    policies = Policies(
        detect_policy=DetectPolicy(shown=frozenset(shown)),
        extract_policy=ExtractPolicy(
            extract_basic_attributes=detailed and "basic_attributes" in available_estimators()
        ),
        match_policy=(
            MatchPolicy(
                label=LABEL, candidates=PolicyCandidates(origin=FACES, filters=filters), limit=CANDIDATES_SHOWN
            ),
        ),
    )
    run = Run(principal=principal, policies=policies, inputs=_inputs([image]))
    return execute(run, (recognise, screen, match))


def photographs_enrol(
    *,
    principal: Principal,
    images: Sequence[ImageInput],
    face_id: UUID,
    name: str,
    external_id: str = "",
    list_ids: Sequence[UUID] = (),
) -> Enrolled:
    """Create a face of one person from photographs of that person, with its samples and lists.

    `face_id` makes the call idempotent: a face of this id is returned unchanged. Photographs that cannot be used are
    left out, unless all are. Raises WorkbenchError for a bad name and for too many photographs; LunaError
    NO_FACES_FOUND, MULTIPLE_FACES_FOUND, LISTS_NOT_FOUND, and the error of a single photograph.
    """
    account_id = principal.account_id
    if Face.objects.for_account(account_id).filter(face_id=face_id).exists():
        return Enrolled(face_id=face_id, already=True)
    name, external_id = checked_name(name), checked_external_id(external_id)
    most = config(HandlersLimits).received_images_limit
    if len(images) > most:
        raise WorkbenchError(
            _("One face has at most %(most)d photographs, got %(got)d. Choose the best ones.")
            % {"most": most, "got": len(images)}
        )
    lists_check(scope=Scope(account_id), list_ids=list_ids)
    links = tuple(LinkPolicy(list_id=list_id) for list_id in list_ids)
    policies = Policies(
        detect_policy=DetectPolicy(multiface_policy=MultifacePolicy.NOT_ALLOWED),
        extract_policy=ExtractPolicy(extract_basic_attributes="basic_attributes" in available_estimators()),
        storage_policy=StoragePolicy(
            face_policy=FacePolicy(store_face=True, link_to_lists_policy=links),
            event_policy=EventPolicy(store_event=False),
            notification_policy=NotificationPolicy(send_notification=False),
        ),
    )
    params = EventParams(user_data=name, external_id=external_id, aggregate=len(images) > 1)
    run = execute(Run(principal=principal, policies=policies, inputs=_inputs(images), params=params), (recognise,))
    refused = {
        result.filename: photograph_refusal(result.error or LunaError(errors.NO_FACES_FOUND))
        for result in run.results
        if result.error is not None or not result.faces
    }
    run = execute(run, (screen,))
    if not run.events:
        raise next((each.error for each in run.results if each.error), LunaError(errors.NO_FACES_FOUND))
    run = execute(run, (decide,))
    (event,) = run.events
    if event.face is None:
        raise LunaError(errors.NO_FACES_FOUND)
    event = replace(event, face=replace(event.face, face_id=face_id, event_id=None))  # no event is stored
    execute(replace(run, events=(event,)), (write,))
    return Enrolled(face_id=face_id, refused=refused)


def photograph_refusal(error: LunaError) -> str:
    """Return the sentence of an error of a photograph for an operator."""
    megapixels, megabytes = config(Images).max_pixels / 1e6, config(Images).max_bytes / 1024**2
    sentences = {
        errors.BAD_IMAGE: _("This file is no photograph in a known format, or it is damaged. Choose another file."),
        errors.NO_DATA: _("This file is empty. Choose another file."),
        errors.NO_FACES_FOUND: _(
            "No face was found. Choose a photograph that shows the face larger and from the front."
        ),
        errors.MULTIPLE_FACES_FOUND: _(
            "This photograph shows several faces. Choose one of them on the page “Try photographs”."
        ),
        errors.INVALID_IMAGE_SIZE: _("This photograph is too large: at most %(megapixels)d megapixels are accepted."),
        errors.PAYLOAD_TOO_LARGE: _("This file is too large: at most %(megabytes)d MiB are accepted."),
    }
    sentence = sentences.get(error.code, refusal_text(error).replace("%", "%%"))
    return sentence % {"megapixels": megapixels, "megabytes": megabytes}


def _inputs(images: Sequence[ImageInput]) -> Inputs:
    return Inputs(pictures=tuple(Picture(image=image) for image in images), alone=len(images) == 1)
