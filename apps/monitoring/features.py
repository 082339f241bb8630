"""What this installation can do: read off its routes and off what the recognition room says of its estimators."""

from collections.abc import Callable, Collection, Mapping

from django.apps import apps
from django.urls import Resolver404, resolve

RESOURCES = {
    "faces": "/6/faces",
    "events": "/6/events",
    "tasks": "/6/tasks",
    "image_store": "/6/samples/faces",
    "handlers": "/6/handlers",
    "video_analytics": "/6/videosdk",
    "remote_sdk": "/6/sdk",
    "human_matching": "/6/matcher/bodies",
    "lambdas": "/6/lambdas",
}
ESTIMATIONS = ("people_counter", "face_quality", "body_attributes", "liveness", "deepfake")

_available: list[Callable[[], Collection[str]]] = []


def register_estimations(names: Callable[[], Collection[str]]) -> None:
    """`names` tells which of `ESTIMATIONS` can be made now."""
    _available[:] = [names]


def features() -> Mapping[str, object]:
    """`{license, estimations, components}`, each thing true or false."""
    available = {name for names in _available for name in names()}
    components = {component: is_routed(path) for component, path in RESOURCES.items()}
    return {
        "license": True,
        "estimations": {name: name in available for name in ESTIMATIONS},
        # Websockets have no route here.
        "components": components | {"sender": apps.is_installed("apps.sender")},
    }


def is_routed(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True
