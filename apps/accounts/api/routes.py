"""The routes of the API with what each asks of a client: read off the views, written down nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass

from drf_spectacular.generators import EndpointEnumerator

from apps.common.api.views import LunaView


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one resource. `right` is None where a token is refused,
    `BY_BODY` where the body decides; `path` holds `{placeholders}`."""

    path: str
    method: str
    view: type[LunaView]

    @property
    def public(self) -> bool:
        return self.view.is_public(self.method)

    @property
    def right(self) -> tuple[str, str] | tuple[()] | None:
        return self.view.permissions.get(self.method)


def api_routes() -> Sequence[Route]:
    """Every documented route, ordered by path and method."""
    routes = (
        Route(path, method, callback.cls) for path, _, method, callback in EndpointEnumerator().get_api_endpoints()
    )
    return sorted(routes, key=lambda route: (route.path, route.method))
