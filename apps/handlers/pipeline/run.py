"""The run: one request on its way through the stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from apps.accounts.auth.principal import Principal
from apps.common.clock import Clock
from apps.handlers.policies import Policies
from apps.handlers.types import EventParams, GeneratedEvent
from apps.imagestore.types import NewObject
from apps.recognition.inputs.types import Inputs
from apps.recognition.request.build import RecognitionRequest
from apps.recognition.run.pictures import RecognisedPicture
from apps.recognition.types import ImageResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Everything that the stages of one request know. A stage returns a copy with its own members filled.

    `recognise` fills `results`, one for each picture of `inputs`; `screen` fills `pictures` and `events`; `decide`
    fills `objects`, the files to store. `stage_ms`: wall clock of the stages in milliseconds, by name.
    """

    principal: Principal
    policies: Policies
    inputs: Inputs = field(default_factory=Inputs)
    params: EventParams = field(default_factory=EventParams)
    handler_id: UUID | None = None
    results: tuple[ImageResult, ...] = ()
    pictures: tuple[RecognisedPicture, ...] = ()
    events: tuple[GeneratedEvent, ...] = ()
    objects: tuple[NewObject, ...] = ()
    stage_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def account_id(self) -> UUID:
        """The account that owns what the run stores."""
        return self.principal.account_id

    @property
    def shown(self) -> frozenset[str]:
        """Names of the estimations that answers and messages hold."""
        return self.policies.detect_policy.shown

    @property
    def request(self) -> RecognitionRequest:
        """What the policies ask of the pictures. A picture that is a stored sample is not stored again."""
        storage = self.policies.storage_policy
        return self.policies.recognition_request(
            use_exif=self.params.use_exif,
            face_warps=storage.face_sample_policy.store_sample
            and any(each.sample_id is None for each in self.inputs.pictures),
            body_warps=storage.body_sample_policy.store_sample,
        )


Stage = Callable[[Run], Run]


def execute(run: Run, stages: Sequence[Stage]) -> Run:
    """Return the run after these stages, each timed. Raises what the stages raise."""
    clock = Clock()
    for stage in stages:
        with clock.stage(stage.__name__):
            run = stage(run)
    return replace(run, stage_ms={**run.stage_ms, **clock.stage_ms})
