"""What this installation can do: read off its routes and off the estimators that the recognition room names."""

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
ESTIMATORS = {
    "people_counter": "people_count",
    "face_quality": "quality",
    "body_attributes": "body_basic_attributes",
    "liveness": "liveness",
    "deepfake": "deepfake",
}

_estimators: list[Callable[[], Collection[str]]] = []


def register_estimators(names: Callable[[], Collection[str]]) -> None:
    """`names` tells which estimators have their networks now."""
    _estimators[:] = [names]


def features() -> Mapping[str, object]:
    """`{license, estimations, components}`, each thing true or false."""
    names = {name for estimators in _estimators for name in estimators()}
    estimations = {feature: estimator in names for feature, estimator in ESTIMATORS.items()}
    components = {component: is_routed(path) for component, path in RESOURCES.items()}
    return {
        "license": True,
        "estimations": estimations,
        # Websockets have no route here.
        "components": components | {"sender": apps.is_installed("apps.sender")},
    }


def is_routed(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True
