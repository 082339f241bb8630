"""Template of a background plugin: it collects the monitoring events of a minute and serves the last batch.

It is an event plugin too. Copy the file into `plugins/handlers` of the var directory as `load.py`, and set
`LUNA_HANDLERS_ACTIVE_PLUGINS=load`. `GET /6/plugins/load/routes` answers then. docs/plugins.md describes the contract.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from django.urls import URLPattern, path
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api.views import LunaView
from apps.common.plugins.contract import BackgroundPlugin, EventPlugin, Point

INTERVAL_S = 60.0


class Load(EventPlugin, BackgroundPlugin):
    """Counts the requests of each route."""

    def __init__(self) -> None:
        self.current: Counter[str] = Counter()
        self.last: Counter[str] = Counter()

    def on_point(self, point: Point) -> None:
        self.current[point.route] += 1

    def run(self, stopped: threading.Event) -> None:
        """Close a batch every minute. A real plugin sends it to another system here."""
        while not stopped.wait(INTERVAL_S):
            self.close_batch()

    def close_batch(self) -> None:
        self.last, self.current = self.current, Counter()

    def urls(self) -> Sequence[URLPattern]:
        return [path("routes", RoutesView.as_view(plugin=self))]


class RoutesView(LunaView):
    """The requests of the last minute by route, for clients with the right to view handlers."""

    permissions: ClassVar = {"GET": ("handler", "view")}
    plugin: ClassVar[Load | None] = None

    def get(self, request: Request) -> Response:
        return Response(dict(self.plugin.last) if self.plugin else {})
