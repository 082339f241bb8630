"""Pages of handlers and verifiers: words, form, JSON, errors at their place, copies, trials that store nothing."""

import json
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord
from apps.common.secrets import MASK
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.faces.services import list_create
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler, Verifier
from apps.handlers.policies import PoliciesSerializer
from apps.handlers.services import HandlerDraft, VerifierDraft, handler_create, verifier_create
from apps.imagestore.models import StoredObject
from apps.sender.models import Callback
from apps.workbench.admin.policies import HANDLER, Draft, _changed
from apps.workbench.forms.building import form_of
from tests.api.handlers.helpers import astronaut, nobody
from tests.factories import make_account, principal_of_account

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
SECRET = "top-secret-header"


@pytest.fixture
def owner(db: None) -> Account:
    return make_account()


@pytest.fixture
def site(db: None) -> Client:
    client = Client()
    client.force_login(make_account(AccountType.ADMIN))
    return client


@pytest.fixture
def staff(owner: Account) -> List:
    return list_create(account_id=owner.pk, user_data=HOSTILE)


def policies(staff: List) -> dict[str, Any]:
    return {
        "detect_policy": {"estimate_mask": 1, "mask_states": [1], "multiface_policy": 2, "yaw_threshold": 30},
        "extract_policy": {"extract_basic_attributes": 1},
        "match_policy": [
            {"label": "staff", "candidates": {"list_id": str(staff.list_id)}, "limit": 2, "threshold": 0.8}
        ],
        "conditional_tags_policy": [
            {"tag": HOSTILE[:30], "filters": {"match": [{"label": "staff", "no_match": 1}], "gender": ["female", 1]}}
        ],
        "storage_policy": {
            "face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": str(staff.list_id)}]},
            "image_origin_policy": {"store_image": 1, "ttl": 7},
            "callbacks": [
                {"type": "http", "url": "https://receiver.test/in", "params": {"headers": {"X-Key": SECRET}}}
            ],
        },
    }


def stored_handler(owner: Account, staff: List, **values: Any) -> Handler:
    draft = HandlerDraft(**{"description": HOSTILE, "policies": policies(staff), **values})
    return handler_create(principal=principal_of_account(owner), draft=draft, actor=Actor())


def address(name: str, *keys: Any) -> str:
    return reverse(f"workbench:{name}", args=keys)


def inputs_of(answer: Any) -> dict[str, Any]:
    """Return what a browser would send of the form of a page."""
    return sent(answer.context["form"]) | {"mode": "form", "description": answer.context["draft"].description}


def sent(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if node.template == "input":
        found[node.name] = list(node.values) if node.widget == "choices" else node.value
    elif node.template == "items":
        found[f"{node.name}#count"] = str(node.count)
        for item in node.items:
            found |= sent(item)
    else:
        if node.given:
            found[f"{node.name}#given"] = "1"
        for child in node.children:
            found |= sent(child)
    return found


def counts() -> list[int]:
    models: tuple[Any, ...] = (Event, Face, StoredObject, Callback, Handler, Verifier)
    return [model._base_manager.count() for model in models]


def test_policies_are_words(site: Client, owner: Account, staff: List) -> None:
    page = site.get(reverse("admin:handlers_handler_change", args=(stored_handler(owner, staff).pk,)))
    text = page.content.decode()
    assert HOSTILE not in text
    shown = unescape(text)
    for words in (
        "the best face of a picture is used", "yaw ≤ 30°", "missing", "one in 1,000 comparisons of different people",
        "nobody of “staff” matches", "gender = female, male", "7 days", "HTTP: 'https://receiver.test/in'",
        address("handler_copy", page.context["original"].pk),
    ):  # fmt: skip
        assert words in shown, words
    assert SECRET not in shown


def test_a_verifier_is_words(site: Client, owner: Account) -> None:
    draft = VerifierDraft(description="door", policies={"verification_threshold": 0.9})
    verifier = verifier_create(account_id=owner.pk, draft=draft)
    text = site.get(reverse("admin:handlers_verifier_change", args=(verifier.pk,))).content.decode()
    assert "one in 10,000 comparisons" in text


def test_corrupted_policies_are_shown_as_stored(site: Client, owner: Account) -> None:
    broken = Handler.objects.create(account=owner, policies={"match_policy": [{"label": HOSTILE}]})
    page = site.get(reverse("admin:handlers_handler_change", args=(broken.pk,)))
    assert page.status_code == 200
    assert "match_policy.0.candidates" in page.content.decode()
    assert site.get(address("handler_edit", broken.pk)).status_code == 200


def test_the_form_saves_what_it_shows(site: Client, owner: Account, staff: List) -> None:
    handler = stored_handler(owner, staff)
    before, url = handler.policies, address("handler_edit", handler.pk)
    page = site.get(url)
    assert SECRET not in page.content.decode()
    AuditRecord.objects.all().delete()

    form = inputs_of(page) | {"do": "save", "policies.match_policy.0.limit": "5"}
    assert site.post(url, form).headers["location"] == reverse("admin:handlers_handler_change", args=(handler.pk,))
    handler.refresh_from_db()
    expected = json.loads(json.dumps(before))
    expected["match_policy"][0]["limit"] = 5
    expected["conditional_tags_policy"][0]["filters"]["gender"] = [0, 1]
    assert handler.policies == expected, "the sealed secret too"
    assert list(AuditRecord.objects.values_list("action", "object_type", "object_id")) == [
        ("update", "handler", str(handler.pk))
    ]


def test_form_and_json_are_two_views_of_one_handler(site: Client, owner: Account, staff: List) -> None:
    url = address("handler_edit", stored_handler(owner, staff).pk)
    as_json = site.post(url, inputs_of(site.get(url)) | {"do": "json"})
    text = as_json.context["text"]
    assert json.loads(text)["storage_policy"]["image_origin_policy"] == {"store_image": 1, "ttl": 7}
    as_form = site.post(url, {"mode": "json", "json": text, "do": "form", "description": "x"})
    assert as_form.context["draft"].mode == "form"
    assert as_form.context["draft"].policies == json.loads(text)


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"policies.match_policy.0.threshold": "1.5"}, "policies.match_policy.0.threshold", "less than or equal to 1"),
        ({"policies.match_policy.0.limit": "many"}, "policies.match_policy.0.limit", "integer"),
        ({"policies.match_policy.0.label": ""}, "policies.match_policy.0.label", "required"),
        ({"policies.storage_policy.callbacks.0.url": "ftp://x"}, "policies.storage_policy.callbacks.0.url", "match"),
        ({"policies.match_policy.0.candidates.create_time__gte": "soon"},
         "policies.match_policy.0.candidates.create_time__gte", "RFC 3339"),
        ({"policies.storage_policy.callbacks.0.params.headers": f"X-New: {MASK}"},
         "policies.storage_policy.callbacks.0.params.headers.X-New", "mask"),
        ({"description": "x" * 129}, "description", "128"),
    ],
)  # fmt: skip
def test_errors_are_at_their_place(
    site: Client, owner: Account, staff: List, changes: dict[str, str], place: str, words: str
) -> None:
    handler = stored_handler(owner, staff)
    url = address("handler_edit", handler.pk)
    answer = site.post(url, inputs_of(site.get(url)) | {"do": "save"} | changes)
    assert answer.status_code == 200
    assert words in answer.context["problems"][place]
    assert place in unescape(answer.content.decode())
    assert Handler.objects.unscoped().get(pk=handler.pk).policies == handler.policies


def test_all_errors_are_shown_at_once(site: Client, owner: Account, staff: List) -> None:
    url = address("handler_edit", stored_handler(owner, staff).pk)
    wrong = {"policies.match_policy.0.threshold": "7", "policies.detect_policy.yaw_threshold": "999"}
    answer = site.post(url, inputs_of(site.get(url)) | {"do": "save"} | wrong)
    assert set(answer.context["problems"]) == set(wrong)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "[" * 100_000, '{"match_policy": {}}', '{"detect_policy": {"detect_face": []}, "unknown": 1}',
     '{"match_policy": [1]}', '{"storage_policy": {"callbacks": [{"type": ["http"]}]}}', '{"\\u0000": null}'],
)  # fmt: skip
def test_bad_json_loses_nothing(site: Client, owner: Account, staff: List, text: str) -> None:
    handler = stored_handler(owner, staff)
    answer = site.post(
        address("handler_edit", handler.pk), {"mode": "json", "json": text, "do": "save", "description": "x"}
    )
    assert (answer.status_code, answer.context["draft"].description) == (200, "x")
    assert answer.context["problems"]
    form_of(PoliciesSerializer, answer.context["draft"].policies, {}, name="policies")  # the form can show it
    assert Handler.objects.unscoped().get(pk=handler.pk).policies == handler.policies


@pytest.mark.parametrize("path", ["policies", "policies.", "policies.x.y", "policies.match_policy.9", "policies.0.1.2"])
def test_forged_buttons_are_harmless(path: str) -> None:
    for verb in ("add", "remove"):
        draft = Draft(policies={"match_policy": [{}]})
        assert not _changed(HANDLER, draft, f"{verb}:{path}")
        assert draft.policies["match_policy"] == [{}]


def test_rules_are_added_and_removed(site: Client, owner: Account) -> None:
    url = address("handler_add")
    added = site.post(url, inputs_of(site.get(url)) | {"do": "add:policies.storage_policy.callbacks"})
    assert added.context["draft"].policies == {"storage_policy": {"callbacks": [{}]}}
    removed = site.post(url, inputs_of(added) | {"do": "remove:policies.storage_policy.callbacks.0"})
    assert removed.context["draft"].policies == {"storage_policy": {"callbacks": []}}


def test_a_copy_is_a_new_handler_of_the_same_account(site: Client, owner: Account, staff: List) -> None:
    handler = stored_handler(owner, staff)
    url = address("handler_copy", handler.pk)
    form = inputs_of(site.get(url)) | {"do": "save"}
    refused = site.post(url, form)  # a copy has no secrets, because an operator could redirect them
    place = "policies.storage_policy.callbacks.0.params.headers.X-Key"
    assert "mask" in refused.context["problems"][place]
    form["policies.storage_policy.callbacks.0.params.headers"] = "X-Key: new"
    assert site.post(url, form).status_code == 302
    copy = Handler.objects.for_account(owner.pk).exclude(pk=handler.pk).get()
    assert copy.description == f"Copy of {HOSTILE}"
    assert copy.policies["match_policy"] == (handler.policies or {})["match_policy"]


def test_a_dynamic_handler_stores_no_policies(site: Client, owner: Account) -> None:
    form = inputs_of(site.get(address("handler_add"))) | {"dynamic": "1", "do": "save", "description": "dynamic"}
    assert site.post(address("handler_add"), form).status_code == 302
    handler = Handler.objects.unscoped().get(description="dynamic")
    assert (handler.handler_type, handler.policies) == (HandlerType.DYNAMIC, None)
    page = site.get(reverse("admin:handlers_handler_change", args=(handler.pk,)))
    assert "brings its own policies" in page.content.decode()
    assert site.get(address("handler_edit", handler.pk)).context["draft"].dynamic


def test_a_trial_stores_nothing(site: Client, owner: Account, staff: List) -> None:
    accepted = policies(staff) | {"detect_policy": {"multiface_policy": 2}}  # a network for masks is not installed
    url = address("handler_edit", stored_handler(owner, staff, policies=accepted).pk)
    form = inputs_of(site.get(url)) | {"do": "try", "description": "unsaved"}
    before = counts()
    files = [SimpleUploadedFile(f"{HOSTILE[:20]}.jpg", astronaut()), SimpleUploadedFile("nobody.png", nobody()),
             SimpleUploadedFile("broken.jpg", b"no picture")]  # fmt: skip
    answer = site.post(url, form | {"photograph": files})
    assert answer.context["problems"] == {}
    tried = [each["picture"] for each in answer.context["trial"]["pictures"]]
    (person,) = tried[0].persons
    assert person.crop.startswith("data:image/jpeg;base64,")
    assert f"A face is stored in the lists: {staff}." in person.consequences
    assert "A callback is sent to 'https://receiver.test/in'." in person.consequences
    assert HOSTILE[:30] in person.tags  # nobody of the list matches, and the astronaut is female
    assert (tried[1].persons, tried[1].error) == ([], "")
    assert tried[2].error
    assert HOSTILE not in answer.content.decode()
    assert answer.context["draft"].description == "unsaved"
    assert counts() == before


def test_a_trial_without_a_usable_photograph_says_so(site: Client, owner: Account, staff: List) -> None:
    url = address("handler_edit", stored_handler(owner, staff).pk)
    form = inputs_of(site.get(url)) | {"do": "try"}
    assert "Choose" in site.post(url, form).context["problems"]["photograph"]
    many = [SimpleUploadedFile("x.jpg", b"x")] * 11
    assert "10" in site.post(url, form | {"photograph": many}).context["problems"]["photograph"]
    broken = site.post(url, form | {"photograph": SimpleUploadedFile("x.jpg", b"x")})
    assert broken.context["problems"]["photograph"]


def test_a_verifier_is_tried(site: Client, owner: Account) -> None:
    draft = VerifierDraft(description="door", policies={"verification_threshold": 0.9})
    verifier = verifier_create(account_id=owner.pk, draft=draft)
    url = address("verifier_edit", verifier.pk)
    form = inputs_of(site.get(url)) | {"do": "try", "photograph": SimpleUploadedFile("a.jpg", astronaut())}
    assert "ids" in site.post(url, form).context["problems"]["photograph"]
    form["photograph"] = SimpleUploadedFile("a.jpg", astronaut())
    assert "not found" in site.post(url, form | {"faces": str(uuid4())}).context["problems"]["photograph"]
    saved = inputs_of(site.get(url)) | {"do": "save", "policies.verification_threshold": "0.8"}
    assert site.post(url, saved).status_code == 302
    verifier.refresh_from_db()
    assert (verifier.version, verifier.policies) == (2, {"verification_threshold": 0.8})


def test_rights_decide(owner: Account, staff: List) -> None:
    handler = stored_handler(owner, staff)
    viewer = Client()
    viewer.force_login(owner)  # no role
    for url in (address("handler_add"), address("handler_edit", handler.pk), address("handler_copy", handler.pk)):
        assert viewer.get(url).status_code in (302, 403)
    assert site_of_nobody().get(address("handler_edit", handler.pk)).status_code == 302


def site_of_nobody() -> Client:
    return Client()


def test_a_missing_handler_is_not_found(site: Client) -> None:
    assert site.get(address("handler_edit", uuid4())).status_code == 404
