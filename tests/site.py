"""A site with rows of every kind, and the addresses of all of its pages: for browsers, benchmarks and pictures."""

import io
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.urls import reverse
from PIL import Image
from skimage import data

from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.roles import Role
from apps.accounts.services import account_create, account_update
from apps.common.descriptors import Descriptor, versions
from apps.common.times import utc_now
from apps.configurator.models import Change, Limitation, Setting, SettingGroup
from apps.configurator.services import (
    LimitationDraft,
    SettingDraft,
    group_create,
    limitation_create,
    setting_create,
    setting_replace,
)
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.handlers.models import Handler, Verifier
from apps.imagestore.addresses import object_address
from apps.imagestore.buckets import bucket_create
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.services import object_store
from apps.people.models import Person, PersonDecision, PersonEvent
from apps.people.rows import people_refresh
from apps.sender.models import Callback
from apps.sender.targets import Webhook
from apps.tasks.choices import UNFINISHED, TaskKind, TaskStatus
from apps.tasks.models import Schedule, Subtask, Task, TaskError
from apps.tasks.schedules.services import ScheduleDraft, schedule_create
from apps.tasks.types.registry import task_types
from tests.factories import PASSWORD, make_callback, make_event, token_client

ADMIN = "admin@luna.test"
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}", "'-alert(1)-'")
PEOPLE = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Emmy Noether")
SETTINGS = ("Queue of the detector", "desk", "routing_key", "detector")
PAGING, QUEUE = "LUNA_PAGING", "DETECTOR_QUEUE"  # a setting of the platform, and one of another program
BOX = {"x": 177, "y": 62, "width": 97, "height": 130}
MODELS = (
    Account, Token, AuditRecord, Face, List, Event, Person, Handler, Verifier, Callback, StoredObject, StoredBucket,
    Task, TaskError, Schedule,
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """The administrator of a site, the owner of its rows, and rows that pages start from."""

    admin: Account
    owner: Account
    staff: List
    faces: list[Face]
    handler: Handler
    verifier: Verifier


def vector(angle: float) -> Descriptor:
    """Return a descriptor of the default version; the cosine of two is that of the difference of their angles."""
    version = versions.default()
    values = np.zeros(version.dimension, np.float32)
    values[:2] = np.cos(angle), np.sin(angle)
    return Descriptor(version.version, values)


def portrait() -> bytes:
    """A public-domain photograph with one face, 512×512."""
    jpeg = io.BytesIO()
    Image.fromarray(data.astronaut()).save(jpeg, "JPEG")
    return jpeg.getvalue()


def make_sample(owner: Account, number: int) -> UUID:
    """Store a crop of the portrait."""
    jpeg = io.BytesIO()
    face = Image.fromarray(data.astronaut()).crop((150 + 8 * number, 0, 300 + 8 * number, 150)).resize((250, 250))
    face.save(jpeg, "JPEG")
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=owner.pk, data=jpeg.getvalue(), content_type="image/jpeg"
    )
    return stored.object_id


def make_site(names: tuple[str, ...], login: str, *, owner: Account | None = None) -> Site:
    """Create an administrator, an operator, and an owner with rows of every kind. `names`: four texts of clients.

    `owner`: an account that exists.
    """
    admin = account_create(login=ADMIN, password=PASSWORD, account_type=AccountType.ADMIN)
    owner = owner or account_create(login=login, password=PASSWORD, description=names[0])
    account_update(account=account_create(login="guard@luna.test", password=PASSWORD), roles=[Role.OPERATOR])
    bucket_create(name="an-own-bucket", ttl_days=7)
    staff = list_create(account_id=owner.pk, user_data=names[1])
    handler = Handler.objects.create(account=owner, description=names[2], policies=_policies(staff, names[1][:36]))
    verifier = Verifier.objects.create(account=owner, description=names[2], policies={"verification_threshold": 0.9})
    token_client(owner, face=["view", "creation"], event=["view"], emit_events={"allowed": True})
    make_callback(owner, Webhook(url=f"https://{'receiver.' * 12}test/{names[1]}"))
    faces, samples = [], []
    for number, name in enumerate(names):
        samples.append(make_sample(owner, number))
        attribute = AttributeData(
            basic=BasicData(age=31 + number, gender=number % 2),
            basic_samples=(samples[-1],),
            descriptors=(vector(0.1 * number),),
            descriptor_samples=(samples[-1],),
        )
        draft = FaceDraft(user_data=name, external_id=f"E-{1001 + number}", lists=[staff.list_id], attribute=attribute,
                          avatar=f"/6/samples/faces/{samples[-1]}")  # fmt: skip
        faces.append(face_create(account_id=owner.pk, draft=draft))
    image = object_store(bucket=Bucket.IMAGES, account_id=owner.pk, data=portrait(), content_type="image/jpeg")
    person = Person.objects.create(account=owner, name=names[1][:128], decided=True)
    for number in range(12):
        known = number % len(names)
        others = [faces[(known + step) % len(faces)] for step in range(3)]
        matches = [
            {
                "face": {"face_id": str(face.face_id), "user_data": face.user_data, "avatar": ""},
                "similarity": 0.97 - step * 0.31,
            }
            for step, face in enumerate(others)
        ]
        event = make_event(
            owner,
            vector(0.02 * number),
            create_time=utc_now() - timedelta(minutes=7 * number),
            source=("gate north", "lobby", names[3])[number % 3],
            user_data=names[known],
            external_id=f"E-{1001 + known}",
            gender=known % 2,
            age=31 + known,
            emotion=4 + number % 2,
            mask=1,
            liveness=1,
            tags=("known", names[1][:36]) if number % 3 else (),
            meta={"camera": {"name": names[2], "zoom": 1.5}},
            latitude=47.55 + 0.002 * number,
            longitude=7.59 + 0.003 * (number % 3),
            handler_id=handler.handler_id,
            face_id=faces[known].face_id,
            attach_result=(staff.list_id,),
            top_matching_candidates_label=names[1][:36],
            top_similar_object_id=faces[known].face_id,
            top_similar_object_type=0,
            top_similar_object_similarity=0.97,
            match_result=[{"label": names[1][:36], "candidates": matches}],
            face_detections=[
                {
                    "sample_id": str(samples[known]),
                    "detection": {"rect": BOX},
                    "image_origin": object_address(Bucket.IMAGES, image.object_id),
                }
            ],
            body_detections=[{"detection": {"rect": BOX}, "image_origin": f"https://camera.test/{names[2]}"}],
        )
        PersonEvent.objects.create(person=person, event_id=event.event_id)
    people_refresh(owner.pk)
    PersonDecision.objects.create(account=owner, kind="name", people=[person.pk], before={"people": [], "members": []})
    _make_tasks(owner, names)
    _make_settings(admin, SETTINGS if names == PEOPLE else names)
    return Site(admin, owner, staff, faces, handler, verifier)


def _policies(staff: List, label: str) -> dict[str, Any]:
    """Return policies as JSON, without defaults."""
    list_id = str(staff.list_id)
    return {
        "detect_policy": {"multiface_policy": 1, "yaw_threshold": 40},
        "extract_policy": {"extract_basic_attributes": 1},
        "match_policy": [{"label": label, "candidates": {"list_id": list_id}, "threshold": 0.8, "limit": 3}],
        "conditional_tags_policy": [{"tag": label, "filters": {"age__gte": 18, "gender": [0]}}],
        "storage_policy": {
            "face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]},
            "callbacks": [{"type": "http", "url": "https://receiver.test/in"}],
        },
    }


def _make_tasks(owner: Account, names: tuple[str, ...]) -> None:
    """Create tasks of every status, with an error and a schedule."""
    policy = {"task_callbacks": [{"type": "http", "url": f"https://desk.test/{names[1]}"}], "subtask_callbacks": []}
    now, content = utc_now(), {"objects_type": "events", "filters": {"user_data": names[0]}}
    for number, status in enumerate(TaskStatus):
        task = Task.objects.create(
            account=owner,
            task_type=TaskKind(number + 1),
            task_status=status,
            create_time=now - timedelta(minutes=9 * number),
            last_update_time=now,
            end_time=None if status in UNFINISHED else now,
            content=content,
            description=names[number % len(names)],
            count_task_parts_done=1200 * number,
            count_task_parts_all=9000,
            count_errors=number,
            notification_policy=policy,
        )
        Subtask.objects.create(task=task, subtask_status=status, create_time=now, parts_all=9000)
    TaskError.objects.create(
        task=task, error_code=22002, description=names[1], detail=names[1] * 9, additional_info=names[2], error_time=now
    )
    draft = ScheduleDraft(
        task_type=task_types()[TaskKind.CLUSTERING], content=content, trigger="0 9 1,15 * 1", description=names[3]
    )
    schedule = schedule_create(account_id=owner.pk, draft=draft, actor=Actor())
    schedule.notification_policy = policy
    schedule.save()


def _make_settings(admin: Account, names: tuple[str, ...]) -> None:
    """Store a setting, a limitation and a group with the texts of clients in every place."""
    actor = Actor(account_id=admin.pk)
    text, tag, member, value = (name.replace("/", "").replace("=", "").replace(",", "") for name in names)
    schema = {
        "type": "object",
        "required": [member],
        "properties": {
            member: {"type": "string", "description": text},
            "exchanges": {"type": "array", "items": {"type": "string"}},
            "rows": {"type": "array", "items": {"type": "object", "properties": {member: {"enum": [value, 1]}}}},
        },
    }
    default = {member: value, "exchanges": [value, text], "rows": [{member: value}, {}]}
    draft = LimitationDraft(name=QUEUE, schema=schema, services=[tag], default_value=default, description=text)
    limitation_create(draft=draft, actor=actor)
    group_create(name=tag, description=text, limitations=[QUEUE, PAGING], actor=actor)
    copy = SettingDraft(name=QUEUE, value=default | {member: text}, description=text, tags=[tag])
    setting_create(draft=copy, actor=actor)
    paging = SettingDraft(name=PAGING, value={"default_page_size": 20}, description=text)
    setting_replace(setting_id=_default_of(PAGING).pk, draft=paging, actor=actor)


def _default_of(name: str) -> Setting:
    return Setting.objects.get(limitation__limitation_name=name, is_default=True)


def admin_pages(site: Site) -> dict[str, str]:
    """Return the pages of models, and those without a model, by name."""
    found = {
        "overview": "/admin/",
        "versions": reverse("descriptor_versions"),
        "information": reverse("information"),
        "missing": "/admin/missing/",
        "password": reverse("admin:password_change"),
    }
    for model in MODELS:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        row = model._base_manager.order_by("pk").last()
        found[f"{model._meta.model_name}s"] = reverse(f"admin:{name}_changelist")
        found[str(model._meta.model_name)] = reverse(f"admin:{name}_change", args=(row.pk,))
    found["account"] = reverse("admin:accounts_account_change", args=(site.owner.pk,))
    for name in ("accounts_account", "faces_list", "tasks_task", "tasks_schedule"):
        found[f"{name.partition('_')[2]}-add"] = reverse(f"admin:{name}_add")
    found["task-gc"] = found["task-add"] + "?type=gc"
    found["task-extraction"] = found["task-add"] + "?type=additional_extract"
    found["schedule-gc"] = found["schedule-add"] + "?type=gc"
    found["account-delete"] = reverse("admin:accounts_account_delete", args=(site.owner.pk,))
    found["face-delete"] = reverse("admin:faces_face_delete", args=(site.faces[0].pk,))
    found["pictures-line"] = reverse("admin:accounts_auditrecord_change", args=(_pictures_line(site.owner).pk,))
    found["events-found"] = f"{found['events']}?q=gate&gender__exact=0"
    return found


def _pictures_line(owner: Account) -> AuditRecord:
    rows = StoredObject.objects.for_account(owner.pk).order_by("pk")[:50]
    return AuditRecord.objects.create(
        action="view",
        object_type="pictures",
        object_id="faces",
        members=[str(row.object_id) for row in rows],
        request_id="-",
        account_id=owner.pk,
    )


def workbench_pages(site: Site) -> dict[str, str]:
    """Return the pages of the workbench by name."""
    event = Event.objects.for_account(site.owner.pk).latest("pk")
    handler, verifier = (site.handler.pk,), (site.verifier.pk,)
    faces = "&".join(f"face={each.face_id}" for each in site.faces)
    return {
        "try": reverse("workbench:try"),
        "enrol": reverse("workbench:enrol"),
        "face-work": reverse("workbench:face", args=(site.faces[0].face_id,)),
        "selection": f"{reverse('workbench:selection')}?{faces}",
        "sighting": reverse("workbench:sighting", args=(event.event_id,)),
        "search": reverse("workbench:events"),
        "search-none": f"{reverse('workbench:events')}?sources=nowhere",
        "trace": f"{reverse('workbench:trace')}?event={event.event_id}",
        "trace-empty": reverse("workbench:trace"),
        "match": f"{reverse('workbench:match')}?face={site.faces[0].face_id}",
        "handler-edit": reverse("workbench:handler_edit", args=handler),
        "handler-copy": reverse("workbench:handler_copy", args=handler),
        "handler-add": reverse("workbench:handler_add"),
        "verifier-edit": reverse("workbench:verifier_edit", args=verifier),
        "verifier-add": reverse("workbench:verifier_add"),
        "wall": reverse("workbench:wall"),
    }


def configurator_pages() -> dict[str, str]:
    """Return the pages of the Configurator by name."""
    change, copy = Change.objects.latest("pk"), Setting.objects.get(is_default=False)
    settings, setting = (f"admin:configurator_setting_{name}" for name in ("changelist", "change"))
    limitation = "admin:configurator_limitation_change"
    return {
        "settings": reverse(settings),
        "settings-none": f"{reverse(settings)}?tag=none",
        "limitations": reverse("admin:configurator_limitation_changelist") + "?platform__exact=0",
        "groups": reverse("admin:configurator_settinggroup_changelist"),
        "history": reverse("admin:configurator_change_changelist"),
        "setting": reverse(setting, args=(_default_of(PAGING).pk,)),
        "setting-large": reverse(setting, args=(_default_of("FACE_QUALITY_SETTINGS").pk,)),
        "setting-other": reverse(setting, args=(copy.pk,)),
        "setting-environment": reverse(setting, args=(_default_of("LUNA_SERVICES").pk,)),
        "setting-add": reverse("admin:configurator_setting_add"),
        "setting-copy": f"{reverse('admin:configurator_setting_add')}?from={copy.pk}",
        "setting-delete": reverse("admin:configurator_setting_delete", args=(copy.pk,)),
        "limitation": reverse(limitation, args=(copy.limitation_id,)),
        "limitation-ours": reverse(limitation, args=(Limitation.objects.get(limitation_name=PAGING).pk,)),
        "group": reverse("admin:configurator_settinggroup_change", args=(SettingGroup.objects.get().pk,)),
        "change": reverse("admin:configurator_change_change", args=(change.pk,)),
        "undo": reverse("admin:configurator_undo", args=(change.pk,)),
        "dump": reverse("admin:configurator_setting_dump"),
        "load": reverse("admin:configurator_setting_load"),
        "processes": reverse("admin:configurator_setting_processes"),
    }


def pages(site: Site) -> dict[str, str]:
    """Return the addresses of all pages by name."""
    return {**admin_pages(site), **workbench_pages(site), **configurator_pages()}
