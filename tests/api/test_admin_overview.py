"""The overview of the admin site, the deletion of accounts, the pages of audit lines, and how values are shown."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts import erasure
from apps.accounts.adminbase import lists
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.events.models import Event
from apps.faces.admin import FaceAdmin
from apps.faces.attributes import attribute_create
from apps.faces.models import Face
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.handlers.models import Handler, Verifier
from apps.monitoring import health
from luna import dashboard
from tests.api.test_admin import sample
from tests.factories import NOON, make_account, make_event, token_client

pytestmark = pytest.mark.django_db
OVERVIEW = "/admin/"
HOSTILE = "<script>alert(1)</script>"


def site_of(role: Role) -> Client:
    account = make_account()
    account_update(account=account, roles=[role])
    client = Client()
    client.force_login(account)
    return client


def cards(client: Client) -> dict[str, str]:
    return {card["name"]: card["count"] for card in client.get(OVERVIEW).context["cards"]}


# --- Overview ---------------------------------------------------------------------------------------------------
def test_the_overview_counts_rows_and_shows_the_last_events(site: Client, owner: Account) -> None:
    for number in range(12):
        make_event(owner, source=f"gate {number}", tags=(HOSTILE,), create_time=NOON.replace(minute=number))
    face_create(account_id=owner.pk, draft=FaceDraft())

    response = site.get(OVERVIEW)

    content = response.content.decode()
    counts = {card["name"]: card["count"] for card in response.context["cards"]}
    assert (counts["Faces"], counts["Events"], counts["Accounts"]) == ("1", "12", "2")
    assert [event["name"] for event in response.context["events"]] == [f"gate {n}" for n in range(11, 1, -1)]
    assert "2026-11-20 12:11:00 UTC" in content
    assert HOSTILE not in content
    assert "<img" not in content.partition("luna-cards")[2], "no pictures, so no audit line"


def test_the_overview_leaves_no_audit_line(site: Client, owner: Account) -> None:
    make_event(owner, face_detections=[{"sample_id": str(sample(owner))}])
    AuditRecord.objects.all().delete()
    site.get(OVERVIEW)
    assert not AuditRecord.objects.exists()


def test_the_overview_costs_the_same_however_much_there_is(site: Client, owner: Account) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            site.get(OVERVIEW)
        return len(context)

    make_event(owner)
    few = queries()
    for _ in range(12):
        make_event(make_account(), tags=("known",))
        face_create(account_id=owner.pk, draft=FaceDraft())
    assert queries() == few == 4  # session, user, counts, events


def test_a_large_table_shows_an_estimate(site: Client, owner: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        face_create(account_id=owner.pk, draft=FaceDraft())
    monkeypatch.setattr(dashboard, "COUNTED_ROWS", 3)
    assert dashboard._number(4, -1.0) == "over 3", "not analysed yet"
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE faces_face")
    assert cards(site)["Faces"] == "≈ 5"


def test_the_list_of_a_large_table_shows_an_estimate(
    site: Client, owner: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages need neither a count nor the months of all rows. A filtered list is counted, if it fits one page."""
    for number in range(5):
        face_create(account_id=owner.pk, draft=FaceDraft(user_data=f"face {number}"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE faces_face")
    face_create(account_id=owner.pk, draft=FaceDraft(user_data="visitor"))
    small = site.get("/admin/faces/face/").context["cl"]
    assert (small.result_count, small.date_hierarchy) == (6, "create_time")
    monkeypatch.setattr(lists, "WALKED_ROWS", 3)
    large = site.get("/admin/faces/face/").context["cl"]
    assert (large.count_shown(), large.date_hierarchy, len(large.result_list)) == ("6 faces", None, 6)
    monkeypatch.setattr(FaceAdmin, "list_per_page", 4)
    answer = site.get("/admin/faces/face/")
    large = answer.context["cl"]
    assert (large.count_shown(), large.date_hierarchy, len(large.result_list)) == ("≈ 5 faces", None, 4)
    assert "≈ 5 faces" in answer.content.decode()
    assert site.get("/admin/faces/face/?q=visitor").context["cl"].count_shown() == "1 face"
    assert site.get("/admin/faces/face/?q=face").context["cl"].count_shown() == "4 faces on this page"
    monkeypatch.setattr(erasure, "COUNTED_ROWS", 3)
    assert erasure.holdings_count(owner.pk)["faces"] == 4, "more than three"


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.OPERATOR, ["Faces", "Lists", "Events", "Unknown people", "Stored pictures"]),
        (Role.AUDITOR, ["Audit log"]),
        (Role.ADMINISTRATOR, ["Faces", "Lists", "Events", "Unknown people", "Handlers", "Verifiers", "Tasks",
                              "Schedules", "Callbacks", "Stored pictures", "Buckets", "Settings", "Limitations",
                              "Groups of settings", "History of settings", "Accounts", "Tokens", "Audit log",
                              "Task errors"]),
    ],
)  # fmt: skip
def test_the_overview_shows_what_its_reader_may_view(owner: Account, role: Role, names: list[str]) -> None:
    """The names and the order are those of the sidebar."""
    make_event(owner, source="secret gate")
    client = site_of(role)

    assert list(cards(client)) == names
    assert (b"secret gate" in client.get(OVERVIEW).content) is (role != Role.AUDITOR)


def test_the_overview_is_for_staff(owner: Account) -> None:
    client = Client()
    assert client.get(OVERVIEW).status_code == 302
    client.force_login(owner)
    assert client.get(OVERVIEW).status_code == 302


def test_the_overview_shows_what_is_unhealthy(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError(f"Redis is away {HOSTILE}")

    monkeypatch.setitem(health.checks._checks, "redis", (broken, "Redis disconnected", True))

    content = site.get(OVERVIEW).content.decode()

    assert "Redis is away &lt;script&gt;" in content
    assert "failed" in content


# --- Deletion of accounts ---------------------------------------------------------------------------------------
def test_deleting_an_account_shows_everything_that_goes_with_it(site: Client, owner: Account) -> None:
    guests = list_create(account_id=owner.pk)
    for _ in range(3):
        face_create(account_id=owner.pk, draft=FaceDraft(lists=[guests.list_id]))
    make_event(owner)
    Handler.objects.create(account=owner, policies={})
    Verifier.objects.create(account=owner, policies={})
    token_client(owner, face=["view"])
    sample(owner)
    attribute_create(account_id=owner.pk, data=AttributeData(basic=BasicData(age=3)))
    other = make_account()
    face_create(account_id=other.pk, draft=FaceDraft())

    response = site.get(reverse("admin:accounts_account_delete", args=(owner.pk,)))

    counts: dict[str, Any] = dict(response.context["model_count"])
    size = int(counts.pop("bytes of files").replace(",", ""))
    assert counts == {
        "log entries": "0", "schedules": "0",
        "tokens": "1", "stored objects": "1", "faces": "3", "lists": "1", "list deletions": "0",
        "events": "1", "handlers": "1", "verifiers": "1", "callbacks": "0", "kept responses": "0",
        "temporary attributes": "1", "people": "0", "person decisions": "0", "tasks": "0",
        "copies of event descriptors": "0", "copies of face descriptors": "0",
    }  # fmt: skip
    assert 500 < size < 50_000
    content = response.content.decode()
    assert "Temporary attributes" in content
    assert owner.login in content


@pytest.mark.parametrize("typed", [None, "", "someone@else.test", "%"])
def test_deleting_an_account_asks_for_its_login(site: Client, owner: Account, typed: str | None) -> None:
    url = reverse("admin:accounts_account_delete", args=(owner.pk,))
    form = {"post": "yes"} | ({} if typed is None else {"login": typed})

    response = site.post(url, form)

    owner.refresh_from_db()
    assert response.status_code == 200
    assert "not the login of the account" in response.content.decode()
    assert owner.deletion_time is None


def test_the_login_may_be_typed_in_any_case(site: Client, owner: Account) -> None:
    url = reverse("admin:accounts_account_delete", args=(owner.pk,))
    assert site.post(url, {"post": "yes", "login": f" {owner.login.upper()} "}).status_code == 302
    owner.refresh_from_db()
    assert owner.deletion_time is not None


def test_several_accounts_are_not_deleted_at_once(site: Client, owner: Account) -> None:
    url = reverse("admin:accounts_account_changelist")
    chosen = {"action": "delete_selected", "_selected_action": [str(owner.pk)], "post": "yes"}

    site.post(url, chosen)

    owner.refresh_from_db()
    assert owner.deletion_time is None
    assert 'value="delete_selected"' not in site.get(url).content.decode()


# --- Audit lines ------------------------------------------------------------------------------------------------
def test_an_audit_line_has_its_time_and_links(site: Client, owner: Account) -> None:
    face = face_create(account_id=owner.pk, draft=FaceDraft())
    line = AuditRecord.objects.create(
        action="view", object_type="face", object_id=str(face.face_id), account_id=owner.pk, object_account_id=owner.pk
    )

    content = site.get(reverse("admin:accounts_auditrecord_change", args=(line.pk,))).content.decode()

    assert f"{line.time:%Y-%m-%d %H:%M:%S} UTC" in content
    assert f'href="{reverse("admin:faces_face_changelist")}?q={face.face_id}"' in content
    assert f'href="{reverse("admin:accounts_account_changelist")}?q={owner.pk}"' in content


def test_links_are_for_those_who_may_follow_them(owner: Account) -> None:
    line = AuditRecord.objects.create(
        action="delete", object_type="face", object_id=str(owner.pk), account_id=owner.pk, members=None
    )

    content = site_of(Role.AUDITOR).get(reverse("admin:accounts_auditrecord_change", args=(line.pk,))).content.decode()

    assert str(owner.pk) in content
    assert f"?q={owner.pk}" not in content


@pytest.mark.parametrize("kind", ["fault", "api", "face", "of-the-future", "<b>"])
def test_a_line_of_any_type_is_shown(site: Client, kind: str) -> None:
    line = AuditRecord.objects.create(action="<i>", object_type=kind, object_id="<b>unknown</b>")
    for url in (
        reverse("admin:accounts_auditrecord_change", args=(line.pk,)),
        reverse("admin:accounts_auditrecord_changelist"),
    ):
        response = site.get(url)
        assert response.status_code == 200
        assert "<b>unknown" not in response.content.decode()
        assert "<i>" not in response.content.decode()


# --- Values -----------------------------------------------------------------------------------------------------
def test_json_is_shown_with_a_member_a_line(site: Client, owner: Account) -> None:
    event = make_event(owner, meta={"camera": {"name": HOSTILE}})
    content = site.get(reverse("admin:events_event_change", args=(event.pk,))).content.decode()
    assert "&quot;camera&quot;: {\n    &quot;name&quot;" in content
    assert HOSTILE not in content


def test_rights_of_a_token_are_words(site: Client, owner: Account) -> None:
    token_client(owner, face=["view", "creation"], emit_events={"black_list": ["<b>"]})
    token = Token.objects.for_account(owner.pk).get()
    content = site.get(reverse("admin:accounts_token_change", args=(token.pk,))).content.decode()
    assert '<b>face</b> <span class="luna-tag">view</span> <span class="luna-tag">creation</span>' in content
    assert "<b>emit events</b>" in content
    assert "[&quot;&lt;b&gt;&quot;]" in content


def test_times_have_their_zone(site: Client, owner: Account) -> None:
    make_event(owner)
    assert "2026-11-20 12:00:00 UTC" in site.get(reverse("admin:events_event_changelist")).content.decode()


@pytest.mark.parametrize(
    ("page", "title"), [("events_event", "Events"), ("accounts_auditrecord", "Audit lines"), ("faces_face", "Faces")]
)
def test_titles_are_readable(site: Client, owner: Account, page: str, title: str) -> None:
    content = site.get(reverse(f"admin:{page}_changelist")).content.decode()
    assert f"{title} | " in content.partition("<title>")[2].partition("</title>")[0]


def test_names_of_rows_are_readable(owner: Account) -> None:
    event = make_event(owner, source="gate")
    assert str(event) == "gate, 2026-11-20 12:00:00 UTC"
    line = AuditRecord(action="view", object_type="face_sample", object_id="1")
    assert str(line) == "view face sample 1"
    assert str(Event(create_time=NOON)) == "event, 2026-11-20 12:00:00 UTC"
    assert str(Face(external_id="E-1")) == "E-1"


def test_raw_pages_of_schedules_are_hidden(site: Client) -> None:
    for name in ("periodictask", "crontabschedule", "intervalschedule", "solarschedule", "clockedschedule"):
        assert site.get(f"/admin/django_celery_beat/{name}/").status_code == 404
    assert site.get("/admin/django_celery_beat/").status_code == 404
