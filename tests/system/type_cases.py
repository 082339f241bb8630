"""Tasks of all types on a running platform: their accounts, contents, and what they must leave."""

import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from luna.embedded.addresses import CHECKOUT
from tests.api.handlers.helpers import astronaut
from tests.file_servers import PASSWORD, USER, ftp_server
from tests.system.helpers import Platform, wait_healthy
from tests.system.task_worlds import PERSONS, vectors

COUNT = 40  # faces or events
FILES = 8
ANSWER_S = 0.05  # of the receiver, so that processes can be killed while callbacks wait
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNFINISHED, DONE = (0, 1, 4), 5
OLD = [number for number in range(COUNT) if number % 2]


class Agent:
    """The process of `task_worlds`."""

    def __init__(self, platform: Platform) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.task_worlds"],
            env=platform.environment,
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, name: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, given]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "found" in answer, answer
        return answer["found"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Receiver(ThreadingHTTPServer):
    """A receiver of callbacks: the ids of the callbacks of each change."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverRequest)
        self.changes: dict[tuple[int, int | None, int], set[str]] = {}


class ReceiverRequest(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        subtask_id = body.get("subtask_id")
        status = body["task_status" if subtask_id is None else "subtask_status"]
        key = (body["task_id"], subtask_id, status)
        self.server.changes.setdefault(key, set()).add(self.headers["webhook-id"])
        time.sleep(ANSWER_S)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


@dataclass(frozen=True)
class Bench:
    """What the tests share."""

    platform: Platform
    agent: Agent
    receiver: Receiver
    warp: str
    archive: bytes
    ftp_port: int


@dataclass
class Case:
    """A task of a type in an account of its own."""

    name: str
    world: dict[str, Any]
    client: httpx.Client
    content: dict[str, Any]
    task_id: int = 0

    @property
    def kind(self) -> str:
        return CASES[self.name][0]


@contextmanager
def opened(platform: Platform, files: Path) -> Iterator[Bench]:
    wait_healthy(platform)
    agent = Agent(platform)
    data = astronaut()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for number in range(FILES):
            name = f"{number}.txt" if number == 5 else f"{number}.jpg"
            (files / name).write_bytes(b"no picture" if number == 5 else data)
            packed.write(files / name, name)
    world = agent("seed")
    with client_of(platform, world) as client:
        handler = client.post("/6/handlers", json={"description": "warps", "policies": {}}).json()["handler_id"]
        answer = client.post(f"/6/handlers/{handler}/events", content=data, headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 201, answer.text
    warp = agent("warp", account_id=world["account_id"])
    with Receiver() as receiver, ftp_server(files) as port:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield Bench(platform, agent, receiver, warp, buffer.getvalue(), port)
        receiver.shutdown()
    agent.close()


def client_of(platform: Platform, world: dict[str, Any]) -> httpx.Client:
    return httpx.Client(base_url=platform.url, auth=(world["login"], world["password"]), timeout=60)


def prepare(bench: Bench, name: str) -> Case:
    """Make an account with what a type needs."""
    kind, objects, content = CASES[name]
    given: dict[str, Any] = {objects: COUNT} if objects else {}
    if kind == "additional_extract":
        given = {"faces": FILES, "warp": bench.warp}
    world = bench.agent("seed", **given)
    client = client_of(bench.platform, world)
    if kind == "reporter":
        answer = client.post("/6/tasks/clustering", json={"content": {"objects_type": "faces"}})
        world["clustering"] = answer.json()["task_id"]
        assert wait_for(bench, world["clustering"])["status"] == DONE
    return Case(name, world, client, content(bench, world, client))


def create(bench: Bench, case: Case) -> None:
    """Create the task."""
    url = f"http://127.0.0.1:{bench.receiver.server_port}/"
    hook = {"type": "http", "url": url, "params": {"timeout": 5}}  # a killed worker keeps a callback a little longer
    policy = {"task_callbacks": [hook], "subtask_callbacks": [hook]}
    if case.kind == "additional_extract":
        case.task_id = bench.agent("extract", account_id=case.world["account_id"], policy=policy)
        return
    answer = case.client.post(f"/6/tasks/{case.kind}", json={"content": case.content, "notification_policy": policy})
    assert answer.status_code == 202, answer.text
    case.task_id = answer.json()["task_id"]


def begin(bench: Bench, name: str) -> Case:
    case = prepare(bench, name)
    create(bench, case)
    return case


def wait_for(bench: Bench, task_id: int, within_s: float = 180) -> dict[str, Any]:
    """Wait for the end of a task."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found: dict[str, Any] = bench.agent("task", task_id=task_id)
        if found["status"] not in UNFINISHED:
            return found
        time.sleep(0.1)
    raise AssertionError(f"task {task_id} does not end: {found}")


def of_archive(bench: Bench, world: dict[str, Any], client: httpx.Client) -> dict[str, Any]:
    answer = client.post("/6/objects", content=bench.archive, headers={"Content-Type": "application/zip"})
    assert answer.status_code == 201, answer.text
    source = {"source_type": "zip", "reference": answer.json()["url"]}
    return {"source": source, "handler": {"policies": {"storage_policy": {"face_policy": {"store_face": 1}}}}}


def of_ftp(bench: Bench, world: dict[str, Any], client: httpx.Client) -> dict[str, Any]:
    body = {"description": "ftp", "policies": {"storage_policy": {"face_policy": {"store_face": 1}}}}
    handler_id = client.post("/6/handlers", json=body).json()["handler_id"]
    authorization = {"user": USER, "password": PASSWORD}
    source = {"source_type": "ftp", "host": "127.0.0.1", "port": bench.ftp_port, "authorization": authorization}
    return {"source": source, "handler": {"handler_id": handler_id}}


def of_roc(bench: Bench, world: dict[str, Any], client: httpx.Client) -> dict[str, Any]:
    markup = [{"face_id": each, "label": number % PERSONS} for number, each in enumerate(world["face_ids"])]
    return {"markup": markup, "key_FPRs": [0.01]}


def content(**values: Any) -> Callable[..., dict[str, Any]]:
    return lambda *_: values


COLUMNS = {"columns": ["user_data", "external_id"], "save_images": 1}
CROSS = {"reference_filters": [{"origin": "faces"}], "candidate_filters": [{"origin": "faces"}]}
CASES: dict[str, tuple[str, str, Callable[..., dict[str, Any]]]] = {
    "linker faces": ("linker", "faces", content(objects_type="faces", create_list=1)),
    "linker events": ("linker", "events", content(objects_type="events", create_list=1)),
    "gc faces": ("gc", "faces", content(target="faces", filters={"user_data": "old"}, remove_samples=1)),
    "gc events": ("gc", "events", content(target="events", filters={"user_data": "old"}, remove_samples=1)),
    "clustering": ("clustering", "faces", content(objects_type="faces")),
    "reporter": ("reporter", "faces", lambda _, world, __: {"task_id": world["clustering"], **COLUMNS}),
    "exporter faces": ("exporter", "faces", content(objects_type="faces", **COLUMNS)),
    "exporter events": ("exporter", "events", content(objects_type="events", **COLUMNS)),
    "cross_match": ("cross_match", "faces", content(filters=CROSS, limit=3)),
    "roc": ("roc", "faces", of_roc),
    "additional_extract": ("additional_extract", "", content()),
    "estimator zip": ("estimator", "", of_archive),
    "estimator ftp": ("estimator", "", of_ftp),
}


def result_of(case: Case, known: dict[str, str]) -> Any:
    """Return the result with names in place of ids."""
    if case.name == "additional_extract":
        return None
    answer = case.client.get(f"/6/tasks/{case.task_id}/result")
    assert answer.status_code == 200, answer.text

    def named(text: str) -> str:
        return UUIDS.sub(lambda found: known.get(found[0], "?"), text)

    if answer.headers["content-type"].startswith("application/zip"):
        found = {}
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            assert packed.testzip() is None
            assert len(packed.namelist()) == len(set(packed.namelist()))
            for name in packed.namelist():
                data = packed.read(name)
                found[named(name)] = named(data.decode()) if name.endswith("csv") else hashlib.sha256(data).hexdigest()
        return found
    body = answer.json()
    problems = sorted((each["error_code"], named(each["additional_info"])) for each in body["errors"])
    if case.name.startswith("estimator"):
        pictures = [(each["images"][0]["filename"], len(each["events"])) for each in body["result"]]
        return {"pictures": pictures, "errors": problems}
    return {"result": json.loads(named(json.dumps(body["result"]))), "errors": problems}


def check_expected(case: Case, state: dict[str, Any], result: Any) -> None:
    """Compare what a task leaves with what its type promises, computed from the seed alone."""
    faces = [f"f{number}" for number in range(COUNT)]
    everyone = [f"e{number}" for number in range(COUNT)]
    persons = [[f"f{number}" for number in range(one, COUNT, PERSONS)] for one in range(PERSONS)]
    if case.name == "linker faces":
        assert sorted(state["links"]) == sorted(faces)
        assert result["result"]["face_ids"] == faces
    elif case.name == "linker events":
        assert sorted(state["links"]) == sorted(everyone)
        assert [each[0] for each in state["faces"]] == [each[3] for each in state["faces"]]
        assert sorted(each[3] for each in state["faces"]) == sorted(everyone)
    elif case.name.startswith("gc"):
        left = [number for number in range(COUNT) if number % 2 == 0]
        letter, kind = ("f", "faces") if case.name == "gc faces" else ("e", "events")
        assert sorted(each[0] for each in state[kind]) == sorted(f"{letter}{number}" for number in left)
        assert [number for _, number in state["objects"]] == [len(left)]
        assert (result["result"]["removed"], result["result"]["samples"]) == (len(OLD), len(OLD))
        assert dict(state["deletions"])[kind[:-1]] == len(OLD)
        assert len(result["result"][f"{kind[:-1]}_ids"]) == len(OLD)
    elif case.name == "clustering":
        assert sorted(map(sorted, result["result"]["clusters"])) == sorted(map(sorted, persons))
    elif case.name in ("reporter", "exporter faces", "exporter events"):
        table = "report.csv" if case.name == "reporter" else "export.csv"
        rows = [*csv.DictReader(io.StringIO(result[table]))]
        expected = everyone if case.name == "exporter events" else faces
        assert sorted(each["external_id"] for each in rows) == sorted(expected)
        assert result.keys() - {table} == {f"images/{each}.png" for each in expected}
        if case.name == "reporter":
            groups: dict[str, list[str]] = {}
            for row in rows:
                groups.setdefault(row["cluster"], []).append(row["external_id"])
            assert sorted(map(sorted, groups.values())) == sorted(map(sorted, persons))
    elif case.name == "cross_match":
        points = vectors(COUNT, case.world["dimension"])
        near = points.astype(np.float64) @ points.T.astype(np.float64)
        assert [each["reference_id"] for each in result["result"]] == faces
        for number, each in enumerate(result["result"]):
            best = [f"f{one}" for one in np.argsort(-near[number])[:3]]
            assert [one["candidate_id"] for one in each["candidates"]] == best
    elif case.name == "roc":
        sizes = [len(each) for each in persons]
        positives = sum(size * (size - 1) // 2 for size in sizes)
        found = result["result"]
        assert (found["objects"], found["positive_pairs"], found["auc"]) == (COUNT, positives, 1.0)
        assert found["negative_pairs"] == COUNT * (COUNT - 1) // 2 - positives
    elif case.name == "additional_extract":
        assert len(state["descriptors"]) == FILES
        assert len({each[0] for each in state["descriptors"]}) == FILES
    else:
        pictures = [f"{number}.jpg" for number in range(FILES) if number != 5]
        assert [each[0] for each in result["pictures"]] == pictures
        assert len(state["events"]) == sum(each[1] for each in result["pictures"]) == len(pictures)
        assert len(state["faces"]) == len(pictures)
        assert len(state["errors"]) == 1
        assert [each[1] for each in result["errors"]] == ["5.txt"]
        assert state["handlers"] == 1
