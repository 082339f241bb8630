"""The Python client: its generated modules, and its requests, answers, errors and retries."""

import asyncio
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.document import plain
from tools.client import PACKAGE, modules

sys.path.insert(0, str(PACKAGE.parent))

from luna3.common.http_objs import BinaryImage
from luna3.lunavl.httpclient import LunaHttpClient
from luna3.python_matcher.match_objects import Candidates, FaceFilters, Reference
from luna_platform import ApiError, AsyncClient, Client, Content, Form

FACE = "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)
Answer = Callable[[httpx.Request], httpx.Response]


def test_the_generated_modules_are_current() -> None:
    """`python -m tools.client` writes them."""
    for name, text in modules(plain()).items():
        assert (PACKAGE / name).read_text() == text, name


def client(answer: Answer, **options: Any) -> Client:
    made = Client("http://luna.test", **options)
    made._http = httpx.Client(transport=httpx.MockTransport(answer), **arguments(made._http))
    return made


def arguments(http: httpx.Client | httpx.AsyncClient) -> dict[str, Any]:
    return {"base_url": http.base_url, "headers": http.headers, "auth": http.auth}


def test_parameters_and_json() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method == "GET"
        assert request.url.path == "/6/events"
        assert dict(request.url.params) == {"event_ids": f"{FACE},{FACE}", "page": "2", "meta.shop__eq": "7"}
        assert request.headers["Authorization"] == "Bearer secret"
        return httpx.Response(200, json={"events": []})

    with client(answer, token="secret") as luna:
        assert luna.get_events(event_ids=[FACE, FACE], page=2, params={"meta.shop__eq": 7}) == {"events": []}


def test_paths_are_quoted() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/6/faces/a%2F..%2Fb"
        return httpx.Response(204)

    with client(answer) as luna:
        assert luna.delete_face("a/../b") is None


def test_flags_are_numbers() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert dict(request.url.params) == {"estimate_mask": "1", "extract_exif": "0"}
        assert request.content == JPEG
        assert request.headers["Content-Type"] == "image/jpeg"
        return httpx.Response(201, json={"images": []})

    with client(answer) as luna:
        luna.post_detector(JPEG, estimate_mask=True, extract_exif=False)


def test_pictures_of_files_and_forms(tmp_path: Path) -> None:
    bodies: list[tuple[str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append((request.headers["Content-Type"], request.content))
        return httpx.Response(201, json={})

    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    with client(answer) as luna:
        luna.post_detector(picture)
        luna.post_detector(Content(b"x", "image/heic"))
        luna.post_detector(Form([picture, picture], {"face_bounding_boxes": [{"filename": "a.png"}]}))
    assert bodies[0] == ("image/png", picture.read_bytes())
    assert bodies[1] == ("image/heic", b"x")
    form = bodies[2][1]
    assert bodies[2][0].startswith("multipart/form-data; boundary=")
    assert b'filename="0-a.png"' in form
    assert b'filename="1-a.png"' in form
    assert b'[{"filename": "a.png"}]' in form


def test_errors_have_the_code_of_the_platform() -> None:
    body = {
        "error_code": 22002,
        "desc": "Object not found",
        "detail": "Face …",
        "link": "http://luna.test/docs/errors#22002",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json=body, headers={"Luna-Request-Id": "1,2"})

    with client(answer) as luna, pytest.raises(ApiError, match="22002 Object not found: Face …") as caught:
        luna.get_face(FACE)
    assert (caught.value.status, caught.value.error_code, caught.value.request_id) == (404, 22002, "1,2")


def test_errors_of_a_proxy_have_no_code() -> None:
    with client(lambda request: httpx.Response(502, text="<html>")) as luna, pytest.raises(ApiError) as caught:
        luna.get_face(FACE)
    assert (caught.value.status, caught.value.error_code) == (502, None)


def busy_first(times: int) -> Answer:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) <= times:
            return httpx.Response(
                503, headers={"Retry-After": "0"}, json={"error_code": 12038, "desc": "busy", "detail": ""}
            )
        return httpx.Response(200, json={"faces": []})

    return answer


def test_busy_platforms_are_asked_again() -> None:
    with client(busy_first(2)) as luna:
        assert luna.get_faces() == {"faces": []}
    with client(busy_first(1), retries=0) as luna, pytest.raises(ApiError, match="busy"):
        luna.get_faces()


def test_the_asynchronous_client() -> None:
    async def run() -> Any:
        made = AsyncClient("http://luna.test", login="me", password="p")
        made._http = httpx.AsyncClient(transport=httpx.MockTransport(busy_first(1)), **arguments(made._http))
        async with made as luna:
            return await luna.get_faces()

    assert asyncio.run(run()) == {"faces": []}


def test_large_answers_are_written_into_a_file() -> None:
    file = io.BytesIO()
    with client(lambda request: httpx.Response(200, content=bytes(10**6))) as luna:
        luna.download("/6/objects/1", file)
    assert len(file.getvalue()) == 10**6


def test_programs_for_luna3(tmp_path: Path) -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        match request.url.path:
            case "/6/samples/faces":
                return httpx.Response(201, json={"sample_id": "s"})
            case "/6/extractor":
                return httpx.Response(201, json=[{"attribute_id": "a"}])
            case "/6/faces":
                return httpx.Response(201, json={"face_id": FACE})
        return httpx.Response(400, json={"error_code": 12012, "desc": "Bad", "detail": "…", "link": ""})

    (tmp_path / "image.jpg").write_bytes(JPEG)
    old = LunaHttpClient(accountId=FACE, origin="http://luna.test")
    old.client = client(answer)
    sample = old.saveSample(image=BinaryImage(str(tmp_path / "image.jpg")), raiseError=True).json["sample_id"]
    attribute = old.extractAttrFromSample(sampleIds=[sample], raiseError=True).json[0]["attribute_id"]
    face = old.createFace(attributeId=attribute, raiseError=True).json["face_id"]
    candidates = Candidates(FaceFilters(faceIds=[face]), limit=3, threshold=0.5)
    response = old.matchFaces(candidates=[candidates], references=[Reference("face", face)])
    assert (response.statusCode, response.success, response.json["error_code"]) == (400, False, 12012)
    with pytest.raises(ApiError):
        old.matchFaces(candidates=[candidates], references=[Reference("face", face)], raiseError=True)
    assert paths == ["/6/samples/faces", "/6/extractor", "/6/faces", "/6/matcher/faces", "/6/matcher/faces"]
