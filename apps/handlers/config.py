"""Settings of handlers."""

from apps.common.config import Scope, Settings, group, setting


@group("LUNA_HANDLERS_LIMITS", scope=Scope.LIVE)
class HandlersLimits(Settings):
    """Limits of event generation."""

    received_images_limit: int = setting(8, "Maximum number of pictures in one request.", ge=1, le=1000)
    result_candidate_limit: int = setting(100, "Maximum `limit` of an item of `match_policy`.", ge=1, le=100_000)
    raw_event_detections_limit: int = setting(
        100, "Maximum number of detections of an event that a client saves.", ge=1, le=10_000
    )
    raw_event_arrays_limit: int = setting(
        30, "Maximum number of items of the other arrays of an event that a client saves.", ge=1, le=1000
    )
