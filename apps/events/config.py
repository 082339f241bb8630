"""Settings of events."""

from typing import Literal

from apps.common.config import Scope, Settings, group, setting


@group("LUNA_EVENTS_SEARCH", scope=Scope.LIVE)
class EventsSearch(Settings):
    """Searches of events."""

    default_window_days: int = setting(
        30, "Days before now that a search covers if the request gives no ids and no times.", ge=1, le=36_500
    )


@group("LUNA_EVENTS_STORAGE", scope=Scope.LIVE)
class EventsStorage(Settings):
    """Time partitions and retention of stored events, and their saving."""

    partition_period: Literal["day", "week", "month", "year"] = setting(
        "month", "Time of storage that a new partition covers: day, week, month or year. Searches visit all partitions."
    )
    partitions_ahead: int = setting(3, "Partitions that are made in advance, beside the current one.", ge=1, le=100)
    retention_days: int = setting(
        0,
        "Days after which stored events are deleted with their descriptors, a whole partition at a time; 0 keeps them.",
        ge=0,
        le=36_500,
    )
    save_events_timeout: float = setting(
        2.0, "Seconds after which saving of events is cancelled with error 23006; 0 or less: no limit.", le=3600
    )
    save_queue_length: int = setting(
        10_000, "Events of a process that wait for storage (`wait_saving` 0); beyond, error 23008.", ge=1, le=1_000_000
    )
