"""Decisions of operators about groups: name, merge, split, keep apart, and their undoing.

A decision confirms all events of the groups that it concerns: later runs keep them (`grouping`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, ListFace
from apps.faces.services import face_create, face_delete, face_update, list_attach_faces, list_detach_faces
from apps.people.grouping import PeopleError
from apps.people.models import DecisionKind, Person, PersonDecision, PersonEvent
from apps.people.rows import people_lock, people_refresh
from apps.tasks.event_faces import EVENT_COLUMNS, event_faces

AUDITED = "person_group"
KEPT_COLUMNS = ("id", "person_id", "name", "decided", "face_id")
KEPT_DECISIONS = 100  # of an account; older ones cannot be undone


@transaction.atomic
def person_name(
    *,
    account_id: UUID,
    person_id: UUID,
    name: str,
    list_id: UUID | None = None,
    event_id: UUID | None = None,
    actor: Actor | None = None,
) -> PersonDecision:
    """Name a group and enrol its face: user data and, with `list_id`, the link to a list.

    `event_id`: the event of the group with the descriptors of a new face, None for that with the best score. A face
    that the group or the event already has is used. Raises PeopleError; LunaError for an unknown list.
    """
    name = name.strip()
    if not 1 <= len(name) <= 128 or not name.isprintable():
        raise PeopleError(_("A name has 1 to 128 printable characters, got %(count)d.") % {"count": len(name)})
    (person,) = _locked(account_id, [person_id])
    before = _before([person])
    before["face"] = _enrol(account_id, person, name, list_id, event_id, actor)
    person.name, person.face_id = name, UUID(before["face"]["face_id"])
    return _decided(account_id, DecisionKind.NAME, [person], before, actor)


@transaction.atomic
def people_merge(*, account_id: UUID, person_ids: Sequence[UUID], actor: Actor | None = None) -> PersonDecision:
    """Merge groups into the named one, or else into the largest.

    Raises PeopleError for fewer than two groups, and for different names.
    """
    people = _locked(account_id, person_ids)
    if len(people) < 2:
        raise PeopleError(_("Choose two groups or more."))
    names = sorted({each.name for each in people if each.name})
    if len(names) > 1:
        raise PeopleError(
            _("The groups have different names: %(names)s. Give them one name first.") % {"names": ", ".join(names)}
        )
    before = _before(people)
    people.sort(key=lambda each: (not each.name, not each.decided, -each.event_count, each.pk))
    person, others = people[0], people[1:]
    person.face_id = next((each.face_id for each in people if each.face_id), None)
    PersonEvent.objects.filter(person__in=others).update(person=person)
    Person.objects.for_account(account_id).filter(pk__in=[each.pk for each in others]).delete()
    return _decided(account_id, DecisionKind.MERGE, [person], before, actor)


@transaction.atomic
def person_split(
    *, account_id: UUID, person_id: UUID, event_ids: Iterable[UUID], actor: Actor | None = None
) -> PersonDecision:
    """Move events of a group to a new group, of another person. The last key of the decision is that of the new group.

    Raises PeopleError unless some of the group's events are named, but not all.
    """
    (person,) = _locked(account_id, [person_id])
    before = _before([person])
    chosen = set(event_ids)
    moved = PersonEvent.objects.filter(person=person, event_id__in=chosen)
    count = moved.count()
    if not chosen or count < len(chosen):
        raise PeopleError(_("Choose events of this group."))
    if count == PersonEvent.objects.filter(person=person).count():
        raise PeopleError(_("At least one event must remain in the group."))
    other: Person = Person.objects.create(account_id=account_id)
    moved.update(person=other)
    return _decided(account_id, DecisionKind.SPLIT, [person, other], before, actor)


@transaction.atomic
def people_apart(*, account_id: UUID, person_ids: Sequence[UUID], actor: Actor | None = None) -> PersonDecision:
    """Confirm groups as those of different people: later runs never join them.

    Raises PeopleError for fewer than two groups.
    """
    people = _locked(account_id, person_ids)
    if len(people) < 2:
        raise PeopleError(_("Choose two groups or more."))
    return _decided(account_id, DecisionKind.APART, people, _before(people), actor)


@transaction.atomic
def decision_undo(*, account_id: UUID, decision_id: int, actor: Actor | None = None) -> list[Person]:
    """Undo a decision, and return its groups. A face that naming has created is deleted.

    Events that have left the groups since are not moved. Raises PeopleError for an unknown decision, and if a later one
    concerns the same groups.
    """
    people_lock(account_id)
    decisions = PersonDecision.objects.for_account(account_id)
    decision: PersonDecision | None = decisions.filter(pk=decision_id).first()
    if decision is None:
        raise PeopleError(_("This decision cannot be undone any more."))
    if decisions.filter(pk__gt=decision.pk, people__overlap=decision.people).exists():
        raise PeopleError(_("A later decision concerns the same group. Undo that one first."))
    before = decision.before
    people = [Person(account_id=account_id, **columns) for columns in before["people"]]
    for person in people:
        if _exists(person):
            person.save(update_fields=KEPT_COLUMNS[1:])
        else:
            person.save(force_insert=True)
    for key, is_decided, event_ids in before["members"]:
        members = PersonEvent.objects.filter(person__in=decision.people, event_id__in=event_ids)
        members.update(person_id=key, decided=is_decided)
    kept = {person.pk for person in people}
    created = [key for key in decision.people if key not in kept]
    PersonEvent.objects.filter(person__in=created).update(person_id=people[0].pk, decided=False)
    Person.objects.for_account(account_id).filter(pk__in=created).delete()
    _unenrol(account_id, before.get("face"), actor)
    decision.delete()
    people_refresh(account_id, kept)
    _audit(account_id, people, actor)
    return list(Person.objects.for_account(account_id).filter(pk__in=kept).order_by("pk"))


def _locked(account_id: UUID, person_ids: Sequence[UUID]) -> list[Person]:
    people_lock(account_id)
    found = {each.person_id: each for each in Person.objects.for_account(account_id).filter(person_id__in=person_ids)}
    for each in person_ids:
        if each not in found:
            gone = _("There is no group %(id)s. Another operator may have merged it, or a later run replaced it.")
            raise PeopleError("{} {}".format(gone % {"id": each}, _("Nothing was changed.")))
    return [found[each] for each in dict.fromkeys(person_ids)]


def _exists(person: Person) -> bool:
    return bool(Person.objects.for_account(person.account_id).filter(pk=person.pk).exists())


def _before(people: Sequence[Person]) -> dict[str, Any]:
    """Return what undoing restores: columns of the groups, and the events of each, decided and proposed ones apart."""
    members = []
    for person in people:
        for decided in (True, False):
            rows = PersonEvent.objects.filter(person=person, decided=decided).values_list("event_id", flat=True)
            if event_ids := [str(each) for each in rows]:
                members.append([person.pk, decided, event_ids])
    columns = [{name: _plain(getattr(person, name)) for name in KEPT_COLUMNS} for person in people]
    return {"people": columns, "members": members}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _decided(
    account_id: UUID, kind: DecisionKind, people: Sequence[Person], before: dict[str, Any], actor: Actor | None
) -> PersonDecision:
    """Confirm the groups with all of their events, and remember the decision."""
    for person in people:
        person.decided = True
        person.save()
    PersonEvent.objects.filter(person__in=people).update(decided=True)
    people_refresh(account_id, [person.pk for person in people])
    keys = dict.fromkeys([*(person.pk for person in people), *(each["id"] for each in before["people"])])
    ordered = [key for key in keys if key != people[-1].pk] + [people[-1].pk]
    decision: PersonDecision = PersonDecision.objects.create(
        account_id=account_id, kind=kind, people=ordered, before=before
    )
    old = PersonDecision.objects.for_account(account_id).order_by("-pk").values_list("pk", flat=True)
    if expired := list(old[KEPT_DECISIONS:]):
        PersonDecision.objects.for_account(account_id).filter(pk__in=expired).delete()
    _audit(account_id, people, actor)
    return decision


def _audit(account_id: UUID, people: Iterable[Person], actor: Actor | None) -> None:
    ids = [person.person_id for person in people]
    audit_write(action="update", object_type=AUDITED, object_ids=ids, account_id=account_id, actor=actor)


def _enrol(
    account_id: UUID, person: Person, name: str, list_id: UUID | None, event_id: UUID | None, actor: Actor | None
) -> dict[str, Any]:
    """Give the face of a group its name and list; return what undoing needs."""
    faces = Face.objects.for_account(account_id)
    face: Face | None = faces.filter(face_id=person.face_id).first() if person.face_id else None
    if face is None:
        found = event_faces(scope=Scope(account_id), events=[_event(account_id, person, event_id)])
        if found.errors:
            raise PeopleError(found.errors[0][1].detail)
        if found.drafts:
            lists = () if list_id is None else (list_id,)
            created = face_create(account_id=account_id, draft=replace(found.drafts[0], user_data=name, lists=lists))
            return {"face_id": str(created.face_id), "created": True}
        face = faces.get(face_id=found.ids[0])
    linked = list_id is not None and not ListFace.objects.filter(face=face, list__list_id=list_id).exists()
    undo = {
        "face_id": str(face.face_id),
        "created": False,
        "user_data": face.user_data,
        "list_id": str(list_id) if linked else None,
    }
    face_update(account_id=account_id, face_id=face.face_id, changes={"user_data": name}, actor=actor)
    if list_id is not None:
        list_attach_faces(account_id=account_id, list_id=list_id, face_ids=[face.face_id])
    return undo


def _event(account_id: UUID, person: Person, event_id: UUID | None) -> Event:
    """Return the chosen event of a group, or the one with the best face descriptor, of equal ones the newest.

    Raises PeopleError for an event that is not in the group or has no face descriptor.
    """
    members = PersonEvent.objects.filter(person=person)
    if event_id is not None:
        members = members.filter(event_id=event_id)
    events = Event.objects.for_account(account_id).filter(event_id__in=members.values("event_id"))
    best = (
        EventDescriptor.objects.filter(event__in=events.values("pk"), version=versions.default("face").version)
        .order_by(F("score").desc(nulls_last=True), "-event_id")
        .values_list("event_id", flat=True)
        .first()
    )
    chosen: Event | None = events.filter(pk=best).only(*EVENT_COLUMNS).first()
    if chosen is None:
        raise PeopleError(_("No such event with a face descriptor is in this group."))
    return chosen


def _unenrol(account_id: UUID, face: dict[str, Any] | None, actor: Actor | None) -> None:
    """Undo the changes of a face, as far as it still exists."""
    if face is None:
        return
    face_id = UUID(face["face_id"])
    if not Face.objects.for_account(account_id).filter(face_id=face_id).exists():
        return
    if face["created"]:
        face_delete(account_id=account_id, face_id=face_id, actor=actor)
        return
    face_update(account_id=account_id, face_id=face_id, changes={"user_data": face["user_data"]}, actor=actor)
    if face["list_id"]:
        try:
            with transaction.atomic():
                list_detach_faces(account_id=account_id, list_id=UUID(face["list_id"]), face_ids=[face_id])
        except LunaError:  # the list is deleted
            pass
