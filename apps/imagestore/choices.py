"""Buckets and the folders of their objects."""

from django.db import models


class Bucket(models.TextChoices):
    """The platform's buckets; their names are also folder names."""

    FACE_SAMPLES = "visionlabs-samples"
    BODY_SAMPLES = "visionlabs-bodies-samples"
    IMAGES = "visionlabs-image-origin"
    OBJECTS = "visionlabs-objects"
    TASK_RESULT = "task-result"
    PORTRAITS = "portraits"


class Kind(models.TextChoices):
    """The kinds of content in a client's bucket, each in its own folder `<bucket>/<kind>`.

    The column `bucket` of a row holds the folder, which separates the kinds. A platform bucket holds one kind only, so
    bucket and folder are the same.
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
    """Return the object type in audit lines for objects in `folder`; permission kinds have the same names."""
    _, made, kind = folder.partition("/")
    return kind.removesuffix("s") if made else AUDIT_TYPES[Bucket(folder)]


def holds_pictures(folder: str) -> bool:
    return folder in PICTURES or folder.endswith(f"/{Kind.IMAGES}")
