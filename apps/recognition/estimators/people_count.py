"""How many people a picture shows and where: bodies, and faces that belong to none of them.

A body is known by its box, so somebody who turns away counts; a face without a body is a head that looks out of a
crowd. Pictures with three people or more are searched for bodies in tiles, too.
"""

from dataclasses import dataclass

from apps.recognition.engine.bodies import head_of
from apps.recognition.estimators.base import BodySubject, Scene, SceneEstimator

HEAD_DOWN = 0.1  # of a body's height, where its pose shows no head


@dataclass(frozen=True, slots=True)
class PeopleCount:
    """`coordinates`: the middle of each one's head, x and y in picture pixels, from left to right."""

    coordinates: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.coordinates)


class PeopleCountEstimator(SceneEstimator):
    """Counts what detection found."""

    name = "people_count"
    feature = "people_counter"
    tasks = ("object_detector", "body_pose")

    def estimate(self, scene: Scene) -> PeopleCount:
        """Of a picture, whatever the plan selects of it."""
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
