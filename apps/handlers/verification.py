"""Verification: the faces of pictures compared with the candidates of a request, by the policies of a verifier."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from apps.accounts.auth.principal import Principal
from apps.common import errors
from apps.common.config import PlatformLimits, config
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.parts import IMAGE_STORE, part_check
from apps.common.scope import Scope
from apps.handlers.models import Verifier
from apps.handlers.pipeline.run import Run, execute
from apps.handlers.pipeline.stages.decide import decide
from apps.handlers.pipeline.stages.recognise import recognise
from apps.handlers.pipeline.stages.screen import screen
from apps.handlers.pipeline.stages.write import write
from apps.handlers.policies.verifier import VerifierPolicies, verifier_policies_cached
from apps.handlers.types import EventParams, GeneratedEvent
from apps.matching.references import CountLimit
from apps.matching.types import Probe, Reference
from apps.matching.verification import Verified, candidates_resolve, verify
from apps.recognition.inputs.types import DescriptorFile, Inputs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verification:
    """Result of a request: the run with an event of each face, and the comparisons of each event in this order."""

    run: Run
    comparisons: tuple[tuple[Verified, ...], ...]


def candidate_limit(most: int | None = None) -> CountLimit:
    """Return the limit of candidates: LunaError TOO_MANY_CANDIDATES above `most`, by default `candidate_limit`."""
    if most is None:
        most = config(PlatformLimits).match.candidate_limit
    return CountLimit(most, lambda count, limit: LunaError(errors.TOO_MANY_CANDIDATES, count, limit))


def policies_of(verifier: Verifier) -> VerifierPolicies:
    """Return the stored policies. Raises LunaError HANDLER_CORRUPTED if this version cannot read them."""
    try:
        return verifier_policies_cached(verifier.policies)
    except LunaError as error:
        raise LunaError(errors.HANDLER_CORRUPTED, verifier.verifier_id) from error


def verifications_make(
    *,
    principal: Principal,
    policies: VerifierPolicies,
    candidates: Sequence[Reference],
    inputs: Inputs,
    params: EventParams,
) -> Verification:
    """Compare each face of the inputs with all candidates, and store samples and attributes by the policies.

    The candidates are objects of the principal's account. They are read before the pictures are recognised. Raises
    LunaError NO_CANDIDATES, TOO_MANY_CANDIDATES, ESTIMATOR_NOT_INITIALIZED without a network for face descriptors,
    IMAGE_STORE_DISABLED for a policy that stores samples, the errors of `candidates_resolve`, and those of the stages
    `recognise`, `screen` and `write`.
    """
    tried = verifications_try(
        principal=principal, policies=policies, candidates=candidates, inputs=inputs, params=params
    )  # fmt: skip
    return replace(tried, run=execute(tried.run, (write,)))


def verifications_try(
    *,
    principal: Principal,
    policies: VerifierPolicies,
    candidates: Sequence[Reference],
    inputs: Inputs,
    params: EventParams,
) -> Verification:
    """Compare as `verifications_make` does, and decide what it would store, without writing.

    Raises the errors of `verifications_make` except those of `write`.
    """
    if not candidates:
        raise LunaError(errors.NO_CANDIDATES)
    if policies.storage_policy.needs_image_store:
        part_check(IMAGE_STORE)
    version = versions.default("face")
    resolved = candidates_resolve(
        scope=Scope(principal.account_id), references=candidates, version=version, limit=candidate_limit()
    )
    run = Run(
        principal=principal, policies=policies.policies, inputs=_comparable(inputs, version), params=params
    )  # fmt: skip
    run = execute(run, (recognise, screen))
    comparisons = verify(
        probes=[_probe(event) for event in run.events], candidates=resolved, threshold=policies.verification_threshold
    )
    return Verification(run=execute(run, (decide,)), comparisons=tuple(comparisons))


def _comparable(inputs: Inputs, version: DescriptorVersion) -> Inputs:
    """Return the inputs; a file with a descriptor of another version (of a body, too) gets an error.

    Raises this error if the file is the whole body of the request.
    """
    files = [_checked(file, version) for file in inputs.descriptors]
    if inputs.alone:
        for file in files:
            if file.error is not None:
                raise file.error
    return replace(inputs, descriptors=tuple(files))


def _checked(file: DescriptorFile, version: DescriptorVersion) -> DescriptorFile:
    other: Any = next((each for each, _ in file.descriptors if each != version), None)
    if other is None:
        return file
    error = LunaError(errors.DESCRIPTOR_VERSION_MISMATCH, other.version, version.version)
    return replace(file, descriptors=(), error=error)


def _probe(event: GeneratedEvent) -> Probe:
    if event.descriptor is None:  # the estimator is switched off
        raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, "face_descriptor")
    return Probe(str(event.draft.event_id), "raw_descriptor", event.descriptor.version, event.descriptor.vector)
