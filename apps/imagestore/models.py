"""Rows of the Image Store: one per stored object. The bytes are in files."""

import uuid

from django.db import models
from django.utils.translation import gettext

from apps.accounts.models import AccountOwned
from apps.imagestore.choices import audit_type


class StoredBucket(models.Model):
    """A bucket. Its time to live applies to objects without an own one; null means for ever."""

    name = models.CharField(max_length=64, primary_key=True)
    ttl_days = models.PositiveSmallIntegerField(null=True)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "bucket"

    def __str__(self) -> str:
        return self.name


class StoredObject(AccountOwned):
    """A sample, image, object or task result.

    Its file is written before the row, so each row has its bytes. A file without a row is left over from a crash.
    """

    id = models.BigAutoField(primary_key=True)
    bucket = models.CharField(max_length=80)  # the folder; `<bucket>/images` or `<bucket>/objects` in a client's bucket
    object_id = models.UUIDField(default=uuid.uuid4)
    content_type = models.CharField(max_length=128)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)  # of the bytes; also the ETag
    meta = models.JSONField(default=dict)
    create_time = models.DateTimeField(auto_now_add=True)
    ttl_days = models.SmallIntegerField(null=True)  # null: the bucket's; -1: for ever
    expiry_time = models.DateTimeField(null=True)  # null: never

    class Meta(AccountOwned.Meta):
        constraints = (models.UniqueConstraint(fields=("bucket", "object_id"), name="stored_object_key"),)
        indexes = (
            models.Index(fields=("expiry_time",), condition=models.Q(expiry_time__isnull=False), name="expiry"),
            models.Index(fields=("account", "bucket")),
        )

    def __str__(self) -> str:
        return f"{gettext(audit_type(self.bucket).replace('_', ' '))} {self.object_id}"
