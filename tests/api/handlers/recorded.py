"""Recognition of one photograph, run once: tests of policies choose from its results instead of running the networks.

The face is the engine's, with all estimations of the embedded networks. Results of tasks without an embedded network
are constants. A plan selects estimations, faces and bodies as the engine does; the limits of policies are not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from apps.common.descriptors import Descriptor
from apps.recognition.estimators.accessories import Accessories
from apps.recognition.estimators.body_basic_attributes import BodyBasicAttributes
from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.glasses import Glasses
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.estimators.lower_body import LowerBody
from apps.recognition.estimators.mask import Mask
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.estimators.upper_body import UpperBody
from apps.recognition.run import facade
from apps.recognition.types import Body, Face, ImageInput, ImageResult, MultifacePolicy, Plan, Rect
from apps.recognition.vocabulary import ESTIMATIONS, Kind

BODY_VERSION = 9402
OF_FACE: dict[str, object] = {
    "mask": Mask({"missing": 0.8, "occluded": 0.2}, None),
    "liveness": Liveness(0.6, 0.7, 0.5),
    "deepfake": Deepfake(0.6, looks_fake=True),
    "glasses": Glasses({"no_glasses": 1.0}),
}
OF_BODY: dict[str, object] = {
    "body_basic_attributes": BodyBasicAttributes(41, 0.1),
    "upper_body": UpperBody(("red", "black"), 0.0),
    "lower_body": LowerBody("skirt", ("khaki",), "white"),
    "accessories": Accessories(0.9, 0.5, True),
    "body_descriptor": Descriptor(BODY_VERSION, np.array((1, 0), np.float32), 0.5),
}
NAMES = frozenset(ESTIMATIONS) - {"face_quality", "image_modification"}


@dataclass(frozen=True)
class Recording:
    """Result of the engine for one photograph with one face."""

    result: ImageResult

    @classmethod
    def of(cls, photograph: bytes) -> "Recording":
        plan = Plan(estimators=facade.available_estimators() & NAMES, extract_exif=True)
        (result,) = facade.recognise([ImageInput(photograph)], plan)
        assert result.error is None
        return cls(result)

    def recognise(self, images: Sequence[ImageInput], plan: Plan) -> list[ImageResult]:
        """Replace `facade.recognise`. A file `crowd.jpg` shows the person twice."""
        return [self._result(image, plan) for image in images]

    def _result(self, image: ImageInput, plan: Plan) -> ImageResult:
        people = 2 if image.filename == "crowd.jpg" and plan.multiface is not MultifacePolicy.BEST else 1
        faces = (self._face(plan),) * people if plan.detect_face else ()
        bodies = tuple(_body(plan, place if faces else None) for place in range(people)) if plan.detect_body else ()
        scene = {"people_count": PeopleCount(((3, 4), (5, 6)))} if "people_count" in plan.estimators else {}
        return replace(
            self.result,
            filename=image.filename,
            faces=faces,
            bodies=bodies,
            estimations=scene,
            exif=self.result.exif if plan.extract_exif else None,
        )

    def _face(self, plan: Plan) -> Face:
        (face,) = self.result.faces
        known: dict[str, Any] = {**face.estimations, **OF_FACE}
        return replace(face, estimations={name: known.get(name) for name in _of(Kind.FACE, plan)})


def _body(plan: Plan, face_index: int | None) -> Body:
    found = {name: OF_BODY.get(name) for name in _of(Kind.BODY, plan)}
    warp = np.zeros((250, 128, 3), np.uint8)
    return Body(Rect(10, 20, 30, 40), 0.9, np.zeros((17, 3), np.float32), warp, face_index, found)


def _of(kind: Kind, plan: Plan) -> list[str]:
    return [name for name in plan.estimators if ESTIMATIONS[name].kind is kind]
