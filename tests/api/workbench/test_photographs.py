"""Pages Try and Enrol: real photographs and networks, broken files, names of clients."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.common.config import AdditionalServices
from apps.faces.models import Face, FaceDescriptor, List
from apps.faces.services import list_create
from apps.imagestore.models import StoredObject
from tests.api.handlers.helpers import astronaut, nobody, sample
from tests.factories import make_account

pytestmark = pytest.mark.django_db
HOSTILE = '"><img src=x onerror=alert(1)>.jpg'


@pytest.fixture
def work(operator: Account) -> List:
    """A list of the operator's account."""
    return list_create(account_id=operator.pk, user_data="staff")


def send(desk: Client, route: str, owner: Account, /, *files: tuple[str, bytes], **fields: Any) -> str:
    """Return the answer's HTML."""
    photographs = [SimpleUploadedFile("file.jpg", data, "image/jpeg") for _, data in files]
    for photograph, (title, _) in zip(photographs, files, strict=True):
        photograph._name = title  # type: ignore[attr-defined]  # unchanged, as a browser sends it
    form = {"account": str(owner.pk), "photograph": photographs, **fields}
    answer = desk.post(reverse(f"workbench:{route}"), form)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def enrol(desk: Client, owner: Account, *files: tuple[str, bytes], **fields: Any) -> str:
    return send(desk, "enrol_photographs", owner, *files, **({"face_id": str(uuid4())} | fields))


def test_enrolled_then_recognised(desk: Client, operator: Account, work: List) -> None:
    """The way of an operator: enrol a photograph, and ask who another one shows."""
    answer = enrol(desk, operator, ("ada.jpg", astronaut()), list=str(work.list_id), external_id="E-1")
    assert "Enrolled:" in answer
    face = Face.objects.for_account(operator.pk).get()
    assert (face.user_data, face.external_id, face.event_id) == ("ada", "E-1", None)
    assert list(face.links.values_list("list_id", flat=True)) == [work.pk]
    assert FaceDescriptor.objects.filter(face=face).count() == 1
    AuditRecord.objects.all().delete()
    stored = StoredObject.objects.unscoped().count()

    answer = send(desk, "try_photograph", operator, ("x.jpg", astronaut()), candidates=str(work.list_id), detailed="on")
    assert reverse("workbench:face", args=(face.face_id,)) in answer
    assert 'value="1.000"' in answer  # the similarity of the same photograph
    for part in ("<rect", "head pose", "emotions", "basic attributes"):
        assert part in answer
    assert (Face.everything.count(), StoredObject.objects.unscoped().count()) == (1, stored), "nothing is stored"
    line = AuditRecord.objects.get()
    assert (line.action, line.object_type, line.object_account_id) == ("view", "pictures", operator.pk)


def test_one_face_of_a_group_is_enrolled(desk: Client, operator: Account) -> None:
    photograph = ("group.jpg", sample(1))
    assert "several faces" in enrol(desk, operator, photograph)
    shown = send(desk, "try_photograph", operator, photograph)
    box = shown.split('name="box" value="')[1].split('"')[0]
    face_id = str(uuid4())
    assert "Enrolled:" in enrol(desk, operator, photograph, box=box, name="Grace Hopper", face_id=face_id)
    assert "was enrolled before" in enrol(desk, operator, photograph, box=box, name="again", face_id=face_id)
    assert Face.objects.for_account(operator.pk).get().user_data == "Grace Hopper"


def test_forms_that_no_page_sends_are_refused(desk: Client, operator: Account) -> None:
    for box in ("1,2,3", "--1,1,1,1", "²,1,1,1", "9999999999,1,1,1"):
        assert "incomplete" in send(desk, "try_photograph", operator, ("a.jpg", b"x"), box=box)
    assert "incomplete" in send(desk, "try_photograph", operator, ("a.jpg", b"x"), ("b.jpg", b"x"))


def test_photographs_of_one_person(desk: Client, operator: Account) -> None:
    """Those that cannot be used are named; the others are stored."""
    files = [("good.jpg", astronaut()), ("broken.jpg", astronaut()[:500]), ("empty.jpg", nobody())]
    answer = enrol(desk, operator, *files, name="Ada Lovelace")
    assert answer.count("wb-refusal") == 2
    assert "<b>broken.jpg</b>" in answer
    assert "<b>empty.jpg</b>" in answer
    assert Face.objects.for_account(operator.pk).get().user_data == "Ada Lovelace"
    assert "at most 8 photographs, got 9" in enrol(desk, operator, *[files[0]] * 9, name="x")
    assert Face.objects.for_account(operator.pk).count() == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "This file is empty"),
        (b"no picture", "no photograph in a known format"),
        (astronaut()[:3000], "no photograph in a known format"),
        (nobody(), "No face was found"),
    ],
    ids=["empty", "text", "cut", "nobody"],
)
def test_a_bad_photograph_is_named_and_escaped(desk: Client, operator: Account, data: bytes, sentence: str) -> None:
    for name in ("try_photograph", "enrol_photographs"):
        answer = send(desk, name, operator, (HOSTILE, data), face_id=str(uuid4()))
        assert "wb-refusal" in answer
        assert sentence in answer
        assert "<img src=x" not in answer
    assert not Face.everything.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "x" * 129}, "at most 128 printable characters, got 129"),
        ({"name": "a\x00b"}, "printable characters"),
        ({"external_id": "x" * 37}, "at most 36"),
        ({"list": "nonsense"}, "not found"),
        ({"list": str(uuid4())}, "not found"),
        ({"box": "1,2,3"}, "Load it again"),
        ({"box": "1,2,3,999999999999"}, "Load it again"),
        ({"face_id": "x"}, "Load it again"),
        ({"account": str(uuid4())}, "another account now"),
    ],
)
def test_bad_fields(desk: Client, operator: Account, fields: dict[str, str], sentence: str) -> None:
    answer = enrol(desk, operator, ("a.jpg", astronaut()), **({"name": "Ada"} | fields))
    assert "wb-refusal" in answer
    assert sentence in answer
    assert not Face.everything.exists()


def test_lists_of_other_accounts_are_not_candidates(desk: Client, operator: Account) -> None:
    foreign = list_create(account_id=make_account().pk, user_data="foreign")
    assert "not found" in send(
        desk, "try_photograph", operator, ("a.jpg", astronaut()), candidates=str(foreign.list_id)
    )
    assert "not found" in enrol(desk, operator, ("a.jpg", astronaut()), list=str(foreign.list_id), name="x")


def test_the_chosen_account(desk: Client, operator: Account) -> None:
    """Pages work in the operator's own account until another one is chosen."""
    other = make_account()
    staff = list_create(account_id=other.pk, user_data="staff of the other")
    assert "staff of the other" not in desk.get(reverse("workbench:try")).content.decode()
    assert desk.post(reverse("workbench:account"), {"account": str(other.pk)}).status_code == 302
    assert str(staff.list_id) in desk.get(reverse("workbench:enrol")).content.decode()
    assert "another account now" in enrol(desk, operator, ("a.jpg", astronaut()), name="x")
    assert "Enrolled" in enrol(desk, other, ("a.jpg", astronaut()), name="x", list=str(staff.list_id))
    assert Face.objects.for_account(other.pk).count() == 1
    assert desk.post(reverse("workbench:account"), {"account": "x"}).status_code == 302
    assert str(staff.list_id) in desk.get(reverse("workbench:try")).content.decode(), "the choice stays"


def test_rights(operator: Account) -> None:
    auditor = make_account()
    account_update(account=auditor, roles=[Role.AUDITOR])
    for login, expected in ((auditor, 403), (None, 302)):
        client = Client()
        if login:
            client.force_login(login)
        for name in ("try", "enrol"):
            assert client.get(reverse(f"workbench:{name}")).status_code == expected
        for name in ("try_photograph", "enrol_photographs", "account"):
            assert client.post(reverse(f"workbench:{name}"), {"account": str(operator.pk)}).status_code == expected


def test_without_the_service(desk: Client, operator: Account, configure: Any) -> None:
    configure(AdditionalServices, luna_handlers=False)
    assert desk.get(reverse("workbench:try")).status_code == 302
    answer = enrol(desk, operator, ("a.jpg", astronaut()), name="x")
    assert "wb-refusal" in answer
    assert not Face.everything.exists()
