"""Services of the detector and the extractor: store samples of faces, extract attributes from samples."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from apps.accounts.auth.principal import Actor, Principal
from apps.common import errors
from apps.common.errors import LunaError
from apps.handlers.pipeline.run import Run, execute
from apps.handlers.pipeline.stages.decide import decide
from apps.handlers.pipeline.stages.recognise import recognise
from apps.handlers.pipeline.stages.screen import screen
from apps.handlers.pipeline.stages.write import write
from apps.handlers.policies import Policies
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.policies.storage import AttributePolicy, EventPolicy, StoragePolicy
from apps.handlers.types import EventParams, GeneratedEvent
from apps.recognition.inputs.loading import samples_load
from apps.recognition.inputs.types import Inputs, Picture

SAMPLES_ONLY = StoragePolicy(event_policy=EventPolicy(store_event=False))


def faces_detect(*, principal: Principal, inputs: Inputs, policies: Policies, params: EventParams) -> Run:
    """Store a sample of each face of each picture.

    Raises the errors of `recognise` and `write`, and the error of a single picture.
    """
    policies = replace(policies, storage_policy=SAMPLES_ONLY)
    run = Run(principal=principal, policies=policies, inputs=inputs, params=params)
    return execute(run, (recognise, screen, decide, write))


def attributes_extract(
    *,
    principal: Principal,
    sample_ids: Sequence[UUID],
    policy: ExtractPolicy,
    together: bool,
    ttl_s: int | None = None,
    actor: Actor,
) -> list[GeneratedEvent]:
    """Store temporary attributes of stored face samples: one of each sample, or one of all samples if `together`.

    A sample with a descriptor score below the policy's threshold gives none. Each read of a sample writes an audit
    line of `actor`. Raises LunaError NOTHING_TO_EXTRACT for a policy that extracts nothing, SAMPLE_NOT_FOUND for a
    sample that does not exist, the first error of a sample, and the errors of `recognise`.
    """
    if not policy.face_estimators:
        raise LunaError(errors.NOTHING_TO_EXTRACT)
    images = samples_load(sample_ids=sample_ids, account_id=principal.account_id, actor=actor)
    pictures = [Picture(image=image, sample_id=sample_id) for sample_id, image in zip(sample_ids, images, strict=True)]
    attribute = AttributePolicy(store_attribute=True, ttl=ttl_s)
    storage = replace(SAMPLES_ONLY, attribute_policy=attribute)
    run = Run(
        principal=principal,
        policies=Policies(extract_policy=policy, storage_policy=storage),
        inputs=Inputs(pictures=tuple(pictures)),
        params=EventParams(aggregate=together),
    )
    run = execute(run, (recognise, _all_recognised, screen, decide, write))
    return [event for event in run.events if event.attribute_id is not None]


def _all_recognised(run: Run) -> Run:
    """Return the run if all pictures were recognised, else raise their first error."""
    for result in run.results:
        if result.error is not None:
            raise result.error
    return run
