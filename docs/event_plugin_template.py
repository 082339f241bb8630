"""Template of an event plugin: it adds the name of the door to `meta`, and reports people that nobody knows.

Copy the file into `plugins/handlers` of the var directory as `my_plugin.py`, and set
`LUNA_HANDLERS_ACTIVE_PLUGINS=my_plugin`. docs/plugins.md describes the contract.
"""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.common.plugins.contract import EventPlugin, Point, SentEvent

logger = logging.getLogger(__name__)

DOORS = {"camera-1": "main entrance", "camera-2": "loading dock"}
SLOW_MS = 1000.0


class Doors(EventPlugin):
    """Knows the doors of the cameras that name themselves in `source`."""

    def fill_meta(self, account_id: UUID, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Add the door. The request waits, so read nothing from disk or network here."""
        door = DOORS.get(facts["source"])
        return None if door is None else {**(facts["meta"] or {}), "door": door}

    def on_event(self, event: SentEvent) -> None:
        """Report an unknown person. This runs in a thread of the plugin, so it may wait for another system."""
        told = event.message["event"]
        if told["top_match"] is None:
            logger.warning("Event %s of account %s: nobody known", told["event_id"], event.account_id)

    def on_point(self, point: Point) -> None:
        """Report a slow request."""
        if point.duration_ms > SLOW_MS:
            logger.warning("%s %s took %.0f ms", point.method, point.route, point.duration_ms)
