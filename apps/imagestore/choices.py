"""Buckets, and the folders in which they hold objects."""

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
    """What a client's bucket holds, each kind in a folder of its own: `<bucket>/<kind>`.

    A row's `bucket` is then the folder, so that nothing of one kind is found among the other. The platform's buckets
    hold one kind each: bucket and folder are the same.
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


def folders_of(bucket: str) -> list[str]:
    """Return the folders of a bucket: the values of a row's `bucket` that mean it."""
    return [bucket] if bucket in Bucket.values else [f"{bucket}/{kind}" for kind in Kind.values]


def folder_of(bucket: str, kind: str) -> str:
    """Return the folder of a kind in a bucket: the value of a row's `bucket`."""
    return bucket if bucket == PLATFORM[Kind(kind)] else f"{bucket}/{kind}"


def bucket_of(folder: str) -> str:
    return folder.partition("/")[0]


def audit_type(folder: str) -> str:
    """Return what an audit line calls an object in `folder`; the kinds of permissions have the same names."""
    _, made, kind = folder.partition("/")
    return kind.removesuffix("s") if made else AUDIT_TYPES[Bucket(folder)]


def holds_pictures(folder: str) -> bool:
    return folder in PICTURES or folder.endswith(f"/{Kind.IMAGES}")
