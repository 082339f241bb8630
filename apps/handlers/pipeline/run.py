"""State of one request in the pipeline, and the execution of stages."""

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
    """Immutable state of one request. Each stage returns a copy with its own members filled.

    `recognise` fills `results`, one for each picture of `inputs`. `screen` fills `pictures` and `events`. `decide`
    fills `objects`, the files to store. `stage_ms`: wall-clock time of each stage in milliseconds, by name.
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
        """Account that owns the stored data."""
        return self.principal.account_id

    @property
    def shown(self) -> frozenset[str]:
        """Names of the estimations that responses and messages contain."""
        return self.policies.detect_policy.shown

    @property
    def request(self) -> RecognitionRequest:
        """Recognition request of the policies. Stored samples need no new sample."""
        storage = self.policies.storage_policy
        return self.policies.recognition_request(
            use_exif=self.params.use_exif,
            face_warps=storage.face_sample_policy.store_sample
            and any(each.sample_id is None for each in self.inputs.pictures),
            body_warps=storage.body_sample_policy.store_sample,
        )


Stage = Callable[[Run], Run]


def execute(run: Run, stages: Sequence[Stage]) -> Run:
    """Execute the stages in order, measure each, and return the final run. Raises the errors of the stages."""
    clock = Clock()
    for stage in stages:
        with clock.stage(stage.__name__):
            run = stage(run)
    return replace(run, stage_ms={**run.stage_ms, **clock.stage_ms})
