"""Erasure of a person from the groups of events."""

from collections.abc import Iterable
from uuid import UUID

from apps.accounts.audit import audit_owned
from apps.common.holdings import Reference, Report, Trace
from apps.faces.models import Face
from apps.faces.services import faces_delete
from apps.people.models import Person
from apps.people.rows import decisions_forget


class PersonGroups:
    """Groups with an event or the face of a person: they are removed with name, decisions and enrolled face.

    Their other events stay; the next run proposes groups of them anew.
    """

    def __init__(self) -> None:
        self.groups: dict[int, Person] = {}

    def find(self, trace: Trace) -> None:
        for kind, column in (("event", "events__event_id__in"), ("face", "face_id__in")):
            for account_id, ids in trace.of(kind).items():
                rows = Person.objects.for_account(account_id).filter(**{column: ids}).order_by().distinct()
                self.groups |= {person.pk: person for person in rows}
        for person in self.groups.values():
            if person.face_id is not None:
                trace.held.add(Reference("face", person.account_id, str(person.face_id)))

    def erase(self, trace: Trace) -> None:
        decisions_forget(self.groups)
        Person.objects.unscoped().filter(pk__in=self.groups).delete()
        owners = {person.person_id: person.account_id for person in self.groups.values()}
        audit_owned(action="erase", object_type="person_group", owners=owners, actor=trace.actor)
        for account_id in {*owners.values()}:
            left = _left(account_id, (person.face_id for person in self.groups.values()))
            faces_delete(account_id=account_id, face_ids=left, actor=trace.actor, action="erase")

    def clean(self, trace: Trace) -> None:
        """Do nothing: groups have no files."""

    def report(self) -> Report:
        people = list(self.groups.values())
        return {
            "person_groups": [str(person.person_id) for person in people],
            "enrolled_faces": [str(person.face_id) for person in people if person.face_id is not None],
        }


def _left(account_id: UUID, face_ids: Iterable[UUID | None]) -> list[UUID]:
    """Return those faces that no other room has erased."""
    faces = Face.objects.for_account(account_id).filter(face_id__in=[each for each in face_ids if each])
    return list(faces.values_list("face_id", flat=True))
