"""What clients that others wrote send and expect in every resource: nulls, lists, charsets, unknown names."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts.models import Account
from apps.common.config import Paging, QueryParameters, config
from apps.faces.models import Face
from tests.factories import client_of, make_event

pytestmark = pytest.mark.django_db
Configure = Callable[..., None]

JSON = "application/json"
UNKNOWN = "Luna-Unknown-Parameters"


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def made(client: Client, path: str, body: Any) -> str:
    answer = client.post(path, body, JSON)
    assert answer.status_code == 201, answer.json()
    url: str = answer.json()["url"]
    return url


def error(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error_code"]


class TestPages:
    @pytest.mark.parametrize("path", ["faces", "lists", "events", "handlers", "tokens"])
    def test_a_page_has_up_to_1000_members(self, client: Client, path: str) -> None:
        for size, status in ((1, 200), (200, 200), (1000, 200), (1001, 400), (0, 400)):
            assert client.get(f"/6/{path}?page_size={size}").status_code == status
        assert error(client.get(f"/6/{path}?page=0")) == (400, 12012)

    def test_a_page_has_10_members_by_default(self) -> None:
        assert (config(Paging).default_page_size, config(Paging).max_page_size) == (10, 1000)


class TestNulls:
    def test_optional_members_that_are_null_count_as_absent(self, client: Client) -> None:
        nothing = {"external_id": None, "user_data": None, "avatar": None, "event_id": None, "lists": None}
        face = made(client, "/6/faces", {**nothing, "attribute": None})
        shape = client.get(face).json()
        assert (shape["external_id"], shape["user_data"], shape["lists"]) == ("", "", [])

    def test_a_patch_with_nulls_changes_only_the_rest(self, client: Client) -> None:
        event_id = str(uuid4())
        face = made(client, "/6/faces", {"external_id": "a", "avatar": "/6/samples/faces/x", "event_id": event_id})
        body = {"external_id": None, "user_data": "new", "avatar": None, "event_id": None}
        assert client.patch(face, body, JSON).status_code == 204
        shape = client.get(face).json()
        assert (shape["external_id"], shape["user_data"]) == ("a", "new")
        assert (shape["avatar"], shape["event_id"]) == ("/6/samples/faces/x", event_id)

    def test_in_every_depth_of_policies(self, client: Client) -> None:
        policies = {
            "detect_policy": {
                "multiface_policy": None,
                "estimate_liveness": {"estimate": 1, "liveness_threshold": None},
            },
            "extract_policy": None,
            "match_policy": [
                {
                    "label": "vip",
                    "candidates": {"origin": "faces", "list_id": None, "external_ids": None},
                    "limit": None,
                    "filters": {"match": [{"label": "vip", "similarity__gte": None}], "gender": None, "age__gte": None},
                }
            ],
            "conditional_tags_policy": None,
            "storage_policy": {
                "face_sample_policy": {"ttl": None, "filters": None},
                "callbacks": [{"type": "http", "url": "https://h.example/", "authorization": None, "params": None}],
            },
        }
        made(client, "/6/handlers", {"description": None, "lambda_id": None, "policies": policies})

    def test_a_required_member_must_not_be_null(self, client: Client) -> None:
        url = made(client, "/6/lists", {})
        assert error(client.patch(url, {"user_data": None}, JSON)) == (400, 12027)
        assert error(client.post("/6/handlers", {"policies": None}, JSON)) == (400, 12027)

    def test_unknown_members_stay_refused(self, client: Client) -> None:
        assert error(client.post("/6/faces", {"colour": None}, JSON)) == (400, 12027)


@pytest.mark.parametrize(
    "query",
    ["tags=a,c", "tags=a&tags=c", "tags[]=a&tags[]=c", "tags[1]=c&tags[0]=a", "tags=a&tags[]=c", "tags%5B%5D=a,c"],
)
class TestLists:
    def test_every_spelling_of_a_list(self, account: Account, client: Client, query: str) -> None:
        """Retrofit repeats parameters, axios sends `name[]`, PHP `name[0]`."""
        wanted = {make_event(account, tags=[tag]).event_id for tag in "ac"}
        make_event(account, tags=["b"])
        answer = client.get(f"/6/events?{query}&create_time__gte=2000-01-01T00:00:00Z")
        assert {event["event_id"] for event in answer.json()["events"]} == set(map(str, wanted))
        assert UNKNOWN not in answer.headers


class TestUnknownParameters:
    @pytest.mark.parametrize(
        ("request_line", "named"),
        [
            ("get /6/events?sourcs=a", "sourcs (sources)"),
            ("get /6/events?sourcs[]=a&page=1", "sourcs[] (sources)"),
            ("get /6/faces?qqqqqq=1&face_id=2", "qqqqqq, face_id (face_ids)"),
            ("get /6/lists?" + quote("pagé") + "=2", "pag%C3%A9 (page)"),
            ("get /6/events?a=" + "&" + "&".join(f"zz{number}=1" for number in range(20)),
             "a, " + ", ".join(f"zz{number}" for number in range(9))),
            ("post /6/sdk?estimate_emotion=1", "estimate_emotion (estimate_emotions)"),
            ("get /version?x=1", "x"),
        ],
    )  # fmt: skip
    def test_are_ignored_and_named_with_the_nearest_known_one(
        self, client: Client, request_line: str, named: str
    ) -> None:
        method, _, path = request_line.partition(" ")
        answer = getattr(client, method)(path)
        assert answer.headers[UNKNOWN] == named

    @pytest.mark.parametrize(
        "path",
        [
            "events?meta.a.b__gte:integer=4&origin_longitude=1&origin_latitude=2&targets=tags&account_id={account}",
            "faces?list_id=&external_ids=a&page=2", "faces/count?user_data=x", "lists/count?account_id={account}",
            "handlers?description=x", "healthcheck?include_luna_services=0", "events?meta=null",
        ],
    )  # fmt: skip
    def test_known_ones_are_not_named(self, account: Account, client: Client, path: str) -> None:
        answer = client.get("/6/" + path.format(account=account.account_id))
        assert answer.status_code == 200, answer.json()
        assert UNKNOWN not in answer.headers

    def test_are_refused_in_strict_mode_before_anything_is_done(self, client: Client, configure: Configure) -> None:
        configure(QueryParameters, refuse_unknown=True)
        answer = client.get("/6/events?sourcs=a")
        assert error(answer) == (400, 12012)
        assert "sourcs (sources)" in answer.json()["detail"]
        assert error(client.post("/6/faces?user_data=x", {}, JSON)) == (400, 12012)
        assert not Face.objects.unscoped().exists()
        assert client.get("/6/events?sources=a&meta.a=1").status_code == 200


class TestCharsets:
    BODY: Mapping[str, str] = {"user_data": "Zoë, Ёлка"}

    @pytest.mark.parametrize(
        ("encoding", "content_type"),
        [
            ("utf-8-sig", JSON), ("utf-16", JSON), ("utf-32", JSON), ("utf-8", f"{JSON}; charset=UTF-8"),
            ("utf-16-le", f"{JSON};charset=utf-16le"), ("utf-8-sig", f'{JSON}; charset="utf-8"'),
        ],
    )  # fmt: skip
    def test_byte_order_marks_and_declared_charsets(self, client: Client, encoding: str, content_type: str) -> None:
        body = json.dumps(self.BODY, ensure_ascii=False).encode(encoding)
        url = client.generic("POST", "/6/lists", body, content_type).json()["url"]
        assert client.get(url).json()["user_data"] == self.BODY["user_data"]

    @pytest.mark.parametrize(("charset", "text"), [("iso-8859-1", "Zoë"), ("windows-1251", "Ёлка")])
    def test_one_byte_charsets(self, client: Client, charset: str, text: str) -> None:
        body = json.dumps({"user_data": text}, ensure_ascii=False).encode(charset)
        url = client.generic("POST", "/6/lists", body, f"{JSON}; charset={charset}").json()["url"]
        assert client.get(url).json()["user_data"] == text

    @pytest.mark.parametrize(
        ("body", "charset", "code"),
        [
            (b"{}", "punycode", 12017), (b"{}", "idna", 12017), (b"{}", "zlib", 12017), (b"{}", "nothing", 12017),
            (b"{}", "unicode_escape", 12017), (b'{"user_data": "\xe9"}', "utf-8", 12002),
            (b'{"user_data": "\xe9"}', "ascii", 12002), (b"\xff\xfe{", "", 12002), (b"{}1", "utf-16", 12002),
            (b"\xef\xbb\xbf", "", 12002),
        ],
    )  # fmt: skip
    def test_what_is_no_text_in_its_charset(self, client: Client, body: bytes, charset: str, code: int) -> None:
        answer = client.generic("POST", "/6/lists", body, f"{JSON}; charset={charset}" if charset else JSON)
        assert error(answer) == (400, code)


class TestCompression:
    UNPACK: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}

    @pytest.mark.parametrize(
        ("accepts", "encoding"),
        [
            ("gzip, deflate", "gzip"), ("deflate", "deflate"), ("gzip;q=0, deflate;q=0.5", "deflate"), ("GZip", "gzip"),
            ("deflate, gzip;q=1.0, *;q=0.5", "gzip"), ("br", None), ("", None), ("gzip;q=0", None), ("gzip;q=x", None),
        ],
    )  # fmt: skip
    def test_answers_in_json(self, client: Client, accepts: str, encoding: str | None) -> None:
        made(client, "/6/lists", {"user_data": "x" * 128})
        plain = client.get("/6/lists")
        packed = client.get("/6/lists", headers={"Accept-Encoding": accepts})
        assert packed.headers.get("Content-Encoding") == encoding
        assert "Accept-Encoding" in packed.headers["Vary"]
        content = packed.content if encoding is None else self.UNPACK[encoding](packed.content)
        assert json.loads(content) == plain.json()
        if encoding is not None:
            assert int(packed.headers["Content-Length"]) == len(packed.content) < len(plain.content)

    def test_errors_and_messagepack_too(self, client: Client) -> None:
        for path in ("/6/nothing", "/6/lists?page=" + "x" * 200):
            answer = client.get(path, headers={"Accept-Encoding": "gzip"})
            body = gzip.decompress(answer.content) if "Content-Encoding" in answer.headers else answer.content
            assert json.loads(body)["error_code"] in (12012, 12013)
        made(client, "/6/lists", {"user_data": "x" * 128})
        headers = {"Accept-Encoding": "gzip", "Accept": "application/msgpack"}
        assert client.get("/6/lists", headers=headers).headers["Content-Encoding"] == "gzip"

    def test_the_length_does_not_tell_what_an_answer_holds(self, client: Client) -> None:
        made(client, "/6/lists", {"user_data": "x" * 128})
        lengths = {len(client.get("/6/lists", headers={"Accept-Encoding": "gzip"}).content) for _ in range(20)}
        assert len(lengths) > 1

    def test_pages_for_people_stay_as_they_are(self, client: Client) -> None:
        answer = client.get("/admin/login/", headers={"Accept-Encoding": "gzip, deflate"})
        assert (answer.status_code, "Content-Encoding" in answer.headers) == (200, False)

    def test_an_answer_that_is_kept_for_retries_is_kept_uncompressed(self) -> None:
        order = settings.MIDDLEWARE
        compression = order.index("apps.common.compression.CompressionMiddleware")
        assert compression < order.index("apps.accounts.idempotency.IdempotencyMiddleware")


class TestVersion:
    def test_the_platform_comes_first_and_every_service_is_listed(self) -> None:
        versions = Client().get("/version").json()
        assert next(iter(versions)) == "LUNA PLATFORM"
        assert {"luna-image-store", "luna-accounts", "luna-remote-sdk"} <= versions.keys()
        assert set(versions["luna-accounts"]) == {"api", "major", "minor", "patch"}

    @pytest.mark.parametrize("path", ["/healthcheck", "/6/healthcheck"])
    def test_healthcheck_tells_its_time(self, path: str) -> None:
        answer = Client().get(path)
        assert (answer.status_code, type(answer.json()["execution_time"])) == (200, float)
