"""Features of this installation, derived from its routes and from the available estimators."""

from collections.abc import Callable, Collection, Mapping

from django.apps import apps

from apps.common import parts
from apps.common.addresses import is_routed
from apps.common.limits import request_limits
from apps.common.parts import part_is_on

ROUTES = {
    "faces": "faces",
    "events": "events",
    "tasks": "tasks",
    "image_store": "face_samples",
    "handlers": "handlers",
    "video_analytics": "videosdk",
    "remote_sdk": "sdk",
    "human_matching": "matcher_bodies",
    "lambdas": "lambdas",
}
"""Route names by component: a component is available if its route exists."""
SWITCHES = {
    "events": parts.EVENTS,
    "handlers": parts.HANDLERS,
    "image_store": parts.IMAGE_STORE,
    "lambdas": parts.LAMBDA,
    "sender": parts.SENDER,
    "tasks": parts.TASKS,
}
"""Services by component: a component is not available while its service is off."""
ESTIMATIONS = ("people_counter", "face_quality", "body_attributes", "liveness", "deepfake")

Names = Callable[[], Collection[str]]
_available: list[Names] = []
_unavailable: list[Names] = []
_license: list[tuple[Callable[[], bool], Callable[[str], bool]]] = []


def register_estimations(names: Names, *, unavailable: Names) -> None:
    """Register the sources of estimations.

    `names()` returns the available ones of `ESTIMATIONS`, `unavailable()` all estimations that lack a network.
    """
    _available[:], _unavailable[:] = [names], [unavailable]


def register_license(is_valid: Callable[[], bool], is_licensed: Callable[[str], bool]) -> None:
    """Register the licence: whether it is in force, and whether it includes an estimation of `ESTIMATIONS`."""
    _license[:] = [(is_valid, is_licensed)]


def features() -> Mapping[str, object]:
    """Return `license`, `estimations` and `components` as booleans, `unavailable_estimations` and `limits`."""
    available = {name for names in _available for name in names()}
    components = {component: is_routed(route) for component, route in ROUTES.items()}
    components["sender"] = apps.is_installed("apps.sender")  # websocket routes are not Django routes
    for component, part in SWITCHES.items():
        components[component] &= part_is_on(part)
    return {
        "license": all(is_valid() for is_valid, _ in _license),
        "estimations": {
            name: name in available and all(is_licensed(name) for _, is_licensed in _license) for name in ESTIMATIONS
        },
        "unavailable_estimations": sorted(name for names in _unavailable for name in names()),
        "limits": request_limits(),
        "components": components,
    }
