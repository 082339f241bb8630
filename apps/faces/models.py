"""Faces, lists, what is known of a face, and its descriptors."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.accounts.models import AccountOwned
from apps.common.vectors import PlainVectorField


class Face(AccountOwned):
    """One person's face as an integrator knows it. `face_id` is public, `id` is the key inside the database."""

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
            models.Index(fields=("account", "-id")),  # newest first: the order of every list of faces
            models.Index(fields=("account", "create_time")),
            models.Index(fields=("account", "external_id"), condition=~models.Q(external_id=""), name="face_external"),
            models.Index(fields=("account", "user_data"), condition=~models.Q(user_data=""), name="face_user_data"),
            models.Index(fields=("event_id",), condition=models.Q(event_id__isnull=False), name="face_event"),
        )

    def __str__(self) -> str:
        return self.external_id or self.user_data or str(self.face_id)


class FaceAttribute(models.Model):
    """Basic attributes of a face and the samples that its attributes were extracted from.

    `generation` counts replacements of the samples. A descriptor of another generation than its attribute's was not
    made from these samples.
    """

    face = models.OneToOneField(Face, on_delete=models.CASCADE, primary_key=True, related_name="attribute")
    age = models.PositiveSmallIntegerField(null=True)
    gender = models.PositiveSmallIntegerField(null=True)  # 0 female, 1 male
    ethnicity = models.PositiveSmallIntegerField(null=True)  # 1 african american, 2 indian, 3 asian, 4 caucasian
    basic_attributes_samples = ArrayField(models.UUIDField(), default=list)
    descriptor_samples = ArrayField(models.UUIDField(), default=list)
    attribute_id = models.UUIDField(null=True, unique=True)  # the temporary attribute that it was made of
    generation = models.PositiveIntegerField(default=0)
    create_time = models.DateTimeField(auto_now_add=True)


class FaceDescriptor(models.Model):
    """A face's descriptor of one version: a unit vector of the version's dimension.

    `vector` with STORAGE PLAIN, because what is stored is exact and stays in its row. Scan for the top 5, median ms at
    10,000 / 100,000 rows on 2 cores: 128-d default storage 1.6 / 40, plain 2.3 / 19, halfvec plain 1.4 / 12; 512-d
    default 28 / 572 (TOAST), plain 6.3 / 96, halfvec plain 4.5 / 55. Half floats would gain 1.7 times and lose the
    last digits of similarities; an index over a cast to them can still be added.
    """

    id = models.BigAutoField(primary_key=True)
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="descriptors", db_index=False)
    version = models.PositiveIntegerField()
    vector = PlainVectorField()
    score = models.FloatField(null=True)
    generation = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("face", "version"), name="face_descriptor_version"),)


class List(AccountOwned):
    """A named set of faces. The keys count links and unlinks, so that readers can follow changes without gaps."""

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
    """A face is in a list since `link_time`."""

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="links", db_index=False)
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="links")
    link_key = models.BigIntegerField()
    link_time = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("list", "face"), name="list_face"),
            # With the face: pages far into a list are read from the index alone.
            models.UniqueConstraint(fields=("list", "link_key"), include=("face",), name="list_link_key"),
        )


class ListUnlink(models.Model):
    """A face was in a list until `unlink_time`. The face may be gone: its id is plain."""

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="unlinks", db_index=False)
    face_id = models.UUIDField()
    link_key = models.BigIntegerField()
    unlink_key = models.BigIntegerField()
    unlink_time = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("list", "unlink_key"), name="list_unlink_key"),)


class ListDeletion(AccountOwned):
    """A list was there until `deletion_time`."""

    deletion_id = models.BigAutoField(primary_key=True)
    list_id = models.UUIDField()
    create_time = models.DateTimeField()
    deletion_time = models.DateTimeField(auto_now_add=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-deletion_id")),)
