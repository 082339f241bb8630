"""A face of one colour, and estimations of it by a network that returns the means of the channels."""

from pathlib import Path
from typing import Any

import numpy as np

from apps.recognition.engine.warps import WARP_TEMPLATE
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageType, Plan, Rect
from tests.unit.recognition.graphs import engine_of
from tests.unit.recognition.pictures import encoded

COLOUR = (200, 100, 50)  # R, G, B
R, G, B = (value / 255 for value in COLOUR)


def entry(layout: str = "NCHW", colour: str = "RGB", size: int = 8, **keys: Any) -> dict[str, Any]:
    shape = [3, size, size] if layout == "NCHW" else [size, size, 3]
    return {"shape": shape, "layout": layout, "colour": colour, "std": [255.0], "crop_scale": 0.5, **keys}


def seen(directory: Path, name: str, pixels: np.ndarray | None = None, *, is_warp: bool = True, **plan: Any) -> Any:
    """What an estimator says of a warp of one colour, with the five points where warps have them.

    `is_warp` false: of a picture of one colour, all of which is said to be a face.
    """
    warp = np.full((250, 250, 3), COLOUR, np.uint8) if pixels is None else pixels
    engine = engine_of(directory)
    try:
        pipeline = Pipeline(engine, Plan(estimators=frozenset({name}), **plan))
        points = WARP_TEMPLATE.astype(np.float32)
        item = ImageInput(encoded(warp), image_type=ImageType.FACE_WARP, landmarks5=points)
        if not is_warp:
            item = ImageInput(encoded(warp), face_boxes=(Rect(0, 0, 250, 250),), trusted_boxes=True)
        result = pipeline.process(item)
    finally:
        engine.close()
    assert result.error is None
    return result.faces[0].estimations[name]
