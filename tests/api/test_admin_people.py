"""The admin page of unknown people: pictures with one audit line, decisions by forms, rights."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.common.descriptors import Descriptor, versions
from apps.events.models import Event
from apps.faces.models import Face
from apps.faces.services import list_create
from apps.people import admin as page_of_people
from apps.people.models import Person, PersonEvent
from apps.people.rows import people_refresh
from tests.api.test_admin import sample
from tests.api.test_admin_overview import site_of
from tests.api.test_admin_pictures import images
from tests.factories import make_account, make_event, unit_vectors

pytestmark = pytest.mark.django_db
LIST = reverse("admin:people_person_changelist")


def group(owner: Account, events: int) -> tuple[Person, list[Event]]:
    """A proposal of events with pictures and descriptors."""
    version = versions.default("face")
    descriptor = Descriptor(version.version, unit_vectors(1, version.dimension)[0], 0.5)
    made = [make_event(owner, descriptor, face_detections=[{"sample_id": str(sample(owner))}]) for _ in range(events)]
    person: Person = Person.objects.create(account=owner)
    PersonEvent.objects.bulk_create(PersonEvent(person=person, event_id=each.event_id) for each in made)
    people_refresh(owner.pk)
    return person, made


def page(person: Person) -> str:
    return reverse("admin:people_person_change", args=(person.pk,))


def decide(site: Client, person: Person, **form: Any) -> str:
    """Post a decision; return the message of the next page."""
    response = site.post(page(person), form)
    assert response.status_code == 302
    return " ".join(str(each) for each in get_messages(response.wsgi_request))


def members(person: Person) -> set[UUID]:
    return set(PersonEvent.objects.filter(person=person).values_list("event_id", flat=True))


def test_pictures_of_list_and_page_leave_one_line_each(site: Client, admin: Account, owner: Account) -> None:
    person, events = group(owner, 3)
    AuditRecord.objects.all().delete()
    for address, name, count in ((LIST, "people", 1), (page(person), f"person group {person.person_id}", len(events))):
        shown = images(site.get(address).content)
        for url, _alt in shown:
            assert site.get(url).status_code == 200
        line = AuditRecord.objects.get()
        assert (line.action, line.object_type, line.object_id) == ("view", "pictures", name)
        assert (line.account_id, line.object_account_id, len(line.members or ())) == (admin.pk, owner.pk, count)
        assert len(shown) == count
        line.delete()


def test_name_split_merge_undo(site: Client, admin: Account, owner: Account) -> None:
    person, events = group(owner, 3)
    guests = list_create(account_id=owner.pk, user_data="guests")
    chosen = str(events[1].event_id)
    AuditRecord.objects.all().delete()

    assert decide(site, person, decide="name", name="Ada", list=str(guests.list_id), event=chosen).startswith(
        "The group is named"
    )
    face = Face.objects.for_account(owner.pk).get()
    assert (face.user_data, str(face.event_id)) == ("Ada", chosen)
    line = AuditRecord.objects.get(object_type="person_group")
    assert (line.action, line.object_id, line.account_id) == ("update", str(person.person_id), admin.pk)

    assert "of their own" in decide(site, person, decide="split", event=[chosen])
    other = Person.objects.for_account(owner.pk).exclude(pk=person.pk).get()
    assert members(other) == {events[1].event_id}

    form = {"action": "merge", "_selected_action": [person.pk, other.pk]}
    assert site.post(LIST, form).status_code in (200, 302)
    assert len(members(person)) == 3
    content = site.get(page(person)).content.decode()
    assert "Ada" in content
    assert "guests" in content

    for _ in range(3):
        decision = site.get(page(person)).context["decision"]
        assert decide(site, person, decide="undo", decision=decision.pk) == "The decision is undone."
    person.refresh_from_db()
    assert (person.name, person.decided, len(members(person))) == ("", False, 3)
    assert not Face.objects.for_account(owner.pk).exists()
    assert site.get(page(person)).context["decision"] is None


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"decide": "surprise"},
        {"decide": "name"},
        {"decide": "name", "name": "Ada", "list": str(uuid4())},
        {"decide": "name", "name": "Ada", "event": str(uuid4())},
        {"decide": "split"},
        {"decide": "split", "event": ["no id", str(uuid4())]},
        {"decide": "undo"},
        {"decide": "undo", "decision": "٣"},
        {"decide": "undo", "decision": "9" * 40},
    ],
)
def test_bad_forms_change_nothing(site: Client, owner: Account, form: dict[str, Any]) -> None:
    person, _ = group(owner, 2)
    message = decide(site, person, **form)
    assert bool(message) is (form.get("decide") in ("name", "split", "undo"))
    person.refresh_from_db()
    assert (person.name, person.decided, len(members(person))) == ("", False, 2)
    assert not Face.objects.for_account(owner.pk).exists()


def test_groups_of_two_accounts_are_not_merged(site: Client, owner: Account) -> None:
    groups = [group(each, 1)[0] for each in (owner, make_account())]
    site.post(LIST, {"action": "merge", "_selected_action": [each.pk for each in groups]})
    assert [len(members(each)) for each in groups] == [1, 1]


def test_rights(owner: Account) -> None:
    person, events = group(owner, 2)
    form = {"decide": "split", "event": str(events[0].event_id)}
    assert site_of(Role.AUDITOR).get(page(person)).status_code == 403
    assert site_of(Role.AUDITOR).post(page(person), form).status_code == 403
    assert Client().post(page(person), form).status_code == 302
    assert len(members(person)) == 2
    assert site_of(Role.OPERATOR).post(page(person), form).status_code == 302
    assert len(members(person)) == 1


def test_missing_group(site: Client) -> None:
    assert site.get(reverse("admin:people_person_change", args=(10**9,))).status_code == 404


def test_pages_of_a_large_group(site: Client, owner: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_people, "MEMBERS_SHOWN", 2)
    person, events = group(owner, 3)
    first = site.get(page(person))
    second = site.get(page(person) + f"?from={first.context['following']}")
    shown = [each["event_id"] for response in (first, second) for each in response.context["members"]]
    assert shown == [each.event_id for each in reversed(events)]
    assert second.context["following"] is None


def test_resembling_groups_are_merged_or_kept_apart(site: Client, owner: Account) -> None:
    """Two operators who merge the same groups: the second one reads that the other group is gone."""
    person, other = group(owner, 2)[0], group(owner, 1)[0]
    AuditRecord.objects.all().delete()
    (similar,) = site.get(page(person)).context["similar"]
    assert (similar["person"], similar["apart"]) == (other, False)
    assert AuditRecord.objects.filter(object_type="pictures").count() == 2, "one line for members, one for the others"

    assert "different people" in decide(site, person, decide="apart", other=str(other.person_id))
    assert site.get(page(person)).context["similar"][0]["apart"]
    assert decide(site, person, decide="merge", other=str(other.person_id)) == "The groups are merged."
    assert len(members(person)) == 3
    assert "Another operator may have merged it" in decide(site, person, decide="merge", other=str(other.person_id))
    for _ in range(2):
        decide(site, person, decide="undo", decision=site.get(page(person)).context["decision"].pk)
    assert len(members(person)) == 2
    assert len(members(other)) == 1
