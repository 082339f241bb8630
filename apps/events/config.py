"""Settings of events."""

from apps.common.config import Scope, Settings, group, setting


@group("LUNA_EVENTS_SEARCH", scope=Scope.LIVE)
class EventsSearch(Settings):
    """Searches of events."""

    default_window_days: int = setting(
        30, "Days before now that a search covers if the request gives no ids and no times.", ge=1, le=36_500
    )
