"""Pages of faces: edit, lists, merge and split with undo, two operators, similar faces, sightings."""

import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from PIL import Image

from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Descriptor, versions
from apps.faces.models import Face, List
from apps.faces.services import face_create, face_update, list_attach_faces, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from apps.workbench.faces import state_of
from tests.api.test_admin_pictures import images
from tests.factories import make_account, make_event, unit_vectors

pytestmark = pytest.mark.django_db
DECIDE = reverse("workbench:selection_decide")


def jpeg(color: str = "teal", size: tuple[int, int] = (250, 250)) -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", size, color).save(picture, "JPEG")
    return picture.getvalue()


def stored(owner: Account, bucket: Bucket, data: bytes) -> UUID:
    return object_store(bucket=bucket, account_id=owner.pk, data=data, content_type="image/jpeg").object_id


def make_face(owner: Account, name: str = "", number: int = 0, **columns: Any) -> Face:
    """A face with a sample and a descriptor; faces of one number have the same one."""
    version = versions.default("face")
    descriptor = Descriptor(version.version, unit_vectors(number + 1, version.dimension)[number], 0.9)
    attribute = AttributeData(
        descriptors=(descriptor,), descriptor_samples=(stored(owner, Bucket.FACE_SAMPLES, jpeg()),)
    )
    return face_create(account_id=owner.pk, draft=FaceDraft(user_data=name, attribute=attribute, **columns))


def lists_of(face: Face) -> set[str]:
    return set(face.links.values_list("list__user_data", flat=True))


def form_of(*faces: Face, **fields: Any) -> dict[str, Any]:
    """The form of a page that showed these faces as they are in the arguments."""
    states = {f"state_{face.face_id}": state_of(face.last_update_time) for face in faces}
    return {"owner": str(faces[0].account_id), "face": [str(face.face_id) for face in faces], **states, **fields}


def post(desk: Client, url: str, form: dict[str, Any]) -> str:
    """Return the message of a form that is answered with a redirect."""
    answer = desk.post(url, form)
    assert answer.status_code == 302, answer.content
    return " ".join(str(each) for each in get_messages(answer.wsgi_request))


def columns(*faces: Face) -> list[tuple[str, str]]:
    for face in faces:
        face.refresh_from_db()
    return [(face.user_data, face.external_id) for face in faces]


def test_merge_and_undo(desk: Client, operator: Account, owner: Account) -> None:
    """Faces of any account: the pages of the site show all of them."""
    staff, guests = (list_create(account_id=owner.pk, user_data=name) for name in ("staff", "guests"))
    one = make_face(owner, "Ada", external_id="E-1", lists=[staff.list_id])
    other = make_face(owner, "A. Lovelace", lists=[guests.list_id])
    AuditRecord.objects.all().delete()
    answer = desk.post(DECIDE, form_of(one, other, decide="merge", name="Ada", external_id="E-1"))
    assert columns(one, other) == [("Ada", "E-1"), ("Ada", "E-1")]
    assert lists_of(one) == lists_of(other) == {"staff", "guests"}
    lines = AuditRecord.objects.values_list("action", "object_type", "object_id", "account_id")
    assert set(lines) == {("update", "face", str(face.face_id), operator.pk) for face in (one, other)}

    change = {"change": answer.context["change"]}
    assert post(desk, reverse("workbench:undo"), change) == "The decision is undone."
    assert columns(one, other) == [("Ada", "E-1"), ("A. Lovelace", "")]
    assert (lists_of(one), lists_of(other)) == ({"staff"}, {"guests"})
    assert "Somebody else changed" in post(desk, reverse("workbench:undo"), change), "it is undone once"


def test_two_operators_merge_the_same_faces(desk: Client, owner: Account) -> None:
    """The first one wins; the second one reads why nothing happened."""
    one, two, three = (make_face(owner, name) for name in ("Ada", "Grace", "Alan"))
    first, second = form_of(one, two, decide="merge", name="Ada"), form_of(two, three, decide="merge", name="Grace")
    assert desk.post(DECIDE, first).status_code == 200
    after = columns(one, two, three)
    assert "Somebody else changed the face" in post(desk, DECIDE, second)
    assert columns(one, two, three) == after
    assert after[0] == after[1]
    assert after[2] == ("Alan", "")
    three.delete()
    assert "A face was deleted" in post(desk, DECIDE, form_of(one, three, decide="merge", name="x"))


def test_split(desk: Client, owner: Account) -> None:
    faces = [make_face(owner, "Ada", external_id="E-1") for _ in range(3)]
    page = desk.get(reverse("workbench:selection"), {"face": str(faces[0].face_id)})
    assert len(page.context["people"]) == 3, "all faces of the person"
    answer = desk.post(DECIDE, form_of(faces[2], decide="split", other="Grace"))
    assert columns(*faces)[:2] == [("Ada", "E-1")] * 2
    name, external_id = columns(faces[2])[0]
    assert name == "Grace"
    assert external_id not in ("", "E-1")
    post(desk, reverse("workbench:undo"), {"change": answer.context["change"]})
    assert columns(*faces) == [("Ada", "E-1")] * 3


def test_move_between_lists(desk: Client, owner: Account) -> None:
    staff, guests = (list_create(account_id=owner.pk, user_data=name) for name in ("staff", "guests"))
    faces = [make_face(owner, lists=[staff.list_id]) for _ in range(2)]
    move = {"decide": "move", "join": str(guests.list_id), "leave": str(staff.list_id)}
    post(desk, DECIDE, form_of(*faces, **move))
    assert [lists_of(face) for face in faces] == [{"guests"}] * 2


def test_edit(desk: Client, owner: Account) -> None:
    """Lists that the page did not show stay."""
    staff, guests, hidden = (list_create(account_id=owner.pk, user_data=name) for name in ("staff", "guests", "hidden"))
    face = make_face(owner, "Ada", lists=[staff.list_id, hidden.list_id])
    form = {
        "state": state_of(face.last_update_time),
        "name": " Ada Lovelace ",
        "external_id": "E-7",
        "shown_list": [str(staff.list_id)],
        "list": [str(guests.list_id)],
    }
    save = reverse("workbench:face_save", args=(face.face_id,))
    assert post(desk, save, form) == "The face is saved."
    assert columns(face) == [("Ada Lovelace", "E-7")]
    assert lists_of(face) == {"guests", "hidden"}
    assert "Somebody else changed the face" in post(desk, save, form)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "x" * 129}, "at most 128"),
        ({"external_id": "x" * 37}, "at most 36"),
        ({"face": []}, "Choose two faces"),
        ({"face": ["no id"]}, "Choose two faces"),
        ({"owner": "x"}, "Load it again"),
        ({"decide": "split", "face": []}, "Choose the faces"),
        ({"decide": "move"}, "Choose faces and a list"),
        ({"decide": "move", "join": str(uuid4())}, "not found"),
    ],
)
def test_bad_decisions_change_nothing(desk: Client, owner: Account, fields: dict[str, Any], sentence: str) -> None:
    faces = [make_face(owner, "Ada"), make_face(owner, "Grace")]
    form = form_of(*faces, decide="merge", name="x") | fields
    assert sentence in post(desk, DECIDE, form)
    assert columns(*faces) == [("Ada", ""), ("Grace", "")]


def test_a_forged_undo(desk: Client, owner: Account) -> None:
    assert "Load it again" in post(desk, reverse("workbench:undo"), {"change": "forged"})


def test_a_selection_of_two_accounts(desk: Client, owner: Account) -> None:
    faces = [make_face(owner), make_face(make_account())]
    answer = desk.get(reverse("workbench:selection"), {"face": [str(face.face_id) for face in faces]})
    assert [str(each) for each in get_messages(answer.wsgi_request)] == ["The faces belong to different accounts."]
    assert "not found" not in post(desk, DECIDE, form_of(*faces, decide="merge", name="x"))
    assert columns(*faces) == [("", ""), ("", "")]


def test_the_action_of_the_list_opens_the_selection(desk: Client, owner: Account) -> None:
    faces = [make_face(owner), make_face(owner)]
    form = {"action": "choose", "_selected_action": [face.pk for face in faces]}
    answer = desk.post(reverse("admin:faces_face_changelist"), form)
    assert answer.status_code == 302
    assert len(desk.get(answer["Location"]).context["people"]) == 2


def test_similar_faces_and_sightings(desk: Client, operator: Account, owner: Account) -> None:
    """The page leaves one audit line for all pictures, and needs no more queries for more of them."""
    face, _twin, _stranger = make_face(owner, "Ada"), make_face(owner, "twin"), make_face(owner, "else", number=1)
    source = stored(owner, Bucket.IMAGES, jpeg("teal", (640, 480)))

    def sighting(similarity: float, **values: Any) -> None:
        make_event(
            owner,
            source="gate",
            top_similar_object_id=face.face_id,
            top_similar_object_type=0,
            top_similar_object_similarity=similarity,
            face_detections=[
                {
                    "sample_id": str(stored(owner, Bucket.FACE_SAMPLES, jpeg())),
                    "detection": {"rect": {"x": 100, "y": 100, "width": 80, "height": 80}},
                    "image_origin": object_address(Bucket.IMAGES, source),
                }
            ],
            **values,
        )

    sighting(0.95)
    sighting(0.5)
    page = reverse("workbench:face", args=(face.face_id,))
    AuditRecord.objects.all().delete()
    shown = desk.get(page)
    similar = [(each["name"], each["same"]) for each in shown.context["similar"]]
    assert similar[0] == ("twin", False)
    assert len(similar) == 2
    assert [each["event"].top_similar_object_similarity for each in shown.context["sightings"]] == [0.95]
    assert len(desk.get(page, {"threshold": "0.4"}).context["sightings"]) == 2
    line = AuditRecord.objects.earliest("pk")
    assert (line.action, line.object_type, line.account_id) == ("view", "pictures", operator.pk)
    assert len(line.members or ()) == 4  # the face, two similar ones, one sighting
    for url, _alt in images(shown.content):
        assert desk.get(url).status_code == 200
    assert AuditRecord.objects.count() == 2, "one line a page"

    event = shown.context["sightings"][0]["event"]
    assert desk.get(reverse("workbench:sighting", args=(event.event_id,))).status_code == 200
    AuditRecord.objects.all().delete()
    answer = desk.get(reverse("workbench:sighting_jpeg", args=(event.event_id,)))
    picture = Image.open(io.BytesIO(answer.content)).convert("RGB")
    assert picture.size == (640, 480)
    on_box, inside = picture.getpixel((101, 140)), picture.getpixel((140, 140))
    assert on_box != inside
    line = AuditRecord.objects.get()
    assert (line.action, line.object_id) == ("view", str(source))


def test_the_number_of_queries_is_constant(desk: Client, owner: Account, django_assert_max_num_queries: Any) -> None:
    faces = [make_face(owner, "Ada", external_id="E-1") for _ in range(12)]
    page = reverse("workbench:face", args=(faces[0].face_id,))
    desk.get(page)
    with django_assert_max_num_queries(24):
        assert len(desk.get(page).context["person"]) == 12


def test_a_face_without_descriptor(desk: Client, owner: Account) -> None:
    face = face_create(account_id=owner.pk, draft=FaceDraft(user_data="<script>alert(1)</script>"))
    answer = desk.get(reverse("workbench:face", args=(face.face_id,)))
    assert answer.context["problem"]
    content = answer.content.decode()
    assert "<script>alert(1)" not in content
    assert "&lt;script&gt;alert(1)" in content


def test_missing(desk: Client, owner: Account) -> None:
    for name in ("face", "sighting", "sighting_jpeg"):
        assert desk.get(reverse(f"workbench:{name}", args=(uuid4(),))).status_code == 404
    assert desk.get(reverse("workbench:selection"), {"face": str(uuid4())}).status_code == 404
    event = make_event(owner)
    assert desk.get(reverse("workbench:sighting_jpeg", args=(event.event_id,))).status_code == 404


def test_face_update_by_the_api_is_seen(desk: Client, owner: Account) -> None:
    """A change that no page made counts as well."""
    one, two = make_face(owner, "Ada"), make_face(owner, "Grace")
    form = form_of(one, two, decide="merge", name="x")
    face_update(account_id=owner.pk, face_id=two.face_id, changes={"user_data": "Grace Hopper"})
    assert "Somebody else changed the face" in post(desk, DECIDE, form)
    assert columns(one, two) == [("Ada", ""), ("Grace Hopper", "")]


def test_lists_are_not_lost_when_others_attach(desk: Client, owner: Account) -> None:
    """A link that somebody makes between page and merge is kept, and joined."""
    one, two = make_face(owner, "Ada"), make_face(owner, "Grace")
    form = form_of(one, two, decide="merge", name="Ada")
    staff: List = list_create(account_id=owner.pk, user_data="staff")
    list_attach_faces(account_id=owner.pk, list_id=staff.list_id, face_ids=[two.face_id])
    assert desk.post(DECIDE, form).status_code == 200
    assert lists_of(one) == lists_of(two) == {"staff"}
