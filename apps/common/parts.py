"""Optional parts of the platform (ADDITIONAL_SERVICES_USAGE), and the errors of requests to those that are off."""

from apps.common import errors
from apps.common.config import AdditionalServices, config
from apps.common.errors import LunaError

EVENTS, HANDLERS, IMAGE_STORE, TASKS = "luna_events", "luna_handlers", "luna_image_store", "luna_tasks"
_ERRORS = {
    EVENTS: errors.EVENTS_DISABLED,
    HANDLERS: errors.HANDLERS_DISABLED,
    IMAGE_STORE: errors.IMAGE_STORE_DISABLED,
    TASKS: errors.TASKS_DISABLED,
}


def part_check(part: str) -> None:
    """Check that a part is on.

    Raises LunaError EVENTS_DISABLED, HANDLERS_DISABLED, IMAGE_STORE_DISABLED or TASKS_DISABLED.
    """
    if not part_is_on(part):
        raise LunaError(_ERRORS[part])


def part_is_on(part: str) -> bool:
    """Return whether a part is on."""
    return bool(getattr(config(AdditionalServices), part))
