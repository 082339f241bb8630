"""Pages of Admin: an account with its data, the information, the id of a new account."""

import re
from uuid import uuid4

import orjson
import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, AuditRecord
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.licenses.document import Feature, Grant
from tests.factories import PASSWORD, make_account
from tests.licenses import licensed, make_license

pytestmark = pytest.mark.django_db
FORM = {"login": "new@luna.test", "password1": PASSWORD, "password2": PASSWORD, "account_type": "user"}


def page_of(account: Account) -> str:
    return reverse("admin:accounts_account_change", args=(account.pk,))


def test_an_account_is_shown_with_its_lists_and_faces(
    site: Client, owner: Account, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [list_create(account_id=owner.pk, user_data=f"<b>list {number}</b>") for number in range(12)]
    for _ in range(11):
        face = face_create(account_id=owner.pk, draft=FaceDraft(user_data="<i>", lists=(rows[-1].list_id,)))
    other = face_create(account_id=make_account().pk, draft=FaceDraft())
    before = AuditRecord.objects.count()
    with django_assert_max_num_queries(40):
        shown = site.get(page_of(owner)).content.decode()
    assert shown.count("&lt;b&gt;list ") == 10
    assert re.search(r"&lt;b&gt;list 11&lt;/b&gt;</td><td>[0-9a-f-]{36}</td><td>11</td>", shown)
    assert str(face.face_id) in shown
    assert str(other.face_id) not in shown
    assert "<i>" not in shown.split("fieldset", 1)[-1].replace("<i>\n", "")
    for model, number in (("list", 12), ("face", 11)):
        url = reverse(f"admin:faces_{model}_changelist")
        assert f"{url}?account__account_id__exact={owner.pk}" in shown
        listed = site.get(f"{url}?account__account_id__exact={owner.pk}")
        assert listed.status_code == 200
        assert listed.context_data["cl"].result_count == number  # type: ignore[index]  # of Django's page
    assert AuditRecord.objects.exclude(object_type="pictures").count() == before, "no picture is read on this page"


def test_an_account_without_data(site: Client, owner: Account) -> None:
    assert site.get(page_of(owner)).status_code == 200
    assert (
        site.get(reverse("admin:tasks_task_changelist") + f"?account__account_id__exact={owner.pk}").status_code == 200
    )


def test_the_id_of_a_new_account_can_be_chosen(site: Client) -> None:
    account_id = str(uuid4())
    add = reverse("admin:accounts_account_add")
    assert site.post(add, {**FORM, "chosen_id": account_id}).status_code == 302
    assert str(Account.objects.get(login="new@luna.test").pk) == account_id
    for chosen, text in ((account_id, "An account with this id exists"), ("7", "valid UUID")):
        answer = site.post(add, {**FORM, "login": "other@luna.test", "chosen_id": chosen})
        assert answer.status_code == 200
        assert text in answer.content.decode()
    assert site.post(add, {**FORM, "login": "other@luna.test"}).status_code == 302


def test_the_information_and_its_file(site: Client) -> None:
    shown = site.get(reverse("information")).content.decode()
    assert "5.67.0" in shown
    assert reverse("information_download") in shown
    answer = site.get(reverse("information_download"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="luna_sys_info.json"'
    assert set(orjson.loads(answer.content)) >= {"versions", "descriptors", "settings", "license", "stats"}
    assert site.post(reverse("information_download")).status_code == 405


def test_a_limited_licence(site: Client, owner: Account) -> None:
    features = {Feature.FACES: Grant(True, 200), Feature.ISO: Grant(False)}
    for number in range(3):
        face_create(account_id=owner.pk, draft=FaceDraft(attribute=AttributeData(basic=BasicData(age=number))))
    with licensed(make_license(features)) as license:
        shown = site.get(reverse("information")).content.decode()
        found = orjson.loads(site.get(reverse("information_download")).content)["license"]
    facts = dict(re.findall(r'<th scope="row">([^<]+)</th><td>([^<]*)</td>', shown))
    assert facts["Faces with attributes: limit"] == "200"
    assert facts["Faces with attributes: used"] == "3 (1.5 %)"
    assert facts["Faces with attributes: limit not exceeded"] == "yes"
    assert facts["Faces with attributes: left"] == "197"
    assert facts["ISO checks"] == "not available"
    assert facts["Licensee"] == license.licensee
    assert found["features"]["faces"] == {"available": True, "limit": 200, "used": 3, "balance": 197, "rate": 1.5}


def test_without_a_licence(site: Client) -> None:
    with licensed(text=""):
        shown = site.get(reverse("information")).content.decode()
        assert site.get(reverse("information_download")).status_code == 200
    assert "No license is in force" in shown
    assert "<td>not available</td>" in shown
