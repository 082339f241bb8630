"""Erasure of a person from callbacks: undelivered ones and dead letters, whose bodies hold events."""

from uuid import UUID

import orjson
from django.db.models import Q

from apps.accounts.audit import audit_owned
from apps.common.holdings import Report, Trace
from apps.sender.models import Callback


class PersonCallbacks:
    """Callbacks about the person's events, and those whose bodies name the person.

    Events that were not stored have callbacks too, so the bodies are searched. The owner of a row is in its account.
    """

    def __init__(self) -> None:
        self.callback_ids: dict[UUID, UUID | None] = {}

    def find(self, trace: Trace) -> None:
        wanted = Q()
        for kind in ("event", "mention"):
            for account_id, object_ids in trace.of(kind).items():
                wanted |= Q(account_id=account_id, object_id__in=object_ids)
        for face_ids in trace.of("face").values():
            for face_id in face_ids:
                wanted |= Q(payload__contains=face_id)
        if trace.external_id is not None:
            wanted |= Q(payload__contains=f'"external_id":{orjson.dumps(trace.external_id).decode()}')
        if not wanted:
            return
        rows = Callback.objects.unscoped().filter(wanted)
        if trace.account_id is not None:
            rows = rows.filter(account_id=trace.account_id)
        self.callback_ids = dict(rows.values_list("callback_id", "account_id"))

    def erase(self, trace: Trace) -> None:
        Callback.objects.unscoped().filter(callback_id__in=self.callback_ids).delete()
        audit_owned(action="erase", object_type="callback", owners=self.callback_ids, actor=trace.actor)

    def clean(self, trace: Trace) -> None:
        """Do nothing: callbacks have no files."""

    def report(self) -> Report:
        return {"callbacks": len(self.callback_ids)}
