"""Models of handlers and verifiers."""

import uuid

from django.db import models

from apps.accounts.models import AccountOwned
from apps.handlers.choices import HandlerType


class Handler(AccountOwned):
    """Stored policies. A dynamic handler stores none: each request supplies its own."""

    handler_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(max_length=128, blank=True, default="")
    handler_type = models.PositiveSmallIntegerField(choices=HandlerType.choices, default=HandlerType.STATIC)
    lambda_id = models.UUIDField(null=True)
    policies = models.JSONField(null=True)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-create_time")),)

    def __str__(self) -> str:
        return self.description or str(self.handler_id)


class Verifier(AccountOwned):
    """Stored policies of verifications. `version` counts the replacements from 1."""

    verifier_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(max_length=128, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    policies = models.JSONField()
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-create_time")),)

    def __str__(self) -> str:
        return self.description or str(self.verifier_id)
