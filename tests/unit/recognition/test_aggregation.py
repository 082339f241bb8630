"""One set of estimations from several faces of one person."""

import numpy as np
import pytest

from apps.common.descriptors import Descriptor
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.ethnicity import Ethnicities
from apps.recognition.estimators.head_pose import HeadPose
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.estimators.mask import Mask
from apps.recognition.request.aggregation import aggregate


def descriptor(*components: float, score: float) -> Descriptor:
    return Descriptor(1, np.array(components, np.float32), score)


def test_descriptors() -> None:
    faces = [{"face_descriptor": descriptor(1, 0, score=0.8)}, {"face_descriptor": descriptor(0, 1, score=0.6)}]
    found = aggregate(faces)["face_descriptor"]
    assert isinstance(found, Descriptor)
    assert np.allclose(found.vector, [0.5**0.5, 0.5**0.5])
    assert (found.vector.dtype, found.version, found.score) == (np.float32, 1, pytest.approx(0.7))


def test_basic_attributes() -> None:
    found = aggregate(
        [
            {"basic_attributes": BasicAttributes(30, 1, 0.6, Ethnicities({"asian": 0.8, "indian": 0.2}))},
            {"basic_attributes": BasicAttributes(35, 0, 0.1, Ethnicities({"asian": 0.1, "indian": 0.9}))},
            {"basic_attributes": BasicAttributes(34, 0, 0.2)},
        ]
    )["basic_attributes"]
    assert isinstance(found, BasicAttributes)
    assert (found.age, found.gender, found.male) == (33, 0, pytest.approx(0.3))
    assert found.ethnicities is not None
    assert found.ethnicities.predominant == "indian"
    assert dict(found.ethnicities.scores) == pytest.approx({"asian": 0.45, "indian": 0.55})


def test_basic_attributes_without_ethnicity() -> None:
    found = aggregate([{"basic_attributes": BasicAttributes(30, 1, 0.6)}] * 2)["basic_attributes"]
    assert found == BasicAttributes(30, 1, 0.6)


def test_emotions() -> None:
    calm, happy = Emotions(0, 0, 0, 0.4, 0, 0, 0.6), Emotions(0, 0, 0, 0.9, 0, 0, 0.1)
    found = aggregate([{"emotions": calm}, {"emotions": happy}])["emotions"]
    assert isinstance(found, Emotions)
    assert found.predominant == "happiness"
    assert (found.happiness, found.neutral) == (pytest.approx(0.65), pytest.approx(0.35))


def test_liveness_is_judged_by_the_means() -> None:
    one, other = Liveness(0.9, 0.9, 0.6), Liveness(0.4, 0.3, 0.6)
    found = aggregate([{"liveness": one}, {"liveness": other}])["liveness"]
    assert isinstance(found, Liveness)
    assert (found.probability, found.quality, found.predominant) == (pytest.approx(0.65), pytest.approx(0.6), "real")


def test_masks() -> None:
    worn = Mask({"medical_mask": 0.9, "missing": 0.1}, {"correct": 0.8, "chin": 0.2})
    gone = Mask({"medical_mask": 0.0, "missing": 1.0}, None)
    found = aggregate([{"mask": worn}, {"mask": gone}])["mask"]
    assert isinstance(found, Mask)
    assert (found.predominant, found.predominant_occlusion) == ("missing", "chin")
    assert found.scores["medical_mask"] == pytest.approx(0.45)


def test_deepfakes() -> None:
    found = aggregate([{"deepfake": Deepfake(0.9)}, {"deepfake": Deepfake(0.3)}])["deepfake"]
    assert isinstance(found, Deepfake)
    assert found.score == pytest.approx(0.6)
    found = aggregate([{"deepfake": Deepfake(0.9)}, {"deepfake": Deepfake(0.8, looks_fake=True)}])["deepfake"]
    assert isinstance(found, Deepfake)
    assert (found.score, found.predominant) == (pytest.approx(0.45), "fake")


def test_what_only_some_faces_tell() -> None:
    """Unknown estimations of a face are skipped in the mean; estimations without any value are absent."""
    found = aggregate([{"emotions": None}, {"emotions": Emotions(1, 0, 0, 0, 0, 0, 0), "deepfake": None}, {}])
    assert found == {"emotions": Emotions(1, 0, 0, 0, 0, 0, 0)}


def test_angles_are_of_a_picture_and_not_of_a_person() -> None:
    assert aggregate([{"head_pose": HeadPose(pitch=1, yaw=2, roll=3)}]) == {}


def test_of_nothing() -> None:
    assert aggregate([]) == aggregate([{}, {}]) == {}
