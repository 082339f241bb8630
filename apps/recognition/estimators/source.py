"""Is it the picture itself that a face lies in? Size, place and light of the picture are lost in a warp."""

from apps.recognition.estimators.base import Subject


def is_warp(subject: Subject) -> bool:
    """Was a warp sent in, instead of a picture?"""
    return subject.image is subject.warp
