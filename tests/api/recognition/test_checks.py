"""Every check of the platform on a picture that passes it and on one that fails it.

Three checks have no network in the embedded set: theirs are tiny ones, added by manifest, which take a blue face for
one that is covered.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import pytest

from apps.common.config import Directories, override_config
from apps.recognition.checks.table import CHECKS
from apps.recognition.run import facade
from tests.factories import client_of, make_account
from tests.unit.recognition.checks import pictures
from tests.unit.recognition.graphs import colour_scores, directory_with_embedded, install
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded

pytestmark = pytest.mark.django_db

PICTURES: Mapping[str, Callable[[], bytes]] = {
    "astronaut": lambda: encoded(astronaut()),
    "astronaut.gif": lambda: encoded(astronaut(), "GIF"),
    "tiny file": lambda: encoded(
        as_pixels(cv2.resize(astronaut(), (130, 130), interpolation=cv2.INTER_AREA)), "JPEG", quality=60
    ),
    "large": lambda: encoded(pictures.scaled(3.8), "JPEG"),
    "framed": lambda: encoded(pictures.framed()),
    "3:4": lambda: encoded(pictures.framed()[:, 84:636]),
    "cut close": lambda: encoded(astronaut()[70:190, 168:280]),
    "laughing": lambda: encoded(pictures.portrait(1, 1432, 218, 272)),
    "pouting": lambda: encoded(pictures.portrait(6, 1061, 282, 406)),
    "looking down": lambda: encoded(pictures.portrait(2, 1387, 143, 343)),
    "lids lowered": lambda: encoded(pictures.portrait(1, 784, 415, 314)),
    "wide open mouth": lambda: encoded(pictures.mouth_opened()),
    "turned away": lambda: encoded(pictures.portrait(1, 341, 347, 345)),
    "tilted": lambda: encoded(pictures.turned(15)),
    "group": lambda: encoded(pictures.photograph(5)),
    "fisheye": lambda: encoded(pictures.bent(pictures.photograph(5), 0.2)),
    "grey": lambda: encoded(pictures.grey()),
    "blue light": lambda: encoded(pictures.recoloured(lambda values: values * [0.4, 0.6, 1.4])),
    "dark": lambda: encoded(pictures.recoloured(lambda values: values * 0.15)),
    "overexposed": lambda: encoded(pictures.recoloured(lambda values: 200 + values * 0.4)),
    "blurred": lambda: encoded(as_pixels(cv2.GaussianBlur(astronaut(), (0, 0), 3))),
    "lit from one side": lambda: encoded(pictures.one_side_dark()),
    "red eyes": lambda: encoded(pictures.red_eyed()),
    "lowered brows": lambda: encoded(pictures.brows_moved(-12)),
    "white wall": lambda: encoded(pictures.before_a_wall(astronaut(), (220, 220, 220))),
    "black wall": lambda: encoded(pictures.before_a_wall(astronaut(), (5, 5, 5))),
    "noise behind": lambda: encoded(pictures.before_noise()),
}

PASSES_AND_FAILS = [
    ("head_yaw", "astronaut", "turned away"),
    ("head_pitch", "framed", "looking down"),
    ("head_roll", "astronaut", "tilted"),
    ("gaze_yaw", "astronaut", "turned away"),
    ("gaze_pitch", "astronaut", "lids lowered"),
    ("eye_distance", "framed", "astronaut"),
    ("left_eye", "framed", "looking down"),
    ("right_eye", "framed", "looking down"),
    ("mouth_smiling", "framed", "laughing"),
    ("mouth_occluded", "astronaut", "blue light"),
    ("mouth_open", "pouting", "wide open mouth"),
    ("smile_properties", "framed", "laughing"),
    ("glasses", "astronaut", "blue light"),
    ("red_eyes", "astronaut", "red eyes"),
    ("natural_light", "astronaut", "blue light"),
    ("radial_distortion", "group", "fisheye"),
    ("eyebrows_state", "astronaut", "lowered brows"),
    ("headwear_type", "astronaut", "blue light"),
    ("face_color_type", "astronaut", "grey"),
    ("shoulders_position", "white wall", "turned away"),
    ("illumination_quality", "astronaut", "lit from one side"),
    ("specularity_quality", "astronaut", "overexposed"),
    ("blurriness_quality", "astronaut", "blurred"),
    ("dark_quality", "astronaut", "dark"),
    ("light_quality", "astronaut", "overexposed"),
    ("background_lightness", "white wall", "black wall"),
    ("background_uniformity", "white wall", "noise behind"),
    ("head_horizontal_center", "framed", "astronaut"),
    ("head_vertical_center", "framed", "astronaut"),
    ("head_width", "framed", "astronaut"),
    ("head_height", "framed", "astronaut"),
    ("image_format", "astronaut", "astronaut.gif"),
    ("image_width", "astronaut", "large"),
    ("image_height", "astronaut", "large"),
    ("illumination_uniformity", "astronaut", "lit from one side"),
    ("dynamic_range", "astronaut", "overexposed"),
    ("image_size", "astronaut", "tiny file"),
    ("indent_upper", "astronaut", "cut close"),
    ("indent_lower", "astronaut", "cut close"),
    ("indent_left", "astronaut", "cut close"),
    ("indent_right", "astronaut", "cut close"),
    ("aspect_ratio", "3:4", "astronaut"),
    ("face_width", "framed", "astronaut"),
    ("face_height", "framed", "astronaut"),
]

TINY = {
    "glasses": ("no_glasses", "eyeglasses", "sunglasses"),
    "headwear": ("none", "other", "hat"),
    "face_occlusion": ("nose", "hair", "mouth"),
}
"""Task to the words for a face that is mostly red, green, blue."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = directory_with_embedded(tmp_path_factory.mktemp("networks"))
    entry = {"shape": [3, 8, 8], "layout": "NCHW", "colour": "RGB", "std": [255.0], "crop_scale": 1.0}
    for task, labels in TINY.items():
        outputs = [{"name": "values", "shape": [3], "labels": list(labels), "activation": "softmax"}]
        install(directory, colour_scores(*"RGB").model(), name=f"tiny-{task}", task=task, outputs=outputs, entry=entry)
    return directory


@pytest.fixture(scope="module")
def answers(directory: Path) -> Iterator[dict[str, Any]]:
    """Checks by name of each picture that was sent so far, from one engine with the tiny networks."""
    with override_config(Directories, networks=directory):
        facade.shut_down()
        yield {}
    facade.shut_down()


@pytest.fixture
def checks_of(answers: dict[str, Any], db: None) -> Callable[[str], Mapping[str, Any]]:
    """The checks of a picture."""

    def checks(name: str) -> Mapping[str, Any]:
        if name not in answers:
            url = "/6/detector?estimate_face_quality=1&multiface_policy=2"
            answer = client_of(make_account()).post(url, PICTURES[name](), "image/png")
            (sample,) = answer.json()["images"][0]["detections"]["samples"]
            quality = sample["face"]["detection"]["face_quality"]
            assert quality["status"] == int(all(check["result"] for check in quality["checks"]))
            answers[name] = {check["name"]: check for check in quality["checks"]}
        found: Mapping[str, Any] = answers[name]
        return found

    return checks


def test_every_check_has_a_case() -> None:
    assert [name for name, _, _ in PASSES_AND_FAILS] == list(CHECKS)


@pytest.mark.parametrize(("name", "passing", "failing"), PASSES_AND_FAILS)
def test_check(checks_of: Callable[[str], Mapping[str, Any]], name: str, passing: str, failing: str) -> None:
    good, bad = checks_of(passing)[name], checks_of(failing)[name]
    assert good["result"] == 1, good
    assert bad["object_value"] is not None
    assert bad["result"] == 0, bad
