"""What is wrong with a request for recognition, in every resource that takes images: the same code everywhere."""

import gzip
import io
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import ormsgpack
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import Account
from apps.common import fetch
from apps.common.config import Http, Images
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler
from tests.factories import client_of

pytestmark = pytest.mark.django_db
RESOURCES = ("sdk", "detector", "iso", "liveness", "events")
PNG = "image/png"
RECT = {"x": 165, "y": 60, "width": 130, "height": 130}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture(params=RESOURCES)
def path(request: pytest.FixtureRequest, client: Client) -> str:
    return f"{make_handler(client)}/events" if request.param == "events" else f"/6/{request.param}"


def form(*names: str, **parts: Any) -> dict[str, Any]:
    """Images of these names and JSON parts."""
    images = [SimpleUploadedFile(name, astronaut(), JPEG) for name in names]
    return {"image": images} | {name: json.dumps(value) for name, value in parts.items()}


def boxes(*rects: Any, filename: str = "a") -> list[dict[str, Any]]:
    return [{"filename": filename, "face_bounding_boxes": list(rects)}]


def refused(answer: Any) -> tuple[int, int]:
    """Status and code of an error that is the request's."""
    return answer.status_code, answer.json()["error_code"]


def codes(answer: Any) -> list[int]:
    """The error of each image."""
    assert answer.status_code in (200, 201), answer.json()
    body = answer.json()
    return [image["error"]["error_code"] for image in body.get("images", body.get("images_estimations"))]


class TestBoxes:
    @pytest.mark.parametrize(
        ("items", "code"),
        [
            (boxes(RECT, RECT), 11045),
            (boxes(RECT) + boxes(RECT), 11050),
            (boxes(RECT, filename="b"), 11049),
            (boxes(), 12027),
            (boxes(RECT | {"width": 0}), 12027),
            (boxes(RECT | {"height": -5}), 12027),
            (boxes(RECT | {"x": 1.5}), 12027),
            (boxes(RECT | {"x": 2**40}), 12027),
            (boxes(RECT | {"x": "left"}), 12027),
            (boxes({"x": 1, "y": 1}), 12027),
            (boxes(RECT | {"angle": 3}), 12027),
            (boxes(7), 12027),
            ({}, 12027),
            ("[]", 12027),
        ],
    )
    def test_refused(self, client: Client, path: str, items: Any, code: int) -> None:
        assert refused(client.post(path, form("a", face_bounding_boxes=items))) == (400, code)

    @pytest.mark.parametrize("place", [{"x": 512}, {"y": 600}, {"x": -130}, {"x": -2000000000}])
    def test_outside_the_image_is_that_images_error(self, client: Client, path: str, place: Any) -> None:
        answer = client.post(path, form("a", "b", face_bounding_boxes=boxes(RECT | place)))
        assert codes(answer) == [100016, 0]

    def test_across_the_edge_is_cut(self, client: Client, path: str) -> None:
        wide = {"x": -50, "y": -50, "width": 600, "height": 600}
        assert codes(client.post(path, form("a", face_bounding_boxes=boxes(RECT | wide)))) in ([0], [4003])

    def test_none_for_warps(self, client: Client, path: str) -> None:
        answer = client.post(f"{path}?image_type=1", form("a", face_bounding_boxes=boxes(RECT)))
        assert refused(answer) == (400, 11047)
        reference = {"urls": [{"url": "http://127.0.0.1/", "face_bounding_boxes": [RECT]}]}
        assert refused(client.post(f"{path}?image_type=1", reference, JSON)) == (400, 11047)

    def test_of_references(self, client: Client, path: str) -> None:
        reference = {"url": "http://127.0.0.1/", "face_bounding_boxes": [RECT, RECT]}
        assert refused(client.post(path, {"urls": [reference]}, JSON))[1] == 11045
        reference["face_bounding_boxes"] = [RECT | {"height": 0}]
        assert refused(client.post(path, {"urls": [reference]}, JSON)) == (400, 12027)


class TestForms:
    def test_duplicate_names(self, client: Client, path: str) -> None:
        assert refused(client.post(path, form("a", "a"))) == (400, 11046)

    @pytest.mark.parametrize("name", ["box", "face_bounding_box", "image"])
    def test_unknown_parts(self, client: Client, path: str, name: str) -> None:
        body = form("a")
        body["image" if name != "image" else "picture"] = body.pop("image")
        assert refused(client.post(path, body | {name: "{}"})) == (400, 12039)

    @pytest.mark.parametrize(("text", "code"), [("{", 12002), ("", 12002), ("\xff", 12002)])
    def test_parts_that_are_no_json(self, client: Client, path: str, text: str, code: int) -> None:
        assert refused(client.post(path, form("a") | {"face_bounding_boxes": text})) == (400, code)

    def test_parts_twice_and_of_another_type(self, client: Client, path: str) -> None:
        assert refused(client.post(path, form("a") | {"face_bounding_boxes": ["[]", "[]"]})) == (400, 11048)
        part = SimpleUploadedFile("boxes.xml", b"<a/>", "text/xml")
        assert refused(client.post(path, form("a") | {"face_bounding_boxes": part})) == (400, 12041)

    def test_no_image_and_too_many(self, client: Client, path: str) -> None:
        assert refused(client.post(path, form())) == (400, 12030)
        assert refused(client.post(path, {"face_bounding_boxes": "[]"})) == (400, 12030)
        assert refused(client.post(path, form(*"abcdefghi"))) == (400, 11049)

    def test_a_body_that_ends_early(self, client: Client, path: str) -> None:
        body = b'--X\r\nContent-Disposition: form-data; name="image"; filename="a"\r\nContent-Type: image/jpeg\r\n\r\n'
        answer = client.post(path, body + astronaut()[:5000], "multipart/form-data; boundary=X")
        assert refused(answer) == (400, 12046)


class TestParameters:
    @pytest.mark.parametrize(
        ("resources", "query"),
        [
            (RESOURCES, "image_type=3"),
            (("sdk", "detector", "iso", "liveness"), "image_type=2"),
            (("sdk",), "image_type=1&detect_face=0&detect_body=1"),
            (RESOURCES, "use_exif_info=yes"),
            (("sdk", "detector", "iso"), "multiface_policy=3"),
            (("sdk", "detector"), "yaw_threshold=181"),
            (("sdk", "detector"), "yaw_threshold=-0.1"),
            (("sdk", "detector"), "yaw_threshold=nan"),
            (("sdk", "detector"), "estimate_quality=2"),
            (("sdk",), "score_threshold=inf"),
            (("sdk",), "score_threshold=1.0001"),
            (("sdk",), "liveness_states=3"),
            (("sdk",), "deepfake_states=-1"),
            (("sdk",), "detect_face=0"),
            (("liveness",), "aggregate=true"),
            (("events",), "aggregate_attributes=-1"),
            (("events",), "longitude=181&latitude=0"),
            (("events",), "longitude=1"),
            (("events",), "stream_id=7"),
            (("events",), "tags=" + "x" * 37),
        ],
    )
    def test_out_of_range(self, client: Client, resources: tuple[str, ...], query: str) -> None:
        for name in resources:
            path = f"{make_handler(client)}/events" if name == "events" else f"/6/{name}"
            assert refused(client.post(f"{path}?{query}", astronaut(), JPEG)) == (400, 12012), name

    def test_unknown_ones_are_ignored(self, client: Client, path: str) -> None:
        assert codes(client.post(f"{path}?colour=red&page=0", astronaut(), JPEG)) == [0]


class Elsewhere(BaseHTTPRequestHandler):
    """A server that sends clients to places that they should not see, or never ends."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        kind, _, target = self.path.lstrip("/").partition("/")
        self.send_response(302 if kind == "redirect" else 200)
        if kind == "redirect":
            self.send_header("Location", target)
        self.send_header("Content-Type", "text/html" if kind == "page" else JPEG)
        self.end_headers()
        try:
            while kind == "endless":
                self.wfile.write(b"x" * 65536)
            self.wfile.write(astronaut())
        except ConnectionError:
            """The client has had enough."""

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A server that counts as public, although it is this machine; 127.0.0.2 is private as ever."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisServer", (Elsewhere,), {"asked": asked}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    is_public = fetch.is_public
    monkeypatch.setattr(fetch, "is_public", lambda address: str(address) == "127.0.0.1" or is_public(address))
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


PRIVATE = (
    "http://127.0.0.1/", "http://localhost:5000/", "http://127.1/", "http://2130706433/", "http://0x7f000001/",
    "http://0.0.0.0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::]/", "http://10.0.0.1/",
    "http://192.168.1.1/", "http://172.16.0.1/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/",
    "http://[fe80::1]/", "http://[fd00::1]/", "http://example.org@127.0.0.1/", "http://224.0.0.1/",
    "file:///etc/passwd", "ftp://example.org/a.jpg", "gopher://127.0.0.1:6379/_INFO", "//127.0.0.1/", "data:image/png,",
    "http://", "http:///a", "http://\x00/", "http://a b/", "not a url", "/6/handlers", "/6/images/7",
)  # fmt: skip


class TestUrls:
    def test_private_places(self, client: Client, path: str) -> None:
        for start in range(0, len(PRIVATE), 8):
            some = [url for url in PRIVATE[start : start + 8] if "\x00" not in url]
            assert codes(client.post(path, {"urls": some}, JSON)) == [11027] * len(some)
        assert refused(client.post(path, {"urls": ["http://\x00/"]}, JSON)) == (400, 12027)

    def test_redirects_into_private_places(self, client: Client, path: str, elsewhere: Any) -> None:
        origin, asked = elsewhere
        port = origin.rpartition(":")[2]
        targets = [f"http://127.0.0.2:{port}/image", "file:///etc/passwd", "http://169.254.169.254/", "/redirect/" * 9]
        urls = [f"{origin}/redirect/{target}" for target in targets]
        assert codes(client.post(path, {"urls": urls}, JSON)) == [11027] * len(urls)
        assert "/image" not in asked
        assert codes(client.post(path, {"urls": [f"{origin}/redirect//image"]}, JSON)) == [0]

    def test_endless_and_other_things(
        self, client: Client, path: str, elsewhere: Any, configure: Callable[..., None]
    ) -> None:
        origin, _ = elsewhere
        configure(Images, max_bytes=1024**2)
        urls = [f"{origin}/endless", f"{origin}/page", f"{origin}/image"]
        assert codes(client.post(path, {"urls": urls}, JSON)) == [11027, 11028, 0]

    def test_the_reason_is_not_told(self, client: Client, path: str) -> None:
        """A client could map the network with it."""
        url = "http://10.1.2.3:22/"
        answer = client.post(path, {"urls": [url]}, JSON).content.decode()
        assert not any(word in answer for word in ("public", "private", "refused", "timed"))


class TestBodies:
    @pytest.mark.parametrize("length", [2 * 1024**3, 10**30])
    def test_two_gigabytes_are_refused_before_they_are_read(self, client: Client, path: str, length: int) -> None:
        class Untouched(io.BytesIO):
            def read(self, *args: Any) -> bytes:
                raise AssertionError("the body was read")

        body: dict[str, Any] = {"CONTENT_LENGTH": str(length), "wsgi.input": Untouched()}
        assert refused(client.post(path, b"", JPEG, **body)) == (413, 37003)

    @pytest.mark.parametrize(("share", "code"), [(0.5, 18003), (0.0, 12030)])
    def test_a_body_shorter_than_its_length(self, client: Client, path: str, share: float, code: int) -> None:
        data = astronaut()
        sent = io.BytesIO(data[: int(len(data) * share)])
        body: dict[str, Any] = {"CONTENT_LENGTH": str(len(data)), "CONTENT_TYPE": JPEG, "wsgi.input": sent}
        assert refused(client.post(path, b"", JPEG, **body)) == (400, code)

    def test_a_body_longer_than_its_length_is_cut(self, client: Client, path: str) -> None:
        data = astronaut()
        body: dict[str, Any] = {
            "CONTENT_LENGTH": str(len(data) // 2),
            "CONTENT_TYPE": JPEG,
            "wsgi.input": io.BytesIO(data),
        }
        assert refused(client.post(path, b"", JPEG, **body)) == (400, 18003)

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "bare"])
    def test_compressed(self, client: Client, path: str, encoding: str) -> None:
        packs: dict[str, Callable[[bytes], bytes]] = {
            "deflate": zlib.compress,
            "bare": lambda data: zlib.compress(data)[2:-4],
        }
        pack = packs.get(encoding, gzip.compress)
        headers = {"Content-Encoding": "deflate" if encoding == "bare" else encoding}
        assert codes(client.post(path, pack(astronaut()), JPEG, headers=headers)) == [0]
        urls = orjson.dumps({"urls": ["http://127.0.0.1/"]})
        assert codes(client.post(path, pack(urls), JSON, headers=headers)) == [11027]

    @pytest.mark.parametrize(
        ("encoding", "data", "error"),
        [
            ("gzip", astronaut(), (400, 12044)),
            ("deflate", astronaut(), (400, 12045)),
            ("gzip", gzip.compress(astronaut())[:-100], (400, 12044)),
            ("deflate", zlib.compress(astronaut())[:-100], (400, 12045)),
            ("gzip", b"", (400, 12044)),
            ("br", astronaut(), (415, 12024)),
            ("gzip, gzip", gzip.compress(gzip.compress(astronaut())), (415, 12024)),
        ],
    )
    def test_badly_compressed(
        self, client: Client, path: str, encoding: str, data: bytes, error: tuple[int, int]
    ) -> None:
        answer = client.post(path, data, JPEG, headers={"Content-Encoding": encoding, "Content-Type": JPEG})
        assert refused(answer) == error

    def test_a_bomb(self, client: Client, path: str, configure: Callable[..., None]) -> None:
        configure(Http, request_max_size=10 * 1024**2)
        bomb = gzip.compress(bytes(50 * 1024**2))
        assert refused(client.post(path, bomb, JPEG, headers={"Content-Encoding": "gzip"})) == (413, 37003)

    def test_messagepack(self, client: Client, path: str) -> None:
        body = ormsgpack.packb({"urls": ["http://127.0.0.1/"]})
        headers = {"Accept": "application/msgpack"}
        answer = client.post(path, body, "application/msgpack", headers=headers)
        assert answer.headers["Content-Type"] == "application/msgpack"
        images = ormsgpack.unpackb(answer.content)
        assert [each["error"]["error_code"] for each in next(iter(images.values()))] == [11027]
        assert refused(client.post(path, b"\xc1", "application/msgpack")) == (400, 12047)
        answer = client.post(path, b"x", JPEG, headers=headers)
        assert ormsgpack.unpackb(answer.content)["error_code"] == 18003


@pytest.mark.parametrize(
    "policies",
    [
        {"detect_policy": {"detect_face": 0, "detect_body": 0}},
        {"match_policy": [{"label": "a", "candidates": {}}], "extract_policy": {"extract_face_descriptor": 0}},
        {"detect_policy": {"face_quality": {"filter": 1}}},
        {"detect_policy": {"liveness_states": [1], "estimate_liveness": {"liveness_states": [0]}}},
        {"detect_policy": {"face_quality": {"checks": {"head_yaw": {"threshold": {"min": 2, "max": 1}}}}}},
    ],
)
def test_contradictory_policies(client: Client, policies: Any) -> None:
    body: dict[str, Any] = {"policies": policies}
    assert refused(client.post("/6/handlers", body, JSON)) == (400, 12027)
    dynamic = client.post("/6/handlers", {"handler_type": 1}, JSON).json()["url"]
    assert refused(client.post(f"{dynamic}/events", form("a", policies=policies))) == (400, 12027)
