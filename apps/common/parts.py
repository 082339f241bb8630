"""Services of the platform that can be switched off (ADDITIONAL_SERVICES_USAGE), and the errors of requests to them.

A view names the services that it requires in `parts`, a type of tasks in `needs`, a page of the admin site in `parts`.
Services that depend on the content of a request are checked where the content is evaluated; `CONTENTS` lists these
places for the documentation. Nothing stored is deleted while a service is off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from apps.common import errors
from apps.common.config import AdditionalServices, config
from apps.common.errors import LunaError

EVENTS, HANDLERS, IMAGE_STORE, TASKS = "luna_events", "luna_handlers", "luna_image_store", "luna_tasks"
SENDER, LAMBDA, MATCHER_PROXY = "luna_sender", "luna_lambda", "luna_matcher_proxy"


@dataclass(frozen=True, slots=True)
class Part:
    """A service that can be switched off. `error`: code of the error of its requests, None if none is rejected."""

    title: str
    error: int | None


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        EVENTS: Part("Events", errors.EVENTS_DISABLED),
        HANDLERS: Part("Handlers", errors.HANDLERS_DISABLED),
        IMAGE_STORE: Part("Image Store", errors.IMAGE_STORE_DISABLED),
        LAMBDA: Part("Lambda", errors.LAMBDA_DISABLED),
        MATCHER_PROXY: Part("Matcher Proxy", None),
        SENDER: Part("Sender", errors.SENDER_DISABLED),
        TASKS: Part("Tasks", errors.TASKS_DISABLED),
    }
)
"""The services by their names in ADDITIONAL_SERVICES_USAGE."""

CONTENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        EVENTS: (
            "`POST /6/faces`, `PATCH /6/faces/{face_id}`: `event_id`",
            "matching and verification: events as references or candidates, also by `match_policy`",
            "tasks and schedules: events as source (28021)",
        ),
        HANDLERS: ("`estimator` and `additional_extract` tasks and their schedules",),
        IMAGE_STORE: (
            "`samples`, and URLs of stored pictures, as input of recognition",
            "event generation and verification: policies that ask for samples or source images",
            "all tasks and schedules except `gc`, `linker` and `estimator`, whose results are not stored (`result_id` "
            "is null); `gc` with `remove_samples`",
        ),
        LAMBDA: ("handlers of type 2 (lambda), lambda tasks, and all paths below `/6/lambdas`",),
        MATCHER_PROXY: (),
        SENDER: (
            "the handshake of `/6/ws`",
            "event generation: `notification_policy` with `send_notification`, callbacks `luna-ws-notification`",
        ),
        TASKS: ("tasks and schedules of the admin site",),
    }
)
"""Contents of requests that require a service, by service: texts of docs/services.md."""


def part_check(part: str) -> None:
    """Check that a service is on. Raises LunaError with the error of the service."""
    code = PARTS[part].error
    if code is not None and not part_is_on(part):
        raise LunaError(code)


def part_is_on(part: str) -> bool:
    """Return whether a service is on."""
    return bool(getattr(config(AdditionalServices), part))
