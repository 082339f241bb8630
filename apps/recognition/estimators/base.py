"""What an estimator is, and what it is given: the faces of a picture, its bodies, or all of it.

An estimator is one module of this package that holds `ESTIMATOR`, an instance of a subclass of `Estimator`. It names
what it needs: other estimators' results (which then are there, computed once) and network tasks (which it asks for
through `Networks`, all faces of a picture in one call). It returns one frozen dataclass a face (body, picture), or None
where nothing can be said of it. Estimators of faces come before those of bodies: a body's may need those of its face.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import Matrix
from apps.recognition.networks.specs import Manifest
from apps.recognition.types import Image, Keypoints, Points

Result = TypeVar("Result")


class Networks(Protocol):
    """The installed networks, as an estimator sees them."""

    def run(self, network: str, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """A network's outputs by name for uint8 RGB crops [N, H, W, 3] of its input size."""

    def for_task(self, task: str) -> Manifest:
        """The network that serves a task."""

    def manifest(self, network: str) -> Manifest:
        """Of an installed network."""

    def for_descriptor(self, task: str) -> Manifest:
        """The network of the plan's descriptor version, else the one that serves the task."""


@dataclass(slots=True, eq=False)
class Subject:
    """One face on its way through a plan.

    `image` is the picture (the warp itself for warp input), `box` float32 [4] x1, y1, x2, y2 and `landmarks5` float32
    [5, 2] lie in it; `warp` uint8 [250, 250, 3] and `warp_landmarks5` are the normalised face, `warp_matrix` takes the
    picture to it. `results` holds what the estimators before said, by name.
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
        """What the estimator `name` said of this face; raises TypeError where it said nothing."""
        value = self.results[name]
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {type(value).__name__}, not {kind.__name__}")
        return value


@dataclass(slots=True, eq=False)
class BodySubject:
    """One body on its way through a plan.

    `image` is the picture (the warp itself for warp input); `box` float32 [4] x1, y1, x2, y2 and `keypoints` lie in it.
    `warp`: uint8 [250, 128, 3]. `face`: the face of the same person.
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
    """All that was found in one picture, before any face or body was left out."""

    image: Image
    faces: Sequence[Subject]
    bodies: Sequence[BodySubject]


class AnyEstimator(ABC):
    """`name`: of the API for public ones. `needs`: names of estimators. `tasks`: network tasks.

    `wants`: needs that are left out where they have no network. `public`: may a plan ask for it, or is it a step of
    others? `feature`: what of a licence allows it, by its name in `/6/features`; None for what every licence does.
    `result`: the dataclass of one result, of those that answers show.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    wants: ClassVar[tuple[str, ...]] = ()
    tasks: ClassVar[tuple[str, ...]] = ()
    public: ClassVar[bool] = True
    feature: ClassVar[str | None] = None
    result: ClassVar[type | None] = None

    def json(self, result: Any) -> object:
        """Return one result as answers show it. Only of those that have a flag or a member in the vocabulary."""
        raise NotImplementedError(f"no answer shows {self.name}")

    def mean(self, results: Sequence[Any]) -> object | None:
        """Return one result for the results of several pictures of one person; None where they are not averaged."""
        return None

    def columns(self, result: Any) -> Mapping[str, Any]:
        """Return the event's columns with their numbers; their names are in the vocabulary."""
        return {}


class Estimator(AnyEstimator):
    """Of faces."""

    @abstractmethod
    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[object | None]:
        """One result a subject, in order; `subjects` are the faces of one picture, at least one."""


class BodyEstimator(AnyEstimator):
    """Of bodies. `faces`: does it look at their faces, so that these are detected whatever the plan wants?"""

    faces: ClassVar[bool] = False

    @abstractmethod
    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[object | None]:
        """One result a subject, in order; `subjects` are the bodies of one picture, at least one.

        What estimators of faces said of a body's face is in `face.results`.
        """


class SceneEstimator(AnyEstimator):
    """Of a picture as a whole."""

    @abstractmethod
    def estimate(self, scene: Scene) -> object:
        """One result."""
