"""Generation of events: the stages in their order."""

from uuid import UUID

from apps.accounts.auth.principal import Principal
from apps.handlers.pipeline.run import Run, execute
from apps.handlers.pipeline.stages.decide import decide
from apps.handlers.pipeline.stages.match import match
from apps.handlers.pipeline.stages.notify import notify
from apps.handlers.pipeline.stages.recognise import recognise
from apps.handlers.pipeline.stages.screen import screen
from apps.handlers.pipeline.stages.tag import tag
from apps.handlers.pipeline.stages.write import write
from apps.handlers.policies import Policies
from apps.handlers.types import EventParams
from apps.recognition.inputs.types import Inputs

STAGES = (recognise, screen, match, tag, decide, write, notify)


def generate_events(
    *, principal: Principal, handler_id: UUID | None, policies: Policies, inputs: Inputs, params: EventParams
) -> Run:
    """Generate an event of each person, or one of all of them, and store and publish it as the policies say.

    A picture that fails does not stop the others, unless it is the whole request. Raises what the stages raise: see
    `recognise`, `screen`, `match` and `write`.
    """
    run = Run(principal=principal, policies=policies, inputs=inputs, params=params, handler_id=handler_id)
    return execute(run, STAGES)
