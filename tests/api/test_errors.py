"""Every error code of the page `docs/errors.md` is produced here through the API; every other code has a reason."""

import base64
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from django.conf import settings as django_settings
from django.db import DataError
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.descriptors import raw_encode
from apps.common.errors import CATALOGUE
from apps.faces.attributes import KEY
from apps.imagestore import s3
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from tests.api.accounts.helpers import issue
from tests.api.imagestore.helpers import picture
from tests.factories import basic_client, client_of, make_account, make_version, unit_vectors
from tests.ports import free_port
from tests.storages import options, use_storage
from tests.unit.imagestore.test_s3 import deaf_server

ROOMS = [range(12000, 13000), range(13000, 14000), range(19000, 20000), range(20000, 20100), range(22000, 23000),
         range(41000, 42000)]  # fmt: skip
IN_TASKS = {12043, 22015, 22025}  # errors of single objects of tasks: tests/unit/tasks produce them
LINE = re.compile(r'^\| <a id="(\d+)"></a>\d+ \| (?:(\d{3}) \| )?([^|]+) \|', re.MULTILINE)
JSON, JPEG, ZIP = "application/json", "image/jpeg", "application/zip"
NOBODY = str(uuid4())
SERVER_ERROR = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FORBIDDEN = SERVER_ERROR.replace(b"503 Slow Down", b"403 Forbidden")


@dataclass(frozen=True)
class World:
    """What a case may use."""

    account: Account
    client: Client
    settings: Any
    redis: Any
    monkeypatch: pytest.MonkeyPatch

    def send(self, method: str, path: str, body: Any = None, content_type: str = JSON, **extra: Any) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps({} if body is None else body)
        return self.client.generic(method.upper(), path, data, content_type=content_type, **extra)

    def made(self, path: str, body: Any = None, content_type: str = JSON) -> str:
        """Return the id of the object that a POST to `path` created."""
        return str(next(iter(self.send("post", path, body, content_type).json().values())))

    def lost(self, bucket: str) -> UUID:
        """An object without its file."""
        row = {"account": self.account, "bucket": bucket, "content_type": JPEG, "size_bytes": 1}
        return StoredObject.objects.unscoped().create(**row).object_id

    def broken_disk(self) -> None:
        """A folder that is a file."""
        use_storage(self.settings, "apps.imagestore.storage.DiskStorage", location=__file__)

    def in_s3(self, address: str) -> None:
        self.monkeypatch.setattr(s3, "READ_TIMEOUT_S", 0.2)
        self.monkeypatch.setattr(s3, "CONNECT_TIMEOUT_S", 0.2)
        self.monkeypatch.setattr(s3, "ATTEMPTS", 1)
        use_storage(self.settings, "apps.imagestore.s3.S3Store", **options(address, "x"))


@pytest.fixture
def world(db: None, settings: Any, redis_client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(tmp_path / "store"))
    account = make_account()
    return World(account, client_of(account), settings, redis_client, monkeypatch)


Case = Callable[[World], Any]


def ask(method: str, path: str, body: Any = None, content_type: str = JSON, **extra: Any) -> Case:
    return lambda world: world.send(method, path, body, content_type, **extra)


def twice(path: str, body: Any) -> Case:
    return lambda world: [world.send("post", path, body) for _ in range(2)][-1]


def attribute(data: bytes, **fields: Any) -> Case:
    """A temporary attribute of one descriptor."""
    given = {"type": "raw_descriptor", "data": base64.b64encode(data).decode()} | fields
    return ask("post", "/6/attributes", {"face_descriptors": {"descriptors": [given]}})


def form(*parts: tuple[str, str, bytes]) -> Case:
    """A multipart body of (name, media type, data) for a dynamic handler."""
    head = 'Content-Disposition: form-data; name="{}"\r\nContent-Type: {}\r\n\r\n'
    body = b"".join(b"--b\r\n" + head.format(name, kind).encode() + data + b"\r\n" for name, kind, data in parts)

    def do(world: World) -> Any:
        handler_id = world.made("/6/handlers", {"handler_type": 1})
        path = f"/6/handlers/{handler_id}/events"
        return world.send("post", path, body + b"--b--\r\n", "multipart/form-data; boundary=b")

    return do


def policies(*kinds: str) -> Case:
    return form(("image", JPEG, picture()), *(("policies", kind, b"{}") for kind in kinds))


def on_broken_disk(path: str, data: bytes, content_type: str) -> Case:
    def do(world: World) -> Any:
        world.broken_disk()
        return world.send("post", path, data, content_type)

    return do


def lost_file(path: str, bucket: str) -> Case:
    return lambda world: world.client.get(f"{path}/{world.lost(bucket)}")


def from_s3(path: str, bucket: str, sent: bytes) -> Case:
    """A GET while the server answers `sent`."""

    def do(world: World) -> Any:
        with deaf_server(sent) as address:
            world.in_s3(address)
            return world.client.get(f"{path}/{world.lost(bucket)}")

    return do


def into_s3(path: str, data: bytes, content_type: str, sent: bytes) -> Case:
    def do(world: World) -> Any:
        with deaf_server(sent) as address:
            world.in_s3(address)
            return world.send("post", path, data, content_type)

    return do


@contextmanager
def full_backlog() -> Iterator[str]:
    """An address that takes no connection and refuses none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        try:
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for each in waiting:
                each.close()


def s3_takes_no_connection(world: World) -> Any:
    with full_backlog() as address:
        world.in_s3(address)
        return world.send("post", "/6/objects", b"x", ZIP)


def s3_is_away(world: World) -> Any:
    world.in_s3(f"http://127.0.0.1:{free_port()}")
    return world.send("post", "/6/objects", b"x", ZIP)


def s3_is_left_alone(world: World) -> Any:
    world.in_s3(f"http://127.0.0.1:{free_port()}")
    for _ in range(s3.FAILURES):
        world.send("post", "/6/objects", b"x", ZIP)
    return world.send("post", "/6/objects", b"x", ZIP)


def buckets(method: str, path: str) -> Case:
    return lambda world: getattr(basic_client(make_account(AccountType.ADMIN)), method)(path)


def id_that_is_taken(world: World) -> Any:
    path = f"/1/buckets/{Bucket.OBJECTS}/objects/{uuid4()}"
    assert world.send("put", path, b"first", ZIP).status_code == 201
    return world.send("put", path, b"second", ZIP)


def attribute_used_twice(world: World) -> Any:
    attribute_id = world.made("/6/attributes", {"basic_attributes": {"attributes": {"age": 30}}})
    return twice("/6/faces", {"attribute": {"attribute_id": attribute_id}})(world)


def corrupt_attribute(world: World) -> Any:
    attribute_id = world.made("/6/attributes", {"basic_attributes": {"attributes": {"age": 30}}})
    world.redis.set(KEY.format(attribute_id), b"\xc1")
    return world.client.get(f"/6/attributes/{attribute_id}")


def other_version(world: World) -> Any:
    wanted, other = make_version(911, 8), make_version(912, 8)
    world.monkeypatch.setattr("apps.common.descriptors.versions.default", lambda kind: wanted)
    data = base64.b64encode(raw_encode(unit_vectors(1, 8)[0], other)).decode()
    given = {"face_descriptors": {"descriptors": [{"type": "raw_descriptor", "version": 912, "data": data}]}}
    face_id = world.made("/6/faces", {"attribute": given})
    reference = {"type": "face", "id": face_id}
    return world.send(
        "post", "/6/matcher/faces", {"references": [reference], "candidates": [{"filters": {"origin": "faces"}}]}
    )


def two_of_a_version(world: World) -> Any:
    version = make_version(911, 8)
    data = base64.b64encode(raw_encode(unit_vectors(1, 8)[0], version)).decode()
    given = {"type": "raw_descriptor", "version": 911, "data": data}
    return world.send("post", "/6/attributes", {"face_descriptors": {"descriptors": [given, given]}})


def dynamic_without_policies(world: World) -> Any:
    handler_id = world.made("/6/handlers", {"handler_type": 1})
    return world.send("post", f"/6/handlers/{handler_id}/events", picture(), JPEG)


def refused_by_database(world: World) -> Any:
    """Make the database reject a value that passed all previous checks."""

    def refuse(**arguments: object) -> None:
        raise DataError("out of range")

    world.monkeypatch.setattr("apps.faces.selectors.faces_page", refuse)
    return world.client.get("/6/faces")


def sample_of_another_type(world: World) -> Any:
    return world.send("post", "/6/samples/faces", picture(form="PNG"), JPEG)


def as_account(method: str, path: str, body: Any = None, kind: str = AccountType.USER) -> Case:
    """With login and password."""
    return lambda world: getattr(basic_client(make_account(kind)), method)(path, body or {}, content_type=JSON)


def registered_twice(**changes: str) -> Case:
    def do(world: World) -> Any:
        nobody = Client(headers={"Luna-Account-Id": NOBODY} if "other" in changes else {})
        for login in ("one@luna.test", changes.get("other", "one@luna.test")):
            body = {"login": login, "password": "a password", "account_type": "user"}
            answer = nobody.post("/6/accounts", body, content_type=JSON)
        return answer

    return do


def wrong_password(world: World) -> Any:
    header = "Basic " + base64.b64encode(f"{world.account.login}:wrong".encode()).decode()
    return Client(headers={"Authorization": header}).get("/6/account")


def token_that(change: str) -> Case:
    """A request with a token that was deleted or has expired."""

    def do(world: World) -> Any:
        token_id, client, _ = issue(world.account)
        owner = basic_client(world.account)
        if change == "delete":
            owner.delete(f"/6/tokens/{token_id}")
        else:
            past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
            owner.put(f"/6/tokens/{token_id}", {"permissions": {}, "expiration_time": past}, content_type=JSON)
        return client.get("/6/account")

    return do


OBJECT, SAMPLE = ("/6/objects", b"x", ZIP), ("/6/samples/faces", picture(), JPEG)
TOO_MANY = [NOBODY] * 1001
NOT_BASE64 = {"type": "sdk_descriptor", "data": "?"}
CASES: dict[int, Case] = {
    12002: ask("post", "/6/faces", b"{"),
    12003: dynamic_without_policies,
    12005: lambda world: world.send("patch", f"/6/faces/{world.made('/6/faces')}"),
    12010: lambda world: Client().get("/6/faces"),
    12012: ask("get", "/6/faces?page=0"),
    12013: ask("get", "/6/nothing"),
    12014: ask("get", "/6/attributes"),
    12016: ask("post", "/6/credentials"),
    12017: ask("post", "/6/faces", b"x", "text/plain"),
    12021: ask("put", "/6/faces"),
    12024: ask("post", "/6/faces", headers={"Content-Encoding": "br"}),
    12025: sample_of_another_type,
    12027: ask("post", "/6/faces", {"no_such_field": 1}),
    12030: ask("post", "/6/samples/faces", b"", JPEG),
    12031: refused_by_database,
    12033: as_account("get", "/1/buckets"),
    12034: lambda world: make_version(911, 8) and attribute(b"short", version=911)(world),
    12035: attribute(b"no xpk file", type="xpk_file"),
    12036: attribute(b"x" * 32, version=999_999),
    12037: attribute(b"", type="xpk_file"),
    12038: attribute(b"x", type="sdk_descriptor"),
    12039: form(("image", JPEG, picture()), ("unknown", JSON, b"{}")),
    12040: policies(JSON, JSON),
    12041: policies("text/xml"),
    12044: ask("post", "/6/faces", b"no gzip", headers={"Content-Encoding": "gzip"}),
    12045: ask("post", "/6/faces", b"no deflate", headers={"Content-Encoding": "deflate"}),
    12046: ask("post", "/6/images", picture(), JPEG, headers={"X-Luna-Meta-a b": "v"}),
    12049: ask("get", "/metrics"),
    12047: ask("post", "/6/faces", b"\xc1", "application/msgpack"),
    13003: ask("get", f"/6/images/{NOBODY}"),
    13004: ask("delete", "/6/samples/faces", {"sample_ids": TOO_MANY}),
    13005: buckets("get", "/1/buckets/nobody"),
    13006: buckets("post", "/1/buckets?bucket=portraits"),
    13007: ask("get", f"/6/objects/{NOBODY}"),
    13008: id_that_is_taken,
    13009: ask("put", "/6/objects", {"object_ids": TOO_MANY, "ttl": 1}),
    19001: on_broken_disk(*SAMPLE),
    19006: lost_file("/6/samples/faces", Bucket.FACE_SAMPLES),
    19007: on_broken_disk(*OBJECT),
    19010: lost_file("/6/objects", Bucket.OBJECTS),
    20001: into_s3(*SAMPLE, SERVER_ERROR),
    20005: s3_is_left_alone,
    20006: into_s3(*OBJECT, FORBIDDEN),
    20007: into_s3(*OBJECT, b""),
    20008: s3_is_away,
    20009: s3_takes_no_connection,
    20012: from_s3("/6/images", Bucket.IMAGES, SERVER_ERROR),
    20013: into_s3(*OBJECT, SERVER_ERROR),
    20016: from_s3("/6/objects", Bucket.OBJECTS, SERVER_ERROR),
    20019: buckets("post", "/1/buckets?bucket=../up"),
    22001: attribute_used_twice,
    22002: ask("get", f"/6/faces/{NOBODY}"),
    22003: ask("get", f"/6/lists/{NOBODY}"),
    22004: ask("delete", "/6/faces", {"face_ids": [NOBODY]}),
    22005: ask("post", "/6/faces", {"lists": [NOBODY]}),
    22009: ask("post", "/6/faces", {"avatar": "javascript:alert(1)"}),
    22011: ask("get", f"/6/attributes/{NOBODY}"),
    22012: ask("post", "/6/attributes", {"face_descriptors": {"descriptors": [NOT_BASE64]}}),
    22016: ask("get", "/6/faces?targets=password"),
    22017: ask("post", "/6/matcher/faces", {"references": [{"type": "person"}], "candidates": [{"filters": {}}]}),
    22018: other_version,
    22020: corrupt_attribute,
    22022: ask("post", "/6/attributes"),
    22023: ask("post", "/6/attributes", {"basic_attributes": {"attributes": {"age": 3}},
                                        "face_descriptors": {"samples": [NOBODY]}}),
    22024: two_of_a_version,
    41001: registered_twice(),
    41002: registered_twice(other="two@luna.test"),
    41003: as_account("get", f"/6/tokens/{NOBODY}"),
    41004: as_account("patch", "/6/account", {"account_type": "user"}, AccountType.ADMIN),
    41005: token_that("delete"),
    41006: wrong_password,
    41007: token_that("expire"),
    41009: as_account("post", "/6/tokens", {"permissions": {}, "visibility_area": "all"}),
    41010: as_account("get", "/6/account?targets=password"),
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(CASES))
def test_the_code_comes_with_its_status_and_four_keys(code: int, world: World) -> None:
    answer = CASES[code](world)
    body = answer.json()
    assert (body["error_code"], answer.status_code) == (code, CATALOGUE[code].status), body
    assert (body["desc"], body["link"]) == (CATALOGUE[code].desc, f"http://127.0.0.1:5000/docs/errors#{code}")
    assert set(body) == {"error_code", "desc", "detail", "link"}
    assert "{value}" not in body["detail"]


def test_the_page_lists_every_code_once() -> None:
    text = (Path(django_settings.BASE_DIR) / "docs" / "errors.md").read_text(encoding="utf-8")
    lines = LINE.findall(text)
    listed = [int(code) for code, *_ in lines]
    assert len(listed) == len(set(listed))
    ours = {code for code in CATALOGUE if any(code in room for room in ROOMS)}
    assert ours <= set(listed)
    produced = {
        int(code): (int(status), desc) for code, status, desc in lines if status and int(code) in ours - IN_TASKS
    }
    assert produced == {code: (CATALOGUE[code].status, CATALOGUE[code].desc) for code in CASES}
