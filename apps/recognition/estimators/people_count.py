"""Number and positions of people in a picture: bodies, and faces without a body.

People who turn away are counted by their bodies, heads in a crowd by their faces. In pictures with three people or more
the body detector also runs on tiles.
"""

from dataclasses import dataclass

from apps.recognition.engine.bodies import head_of
from apps.recognition.estimators.base import BodySubject, Scene, SceneEstimator

HEAD_DOWN = 0.1  # share of a body's height, if its pose has no head


@dataclass(frozen=True, slots=True)
class PeopleCount:
    """People of a picture. `coordinates`: centres of their heads, x and y in picture pixels, from left to right."""

    coordinates: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """Number of people."""
        return len(self.coordinates)


class PeopleCountEstimator(SceneEstimator):
    """Estimator that counts the detections."""

    name = "people_count"
    feature = "people_counter"
    tasks = ("object_detector", "body_pose")

    def estimate(self, scene: Scene) -> PeopleCount:
        """Count the people of a picture, independent of the plan's selection."""
        paired = [body.face for body in scene.bodies]
        lone = [face for face in scene.faces if all(face is not other for other in paired)]
        heads = [_head(body) for body in scene.bodies] + [face.landmarks5.mean(0) for face in lone]
        height, width = scene.image.shape[:2]
        return PeopleCount(
            tuple(sorted((min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)) for x, y in heads))
        )


def _head(body: BodySubject) -> tuple[float, float]:
    if body.face is not None:
        x, y = body.face.landmarks5.mean(0)
    elif (head := head_of(body.keypoints)) is not None:
        x, y = head
    else:
        left, top, right, bottom = body.box
        x, y = (left + right) / 2, top + HEAD_DOWN * (bottom - top)
    return float(x), float(y)


ESTIMATOR = PeopleCountEstimator()
