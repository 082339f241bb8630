"""Run the networks over the pictures."""

from dataclasses import replace

from apps.common import errors
from apps.common.errors import LunaError
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import Policies
from apps.matching.references import check_count
from apps.recognition.inputs.types import DescriptorFile, Inputs
from apps.recognition.run.pictures import recognise_inputs


def recognise(run: Run) -> Run:
    """Recognise each picture as the policies say, and check the descriptors that replace pictures.

    A picture that fails keeps its error, unless it is the whole request: then its error is raised. Raises LunaError
    ESTIMATOR_NOT_INITIALIZED for an estimator that is not available, UNSUPPORTED_DESCRIPTOR_VERSION for a version that
    no installed network gives, NO_AGGREGATION_OF_DESCRIPTORS for descriptors to aggregate, TOO_MANY_REFERENCES for too
    many descriptors, INVALID_JSON for a lone descriptor under policies that need a picture.
    """
    if run.params.aggregate and run.inputs.descriptors:
        raise LunaError(errors.NO_AGGREGATION_OF_DESCRIPTORS)
    inputs = replace(run.inputs, descriptors=_usable(run.inputs, run.policies))
    results = recognise_inputs(inputs, run.request)
    return replace(run, inputs=inputs, results=tuple(results))


def _usable(inputs: Inputs, policies: Policies) -> tuple[DescriptorFile, ...]:
    """The descriptors, with an error where the policies ask for more than a descriptor holds."""
    check_count(sum(len(file.descriptors) for file in inputs.descriptors))
    asked = policies.needing_pictures
    if not inputs.descriptors or not asked:
        return inputs.descriptors
    refused = LunaError(errors.INVALID_JSON, f"A descriptor holds no picture for this. Path: 'policies.{asked[0]}'")
    if inputs.alone:
        raise refused
    return tuple(replace(file, descriptors=(), error=file.error or refused) for file in inputs.descriptors)
