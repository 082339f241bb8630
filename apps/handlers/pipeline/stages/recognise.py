"""Stage `recognise`: run the networks over the pictures."""

from dataclasses import replace

from apps.common import errors
from apps.common.errors import LunaError
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import Policies
from apps.matching.references import reference_limit
from apps.recognition.inputs.types import DescriptorFile, Inputs
from apps.recognition.run.pictures import recognise_inputs


def recognise(run: Run) -> Run:
    """Recognise each picture by the policies, and check the descriptors that replace pictures.

    The result of an invalid picture holds its error; the error of a single picture is raised. Raises LunaError
    ESTIMATOR_NOT_INITIALIZED for an estimator that is not available, UNSUPPORTED_DESCRIPTOR_VERSION for a version
    without an installed network, NO_AGGREGATION_OF_DESCRIPTORS for descriptors to aggregate, TOO_MANY_REFERENCES for
    too many descriptors, INVALID_JSON for a single descriptor if the policies need a picture.
    """
    if run.params.aggregate and run.inputs.descriptors:
        raise LunaError(errors.NO_AGGREGATION_OF_DESCRIPTORS)
    inputs = replace(run.inputs, descriptors=_usable(run.inputs, run.policies))
    results = recognise_inputs(inputs, run.request)
    return replace(run, inputs=inputs, results=tuple(results))


def _usable(inputs: Inputs, policies: Policies) -> tuple[DescriptorFile, ...]:
    """Return the descriptor files; each gets an error if the policies need a picture."""
    reference_limit().check(sum(len(file.descriptors) for file in inputs.descriptors))
    asked = policies.needing_pictures
    if not inputs.descriptors or not asked:
        return inputs.descriptors
    refused = LunaError(
        errors.INVALID_JSON, f"This policy needs a picture, got a descriptor. Path: 'policies.{asked[0]}'"
    )
    if inputs.alone:
        raise refused
    return tuple(replace(file, descriptors=(), error=file.error or refused) for file in inputs.descriptors)
