"""The outbox of callbacks."""

import uuid

from django.db import models

from apps.accounts.models import Account, AccountOwned


class Callback(AccountOwned):
    """A callback that is not delivered yet, or a dead letter (`dead_time`). Delivered ones are deleted.

    `account`: None for a callback of an operator's task. `target`: the JSON of its kind of target, with sealed secrets.
    `server`: a digest of account, kind and `Target.server`.
    `due_time`: when it may be claimed next; a claim moves it to the end of the lease. `expire_time`: when it becomes a
    dead letter. `object_id`: the event or task that it reports. `traceparent`: the span that created it.
    """

    account = models.ForeignKey(  # type: ignore[assignment]  # nullable, unlike that of other rows
        Account, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    id = models.BigAutoField(primary_key=True)
    callback_id = models.UUIDField(default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16)
    target = models.JSONField()
    place = models.TextField()
    server = models.UUIDField()
    payload = models.TextField()
    size = models.PositiveIntegerField()
    object_id = models.UUIDField(null=True)
    create_time = models.DateTimeField()
    due_time = models.DateTimeField()
    expire_time = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    dead_time = models.DateTimeField(null=True)
    traceparent = models.CharField(max_length=55, null=True)  # noqa: DJ001 (not traced)

    class Meta(AccountOwned.Meta):
        indexes = (
            models.Index(
                fields=("server", "due_time"), condition=models.Q(dead_time__isnull=True), name="callback_due"
            ),
            models.Index(fields=("account", "dead_time"), include=("size",), name="callback_account"),
            models.Index(fields=("object_id",), condition=models.Q(object_id__isnull=False), name="callback_object"),
        )

    def __str__(self) -> str:
        return str(self.callback_id)
