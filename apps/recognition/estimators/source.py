"""Source of a face: a picture or a warp. A warp lacks size, position and light of its picture."""

from apps.recognition.estimators.base import Subject


def is_warp(subject: Subject) -> bool:
    """Return whether the input is a warp instead of a picture."""
    return subject.image is subject.warp
