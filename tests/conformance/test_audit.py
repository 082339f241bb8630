"""Every deletion and every biometric read leaves exactly one audit line, and nothing else reads without being asked."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.models import Account, AuditRecord, Token
from apps.common.config import override_config
from apps.faces import services as faces
from apps.faces.types import FaceDraft
from apps.monitoring.config import ServiceMetrics
from tests.api.imagestore.helpers import picture
from tests.conformance.audit import Line, lines_of
from tests.conformance.document import plain
from tests.conformance.examples import Examples
from tests.conformance.world import JPEG, JSON, made, make_world
from tests.factories import basic_client, token_client

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
DESCRIPTORS = "targets=face_descriptor"
OF_EVERYBODY = {"bucket", "setting", "limitation", "setting_group"}


@dataclass(frozen=True)
class Route:
    """A request to one route and the lines that it leaves: pairs of type and the name of an id in the world."""

    path: str
    lines: tuple[tuple[str, str], ...]
    body: dict[str, Any] = field(default_factory=dict)
    query: str = ""


def one(path: str, kind: str, name: str, query: str = "") -> Route:
    return Route(path, ((kind, name),), query=query)


def several(path: str, kind: str, name: str) -> Route:
    return Route(path, ((kind, name),), {f"{name.removeprefix('body_')}s": [f"{{{name}}}"]})


DELETIONS = [
    one("/4/accounts/{account_id}", "account", "account_id"),
    one("/4/tasks/errors/{error_id}", "task_error", "error_id"),
    one("/4/tasks/schedules/{schedule_id}", "schedule", "schedule_id"),
    Route("/4/tasks/{task_id}", (("task", "task_id"), ("task_result", "result_id"))),
    one("/1/buckets/{empty_bucket}", "bucket", "empty_bucket"),
    several("/1/buckets/{bucket}/images", "image", "image_id"),
    one("/1/buckets/{bucket}/images/{image_id}", "image", "image_id"),
    several("/1/buckets/{bucket}/objects", "object", "object_id"),
    one("/1/buckets/{bucket}/objects/{object_id}", "object", "object_id"),
    one("/1/settings/groups/{group_name}", "setting_group", "group_name"),
    one("/1/settings/limitations/{limitation_name}", "limitation", "limitation_name"),
    one("/1/settings/{setting}", "setting", "setting"),
    one("/6/account", "account", "account_id"),
    one("/6/attributes/{attribute_id}", "attribute", "attribute_id"),
    several("/6/faces", "face", "face_id"),
    one("/6/faces/{face_id}", "face", "face_id"),
    one("/6/faces/{face_id}/attributes", "face_attribute", "face_id"),
    one("/6/handlers/{handler_id}", "handler", "handler_id"),
    one("/6/images/{image_id}", "image", "image_id"),
    several("/6/lists", "list", "list_id"),
    Route("/6/lists", (("list", "list_id"), ("face", "face_id")), {"list_ids": ["{list_id}"]}, "with_faces=1"),
    one("/6/lists/{list_id}", "list", "list_id"),
    Route("/6/lists/{list_id}", (("list", "list_id"), ("face", "face_id")), query="with_faces=1"),
    one("/6/objects/{object_id}", "object", "object_id"),
    several("/6/samples/bodies", "body_sample", "body_sample_id"),
    one("/6/samples/bodies/{body_sample_id}", "body_sample", "body_sample_id"),
    several("/6/samples/faces", "face_sample", "sample_id"),
    one("/6/samples/faces/{sample_id}", "face_sample", "sample_id"),
    one("/6/tasks/errors/{error_id}", "task_error", "error_id"),
    one("/6/tasks/schedules/{schedule_id}", "schedule", "schedule_id"),
    Route("/6/tasks/{task_id}", (("task", "task_id"), ("task_result", "result_id"))),
    one("/6/tokens/{token_id}", "token", "token_id"),
    one("/6/verifiers/{verifier_id}", "verifier", "verifier_id"),
]
READS = [
    one("/4/tasks/{task_id}/result", "task_result", "result_id"),
    one("/4/tasks/{task_id}/subtasks/{subtask_id}/result", "task_result", "result_id"),
    one("/1/buckets/{bucket}/images/{image_id}", "image", "image_id"),
    one("/1/buckets/{bucket}/objects/{object_id}", "object", "object_id"),
    one("/6/attributes", "attribute_descriptor", "attribute_id", "attribute_ids={attribute_id}&" + DESCRIPTORS),
    one("/6/attributes/{attribute_id}", "attribute_descriptor", "attribute_id", DESCRIPTORS),
    one("/6/faces/{face_id}/attributes", "face_descriptor", "face_id", DESCRIPTORS),
    one("/6/images/{image_id}", "image", "image_id"),
    one("/6/objects/{object_id}", "object", "object_id"),
    one("/6/samples/bodies/{body_sample_id}", "body_sample", "body_sample_id"),
    one("/6/samples/faces/{sample_id}", "face_sample", "sample_id"),
    one("/6/tasks/{task_id}/result", "task_result", "result_id"),
    one("/6/tasks/{task_id}/subtasks/{subtask_id}/result", "task_result", "result_id"),
]
ALWAYS_READ = {read.path for read in READS if not read.query}
URLS, SAMPLES = {"urls": ["/6/images/{image_id}"]}, {"samples": ["{sample_id}"]}
IMAGE, SAMPLE = (("image", "image_id"),), (("face_sample", "sample_id"),)
RECOGNITION = [
    Route(path, lines, body)
    for path in (
        "/6/sdk",
        "/6/iso",
        "/6/liveness",
        "/6/detector",
        "/6/handlers/{handler_id}/events",
        "/6/handlers/{handler_id}/stream_events",
    )
    for lines, body in ((IMAGE, URLS), (SAMPLE, SAMPLES))
] + [
    Route("/6/extractor", SAMPLE, {"": ["{sample_id}"]}),
    Route("/6/verifiers/{verifier_id}/verifications", IMAGE, URLS, "face_ids={face_id}"),
    Route("/6/verifiers/{verifier_id}/verifications", SAMPLE, SAMPLES, "face_ids={face_id}"),
]


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, ids) for key, each in value.items()}
    return [each.format(**ids) for each in value] if isinstance(value, list) else value.format(**ids)


def world_of(account: Account, client: Client) -> dict[str, str]:
    ids = make_world(client)
    warp = picture((128, 250))
    sample = made(client, "/6/samples/bodies", warp, JPEG)["sample_id"]
    client.post("/1/buckets?bucket=an-empty-one")
    return {**ids, "account_id": str(account.pk), "body_sample_id": sample, "empty_bucket": "an-empty-one"}


def named(route: Route) -> str:
    return f"{route.path}?{route.query}" if route.query else route.path


@pytest.mark.parametrize("route", DELETIONS, ids=named)
def test_a_deletion_leaves_one_line_per_object(
    admin: Account, route: Route, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = basic_client(admin)
    with django_capture_on_commit_callbacks(execute=True):
        ids = world_of(admin, client)
    AuditRecord.objects.all().delete()
    query = filled(route.query, ids)
    answer = client.delete(f"{filled(route.path, ids)}?{query}", filled(route.body, ids), JSON)
    assert answer.status_code == 204, answer.content
    check(admin, [("delete", kind, ids[name]) for kind, name in route.lines])


def check(admin: Account, expected: list[Line]) -> None:
    """Those lines and no others, each of this actor and of his data."""
    assert sorted(lines_of()) == sorted(expected)
    for record in AuditRecord.objects.all():
        assert (record.account_id, record.remote_address) == (admin.pk, "127.0.0.1")
        assert record.object_account_id == (None if record.object_type in OF_EVERYBODY else admin.pk)


def test_every_deletion_of_the_api_is_tested() -> None:
    documented = {path for path, methods in plain()["paths"].items() if "delete" in methods}
    tested = {
        route.path.replace("empty_bucket", "bucket").replace("body_sample_id", "sample_id") for route in DELETIONS
    }
    assert tested == documented


def test_reads_leave_one_line_per_object(
    admin: Account, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """All GET routes: those that show pictures or descriptors leave the line, the others none."""
    client = basic_client(admin)
    with django_capture_on_commit_callbacks(execute=True):
        ids = world_of(admin, client)
    for read in READS:
        AuditRecord.objects.all().delete()
        answer = client.get(f"{filled(read.path, ids)}?{filled(read.query, ids)}")
        assert answer.status_code == 200, (read, answer)
        check(admin, [("view", kind, ids[name]) for kind, name in read.lines])
    AuditRecord.objects.all().delete()
    asked = 0
    for path, methods in plain()["paths"].items():
        if "get" not in methods or path in ALWAYS_READ or path.startswith("/6/samples/bodies"):
            continue
        with override_config(ServiceMetrics, enabled=True):  # the route is off by default
            answer = client.get(Examples(plain(), ids, 0).path(path), {"attribute_ids": ids["attribute_id"]})
        assert answer.status_code in (200, 400), (path, answer.content)
        asked += 1
    for path in ALWAYS_READ:
        assert client.head(filled(path, ids)).status_code == 200, path
    assert asked > 20
    assert lines_of() == []


@pytest.mark.parametrize("route", RECOGNITION, ids=lambda route: f"{route.path} {next(iter(route.body)) or 'ids'}")
def test_recognition_of_a_stored_picture_leaves_one_line(
    admin: Account, route: Route, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = basic_client(admin)
    with django_capture_on_commit_callbacks(execute=True):
        ids = world_of(admin, client)
    AuditRecord.objects.all().delete()
    body = filled(route.body, ids)
    answer = client.post(f"{filled(route.path, ids)}?{filled(route.query, ids)}", body.get("", body), JSON)
    assert answer.status_code in (200, 201), answer.content
    check(admin, [("view", kind, ids[name]) for kind, name in route.lines])


def test_a_request_that_changes_nothing_leaves_no_line(admin: Account) -> None:
    client = basic_client(admin)
    client.get("/6/account")  # the login leaves a line
    AuditRecord.objects.all().delete()
    missing = {
        name: str(uuid4()) for name in ("face_id", "list_id", "handler_id", "verifier_id", "token_id", "attribute_id")
    }
    for route in DELETIONS:
        for name in missing:
            if f"{{{name}}}" in route.path:
                assert client.delete(route.path.format(**missing)).status_code == 404
    assert client.delete("/6/faces", {"face_ids": [missing["face_id"]]}, JSON).status_code == 400
    assert client.delete("/1/buckets/nobodys-bucket").status_code == 404
    assert lines_of() == []


def test_a_token_is_named_in_the_line(admin: Account) -> None:
    client = token_client(admin, face=["deletion"])
    face = faces.face_create(account_id=admin.pk, draft=FaceDraft())
    AuditRecord.objects.all().delete()
    assert client.delete(f"/6/faces/{face.face_id}").status_code == 204
    assert AuditRecord.objects.get().token_id == Token.objects.for_account(admin.pk).get().pk
