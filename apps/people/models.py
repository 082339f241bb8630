"""Groups of events that are most likely of one person, and the decisions of operators about them."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.formats import localize
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import AccountOwned


class DecisionKind(models.TextChoices):
    """The decisions of operators."""

    NAME = "name", _("Name")
    MERGE = "merge", _("Merge")
    SPLIT = "split", _("Split")
    APART = "apart", _("Apart")


class Person(AccountOwned):
    """A group of events: a proposal of the last run, or, if `decided`, a person that an operator has confirmed.

    `face_id`: the face that naming has made or found; it may be deleted since. `event_count`, `cover_event_id` (the
    newest event), `last_seen`: of the group's events.
    """

    person_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=128, blank=True, default="")
    decided = models.BooleanField(default=False)
    face_id = models.UUIDField(null=True)
    event_count = models.PositiveIntegerField(default=0)
    cover_event_id = models.UUIDField(null=True)
    last_seen = models.DateTimeField(null=True)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        verbose_name_plural = "people"
        indexes: ClassVar = [
            models.Index(fields=("account", "-event_count", "-id"), name="person_account"),
            models.Index(fields=("face_id",), condition=models.Q(face_id__isnull=False), name="person_face"),
        ]

    def __str__(self) -> str:
        return self.name or gettext("person %(id)s") % {"id": self.person_id}


class PersonEvent(models.Model):
    """The membership of an event in a group. An event is in one group at most.

    `decided`: an operator has confirmed it, so that runs keep it; otherwise it is a proposal of the last run. The event
    is a plain UUID, because partitions of events are dropped as a whole.
    """

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="events")
    event_id = models.UUIDField(unique=True)
    decided = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.event_id)


class PersonDecision(AccountOwned):
    """A decision that can be undone.

    `people`: keys of the groups it changed. `before`: their columns, the memberships of their events, and the face
    before the decision.
    """

    kind = models.CharField(max_length=8, choices=DecisionKind.choices)
    people = ArrayField(models.BigIntegerField())
    before = models.JSONField()
    create_time = models.DateTimeField(auto_now_add=True)

    class Meta(AccountOwned.Meta):
        indexes: ClassVar = [
            models.Index(fields=("account", "-id"), name="person_decision_account"),
            GinIndex(fields=("people",), name="person_decision_people"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {localize(self.create_time)}"
