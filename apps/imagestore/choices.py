"""Buckets and what lies in them."""

from django.db import models


class Bucket(models.TextChoices):
    """The platform's buckets; their names are folder names on disk."""

    FACE_SAMPLES = "visionlabs-samples"
    BODY_SAMPLES = "visionlabs-bodies-samples"
    IMAGES = "visionlabs-image-origin"
    OBJECTS = "visionlabs-objects"
    TASK_RESULT = "task-result"
    PORTRAITS = "portraits"


class Kind(models.TextChoices):
    """What a bucket that somebody made holds, each on a shelf of its own: `<bucket>/<kind>`.

    A row's `bucket` is then the shelf, so nothing of one kind is found among the other. The platform's buckets hold one
    kind each and have no shelves.
    """

    IMAGES = "images"
    OBJECTS = "objects"


PLATFORM = {Kind.IMAGES: Bucket.IMAGES, Kind.OBJECTS: Bucket.OBJECTS}

AUDIT_TYPES = {
    Bucket.FACE_SAMPLES: "face_sample",
    Bucket.BODY_SAMPLES: "body_sample",
    Bucket.IMAGES: "image",
    Bucket.OBJECTS: "object",
    Bucket.TASK_RESULT: "task_result",
    Bucket.PORTRAITS: "portrait",
}
PICTURES = frozenset({Bucket.FACE_SAMPLES, Bucket.BODY_SAMPLES, Bucket.IMAGES, Bucket.PORTRAITS})


def shelves(bucket: str) -> list[str]:
    """Every value of a row's `bucket` that means this bucket."""
    return [bucket] if bucket in Bucket.values else [f"{bucket}/{kind}" for kind in Kind.values]


def shelf(bucket: str, kind: str) -> str:
    """What rows of a kind in a bucket call their `bucket`."""
    return bucket if bucket == PLATFORM[Kind(kind)] else f"{bucket}/{kind}"


def bucket_of(shelf: str) -> str:
    return shelf.partition("/")[0]


def audit_type(shelf: str) -> str:
    """What an audit line calls an object of `shelf`; the kinds of permissions have the same names."""
    _, made, kind = shelf.partition("/")
    return kind.removesuffix("s") if made else AUDIT_TYPES[Bucket(shelf)]


def holds_pictures(shelf: str) -> bool:
    return shelf in PICTURES or shelf.endswith(f"/{Kind.IMAGES}")
