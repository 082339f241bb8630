"""Interface of estimators, and their subjects: faces, bodies or the whole picture.

An estimator is a module of this package with an instance `ESTIMATOR` of a subclass of `AnyEstimator`. It declares its
needs: results of other estimators, which are computed once, and network tasks, which it runs through `Networks` for
all faces of a picture in one call. It returns one frozen dataclass per face (body, picture), or None if it cannot
determine the estimation. Estimators of faces run before those of bodies, which can use results of the body's face.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import Matrix
from apps.recognition.networks.specs import Manifest
from apps.recognition.types import Image, Keypoints, Points

Result = TypeVar("Result")


class Networks(Protocol):
    """Installed networks, as estimators use them."""

    def run(self, network: str, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Return a network's outputs by name for crops, uint8 RGB [N, H, W, 3] of its input size."""

    def start(self, network: str, crops: NDArray[np.uint8]) -> Callable[[], dict[str, NDArray[Any]]]:
        """Start a network and return a function that waits for its outputs, as `run`."""

    def for_task(self, task: str) -> Manifest:
        """Return the manifest of the network that serves a task."""

    def manifest(self, network: str) -> Manifest:
        """Return the manifest of an installed network."""

    def for_descriptor(self, task: str) -> Manifest:
        """Return the network of the plan's descriptor version, or else of the task."""


@dataclass(slots=True, eq=False)
class Subject:
    """One face during the execution of a plan.

    `image`: the picture, or the warp for warp input. `box`: float32 [4] x1, y1, x2, y2 and `landmarks5`: float32 [5, 2]
    in the frame of `image`. `warp`: uint8 [250, 250, 3] with its `warp_landmarks5`. `warp_matrix`: transform from
    `image` to the warp. `results`: results of previous estimators, by name.
    """

    image: Image
    box: NDArray[np.float32]
    score: float
    landmarks5: Points
    warp: Image
    warp_landmarks5: Points
    warp_matrix: Matrix
    results: dict[str, object] = field(default_factory=dict)

    def result(self, name: str, kind: type[Result]) -> Result:
        """Return the result of estimator `name` for this face. Raises TypeError if it has none."""
        value = self.results[name]
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {type(value).__name__}, not {kind.__name__}")
        return value


@dataclass(slots=True, eq=False)
class BodySubject:
    """One body during the execution of a plan.

    `image`: the picture, or the warp for warp input. `box`: float32 [4] x1, y1, x2, y2 and `keypoints`: in the frame of
    `image`. `warp`: uint8 [250, 128, 3]. `face`: the face of the same person.
    """

    image: Image
    box: NDArray[np.float32]
    score: float
    keypoints: Keypoints
    warp: Image
    face: Subject | None = None
    results: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All faces and bodies of one picture, before the plan's selection."""

    image: Image
    faces: Sequence[Subject]
    bodies: Sequence[BodySubject]


class AnyEstimator(ABC):
    """Base of all estimators.

    `name`: the API's name for public ones. `needs`: names of required estimators. `tasks`: required network tasks.
    `wants`: optional estimators, skipped without a network. `public`: whether a plan can name it; otherwise it is a
    step of other estimators. `feature`: required licence feature by its name in `/6/features`, None for none.
    `result`: dataclass of one result, of estimators in responses.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    wants: ClassVar[tuple[str, ...]] = ()
    tasks: ClassVar[tuple[str, ...]] = ()
    public: ClassVar[bool] = True
    feature: ClassVar[str | None] = None
    result: ClassVar[type | None] = None

    def json(self, result: Any) -> object:
        """Return one result as JSON; required of estimators with a flag or a member in the vocabulary."""
        raise NotImplementedError(f"{self.name} is not part of responses")

    def mean(self, results: Sequence[Any]) -> object | None:
        """Return the mean of several pictures of one person, None if the estimator defines no mean."""
        return None

    def columns(self, result: Any) -> Mapping[str, Any]:
        """Return the event's columns with their numbers; their names are in the vocabulary."""
        return {}


class Estimator(AnyEstimator):
    """Estimator of faces."""

    @abstractmethod
    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[object | None]:
        """Return one result per subject, in order. `subjects`: the faces of one picture, at least one."""


class BodyEstimator(AnyEstimator):
    """Estimator of bodies. `faces`: whether it needs their faces, which are then detected in every plan."""

    faces: ClassVar[bool] = False

    @abstractmethod
    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[object | None]:
        """Return one result per subject, in order. `subjects`: the bodies of one picture, at least one.

        `face.results` of a body contains the results of estimators of faces.
        """


class SceneEstimator(AnyEstimator):
    """Estimator of a whole picture."""

    @abstractmethod
    def estimate(self, scene: Scene) -> object:
        """Return one result."""
