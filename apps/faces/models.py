"""Models of faces, their attributes and descriptors, and of lists."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.accounts.models import AccountOwned
from apps.common.vectors import PlainVectorField


class Face(AccountOwned):
    """Face of one person. `face_id` is the public id, `id` is the database key."""

    id = models.BigAutoField(primary_key=True)
    face_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    event_id = models.UUIDField(null=True)
    external_id = models.CharField(max_length=36, blank=True, default="")
    user_data = models.CharField(max_length=128, blank=True, default="")
    avatar = models.CharField(max_length=256, blank=True, default="")
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        indexes = (
            models.Index(fields=("account", "-id")),  # newest first, the order of all pages of faces
            models.Index(fields=("account", "create_time")),
            models.Index(fields=("account", "external_id"), condition=~models.Q(external_id=""), name="face_external"),
            models.Index(fields=("account", "user_data"), condition=~models.Q(user_data=""), name="face_user_data"),
            models.Index(fields=("event_id",), condition=models.Q(event_id__isnull=False), name="face_event"),
        )

    def __str__(self) -> str:
        return self.external_id or self.user_data or str(self.face_id)


class FaceAttribute(models.Model):
    """Basic attributes of a face, and the samples of its attributes.

    `generation` counts replacements of the samples. A descriptor whose generation differs from its attribute's comes
    from other samples.
    """

    face = models.OneToOneField(Face, on_delete=models.CASCADE, primary_key=True, related_name="attribute")
    age = models.PositiveSmallIntegerField(null=True)
    gender = models.PositiveSmallIntegerField(null=True)  # 0 female, 1 male
    ethnicity = models.PositiveSmallIntegerField(null=True)  # 1 african american, 2 indian, 3 asian, 4 caucasian
    basic_attributes_samples = ArrayField(models.UUIDField(), default=list)
    descriptor_samples = ArrayField(models.UUIDField(), default=list)
    attribute_id = models.UUIDField(null=True, unique=True)  # the temporary attribute from which it was created
    generation = models.PositiveIntegerField(default=0)
    create_time = models.DateTimeField(auto_now_add=True)


class FaceDescriptor(models.Model):
    """Descriptor of a face in one version: a unit vector of the version's dimension.

    `vector` has STORAGE PLAIN: float32 vectors in their row. Scan for the top 5, median ms at 10,000 / 100,000 rows on
    2 cores: 128-d default storage 1.6 / 40, plain 2.3 / 19, halfvec plain 1.4 / 12; 512-d default 28 / 572 (TOAST),
    plain 6.3 / 96, halfvec plain 4.5 / 55. Half floats would be 1.7 times faster but lose the last digits of
    similarities. An expression index with a cast to half floats remains possible.
    """

    id = models.BigAutoField(primary_key=True)
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="descriptors", db_index=False)
    version = models.PositiveIntegerField()
    vector = PlainVectorField()
    score = models.FloatField(null=True)
    generation = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("face", "version"), name="face_descriptor_version"),)


class ThinFace(AccountOwned):
    """Copy of a face's descriptor with the columns of filters of faces: see `apps.common.thin`. Triggers write it."""

    id = models.BigAutoField(primary_key=True)
    face_key = models.BigIntegerField()
    version = models.PositiveIntegerField()
    vector = PlainVectorField()
    face_id = models.UUIDField()
    event_id = models.UUIDField(null=True)
    external_id = models.CharField(max_length=36)
    user_data = models.CharField(max_length=128)
    create_time = models.DateTimeField()

    class Meta(AccountOwned.Meta):
        verbose_name_plural = "copies of face descriptors"
        constraints = (models.UniqueConstraint(fields=("face_key", "version"), name="thin_face_version"),)
        indexes = (
            models.Index(
                fields=("account", "version", "create_time"),
                include=("face_key", "face_id", "event_id", "external_id", "user_data"),
                name="thin_face_filters",
            ),
        )


class List(AccountOwned):
    """Set of faces. The keys count links and unlinks, so that readers can follow changes without gaps."""

    id = models.BigAutoField(primary_key=True)
    list_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user_data = models.CharField(max_length=128, blank=True, default="")
    link_key = models.BigIntegerField(default=0)
    unlink_key = models.BigIntegerField(default=0)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-id")),)

    def __str__(self) -> str:
        return self.user_data or str(self.list_id)


class ListFace(models.Model):
    """Membership of a face in a list since `link_time`."""

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="links", db_index=False)
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="links")
    link_key = models.BigIntegerField()
    link_time = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("list", "face"), name="list_face"),
            # The index includes the face, so that deep pages of a list need an index-only scan.
            models.UniqueConstraint(fields=("list", "link_key"), include=("face",), name="list_link_key"),
        )

    def __str__(self) -> str:
        return str(self.list)


class ListUnlink(models.Model):
    """Ended membership of a face in a list until `unlink_time`. Id and database key are plain: the face may be deleted.

    Rows of older releases have no `face_key`.
    """

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="unlinks", db_index=False)
    face_id = models.UUIDField()
    face_key = models.BigIntegerField(null=True)
    link_key = models.BigIntegerField()
    unlink_key = models.BigIntegerField()
    unlink_time = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("list", "unlink_key"), name="list_unlink_key"),)


class ListDeletion(AccountOwned):
    """Log row of a list that was deleted at `deletion_time`."""

    deletion_id = models.BigAutoField(primary_key=True)
    list_id = models.UUIDField()
    create_time = models.DateTimeField()
    deletion_time = models.DateTimeField(auto_now_add=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-deletion_id")),)
