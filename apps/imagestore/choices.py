from django.db import models


class Bucket(models.TextChoices):
    """The platform's buckets; their names are folder names on disk."""

    FACE_SAMPLES = "visionlabs-samples"
    BODY_SAMPLES = "visionlabs-bodies-samples"
    IMAGES = "visionlabs-image-origin"
    OBJECTS = "visionlabs-objects"
    TASK_RESULT = "task-result"
    PORTRAITS = "portraits"
