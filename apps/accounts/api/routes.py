"""The routes of the API with the token right that each requires, derived from the views."""

from collections.abc import Sequence
from dataclasses import dataclass

from drf_spectacular.generators import EndpointEnumerator

from apps.common.api.views import LunaView


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a resource. `path` contains `{placeholders}`.

    `right` is None if tokens may not use the method, `BY_BODY` if the required rights depend on the body.
    """

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
    """Return all documented routes, ordered by path and method."""
    routes = (
        Route(path, method, callback.cls) for path, _, method, callback in EndpointEnumerator().get_api_endpoints()
    )
    return sorted(routes, key=lambda route: (route.path, route.method))
