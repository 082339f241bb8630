"""Labels of classifying networks: the platform's words that manifests must use."""

from collections.abc import Mapping

from apps.recognition.networks.specs import Manifest

MEDICAL_MASK, MISSING, OCCLUDED = MASKS = ("medical_mask", "missing", "occluded")
LIVE, REAL, FAKE = "live", "real", "fake"
ETHNICITIES = ("african_american", "indian", "asian", "caucasian")
FACE_PARTS = ("hair", "lower_face", "mouth", "nose", "left_eye", "right_eye", "forehead")
OPEN, CLOSED = "open", "closed"
FIVE_POINTS = "five_points"  # head of networks that classify each of the five landmarks as visible or hidden
POINT_VALUES = ("x", "y", "visible", "hidden")
BARE, EYEGLASSES, SUNGLASSES = GLASSES = ("no_glasses", "eyeglasses", "sunglasses")
HEADWEAR_TYPES = (
    "none", "baseball_cap", "beanie", "peaked_cap", "shawl", "hat_with_ear_flaps", "helmet", "hood", "hat", "other",
)  # fmt: skip

# Allowed labels of a task (None: any), and labels of which at least one is required.
_WORDS: Mapping[str, tuple[tuple[str, ...] | None, tuple[str, ...]]] = {
    "mask": (MASKS, MASKS),
    "liveness": (None, (LIVE,)),
    "deepfake": ((REAL, FAKE), (REAL, FAKE)),
    "deepfake_preliminary": ((REAL, FAKE), (REAL, FAKE)),
    "ethnicity": ((*ETHNICITIES, "other"), ETHNICITIES),
    "face_occlusion": (FACE_PARTS, FACE_PARTS),
    "glasses": (GLASSES, GLASSES),
    "headwear": (HEADWEAR_TYPES, HEADWEAR_TYPES),
    "eye_state": (None, (CLOSED,)),
}
LABELLED_TASKS = frozenset(_WORDS)


def wrong_labels(manifest: Manifest) -> str | None:
    """Return the problem of a network's labels for its task, None if they are valid."""
    if manifest.task not in _WORDS:
        return None
    if manifest.head == FIVE_POINTS:
        right = (manifest.labelled_output.shape, manifest.labelled_output.labels) == ((5, 4), POINT_VALUES)
        words = ", ".join(POINT_VALUES)
        return None if right else f"a network of head {FIVE_POINTS} must have the output [5, 4] with the labels {words}"
    allowed, needed = _WORDS[manifest.task]
    labels = manifest.labelled_output.labels
    if not set(labels) & set(needed):
        return f"`labels` of a network for {manifest.task} must include one of {', '.join(needed)}"
    if allowed is not None and not set(labels) <= set(allowed):
        return f"each of the `labels` of a network for {manifest.task} must be one of {', '.join(allowed)}"
    return None
