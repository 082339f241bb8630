"""The installed licence, and its consumption."""

from uuid import uuid4

from django.db import models

ONLY_KEY = 1


class Installation(models.Model):
    """The only row: id of this installation, and the file of its licence.

    `document`: text of the file, empty without a licence. `latest_time`: the latest time that a process has seen, by
    which a clock that was set back is detected.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY_KEY, editable=False)
    installation_id = models.UUIDField(default=uuid4, editable=False)
    document = models.TextField(default="", blank=True)
    latest_time = models.DateTimeField()

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=ONLY_KEY), name="licenses_one_installation"),)

    def __str__(self) -> str:
        return str(self.installation_id)


class Usage(models.Model):
    """Consumed transactions of a licence. The row outlives the licence: installing it again restores no balance."""

    license_id = models.UUIDField(primary_key=True)
    liveness_used = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(liveness_used__gte=0), name="licenses_usage_positive"),
        )

    def __str__(self) -> str:
        return str(self.license_id)


class Charge(models.Model):
    """A consumption with a key, so that work that is repeated after a crash is counted once."""

    key = models.CharField(max_length=64, primary_key=True)
    create_time = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.key)
