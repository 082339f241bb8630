"""`kill -9` of every process during event generation: acknowledged events are stored once, with their callbacks."""

import itertools
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs
from tests.system.helpers import Platform, pids, wait_healthy

EVENTS = int(os.environ.get("LUNA_KILL_EVENTS", "200"))  # 2,000 for a long run
CONCURRENCY = 8
KILLED = ("web-1", "redis", "worker", "beat", "postgres")
LONGEST_S = 120


@dataclass
class Tally:
    """What the clients were told."""

    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def account(platform: Platform) -> Iterator[httpx.Client]:
    login, password = f"{uuid.uuid4()}@luna.test", "kill-it-with-nine"
    body = {"login": login, "password": password, "account_type": "user"}
    with httpx.Client(base_url=platform.url, auth=(login, password), timeout=60) as client:
        assert client.post("/6/accounts", json=body).status_code == 201
        yield client


class Receiver(ThreadingHTTPServer):
    """A receiver of callbacks: the ids of its callbacks by event. It fails each tenth request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverRequest)
        self.callbacks: dict[str, set[str]] = {}
        self.requests = itertools.count(1)


class ReceiverRequest(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fails = next(self.server.requests) % 10 == 0
        if not fails:
            self.server.callbacks.setdefault(body["event"]["event_id"], set()).add(self.headers["webhook-id"])
        self.send_response(503 if fails else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Listener(threading.Thread):
    """A websocket that continues after the last event that it received, however often it is interrupted."""

    def __init__(self, platform: Platform, client: httpx.Client) -> None:
        super().__init__(daemon=True)
        self.received: list[str] = []
        self.done = threading.Event()
        self.opened = 0
        self._url = f"{platform.url.replace('http', 'ws', 1)}/6/ws"
        assert client.auth is not None
        request = next(client.auth.sync_auth_flow(client.build_request("GET", "/")))
        self._headers = {"Authorization": request.headers["Authorization"]}

    def run(self) -> None:
        while not self.done.is_set():
            query = f"?last_event_id={self.received[-1]}" if self.received else ""
            try:
                with connect(self._url + query, additional_headers=self._headers, proxy=None) as socket:
                    self.opened += 1
                    while not self.done.is_set():
                        with suppress(TimeoutError):
                            self.received.append(orjson.loads(socket.recv(timeout=1))["event"]["event_id"])
            except (WebSocketException, OSError):
                time.sleep(0.2)

    def wait_for(self, event_ids: set[str], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while event_ids - set(self.received) and time.monotonic() < deadline:
            time.sleep(0.1)


def make_handler(client: httpx.Client, callback_port: int, *, wait_saving: int = 1) -> tuple[str, str]:
    list_id = client.post("/6/lists", json={"user_data": "seen"}).json()["list_id"]
    storage = {
        "event_policy": {"wait_saving": wait_saving},
        "face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]},
        "callbacks": [{"type": "http", "url": f"http://127.0.0.1:{callback_port}", "params": {"timeout": 5}}],
    }
    body = {"description": "kill", "policies": {"storage_policy": storage}}
    answer = client.post("/6/handlers", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["handler_id"], list_id


def generate(client: httpx.Client, handler_id: str, photograph: bytes, track_id: str, tally: Tally) -> None:
    """One request, never repeated: a client that was not answered does not know, one that was answered does."""
    try:
        answer = client.post(
            f"/6/handlers/{handler_id}/events",
            params={"track_id": track_id},
            content=photograph,
            headers={"Content-Type": "image/jpeg"},
        )
    except httpx.TransportError:
        answer = None
    with tally.lock:
        if answer is not None and answer.status_code == 201:
            tally.acknowledged += answer.json()["events"]
        else:
            tally.failed += 1
    if answer is None or answer.status_code != 201:
        time.sleep(0.3)


def kill_in_turn(platform: Platform, done: threading.Event, killed: list[str]) -> None:
    for name in itertools.cycle(KILLED):
        if done.wait(4):
            return
        pid = pids(platform).get(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            killed.append(name)
            wait_healthy(platform, 120)


@pytest.mark.slow
def test_acknowledged_events_survive_kills(platform: Platform, account: httpx.Client, receiver: Receiver) -> None:
    handler_id, list_id = make_handler(account, receiver.server_port)
    queueing, queueing_list_id = make_handler(account, receiver.server_port, wait_saving=0)
    photograph = sample_photographs(config(Directories).cache)[0].read_bytes()
    listener = Listener(platform, account)
    listener.start()
    while not listener.opened:
        time.sleep(0.05)
    tally, queued, done = Tally(), Tally(), threading.Event()
    killed: list[str] = []
    killer = threading.Thread(target=kill_in_turn, args=(platform, done, killed))
    killer.start()
    tracks: list[str] = []
    end = time.monotonic() + LONGEST_S

    def clients_work() -> None:
        """However fast the machine is, every process is killed among the requests."""
        while len(tally.acknowledged) + len(queued.acknowledged) < EVENTS or (
            not set(KILLED) <= set(killed) and time.monotonic() < end
        ):
            track = str(uuid.uuid4())
            tracks.append(track)
            if len(tracks) % 4:
                generate(account, handler_id, photograph, track, tally)
            else:
                generate(account, queueing, photograph, track, queued)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for working in [pool.submit(clients_work) for _ in range(CONCURRENCY)]:
            working.result()
    done.set()
    killer.join()
    wait_healthy(platform)

    print(f"{len(tally.acknowledged)} events acknowledged, {tally.failed} requests failed, killed {killed}")
    assert set(KILLED) <= set(killed)
    assert tally.acknowledged
    assert queued.acknowledged
    wait_stored(account, [event["event_id"] for event in queued.acknowledged])
    for event in tally.acknowledged:
        check_event(account, event, list_id)
    for event in queued.acknowledged:
        check_event(account, event, queueing_list_id)
    check_nothing_twice(account, tracks)
    acknowledged = {event["event_id"] for event in (*tally.acknowledged, *queued.acknowledged)}
    check_callbacks(receiver, acknowledged)
    listener.wait_for(acknowledged, 30)
    listener.done.set()
    listener.join(10)
    repeated = len(listener.received) - len(set(listener.received))
    print(f"{len(listener.received)} notifications by {listener.opened} websockets, {repeated} repeated")
    assert acknowledged <= set(listener.received)


def wait_stored(client: httpx.Client, event_ids: list[str]) -> None:
    """Events without `wait_saving` of a killed process are stored by another one within a minute."""
    deadline = time.monotonic() + 90
    for event_id in event_ids:
        while client.get(f"/6/events/{event_id}").status_code == 404 and time.monotonic() < deadline:
            time.sleep(0.2)


def check_event(client: httpx.Client, event: dict[str, Any], list_id: str) -> None:
    stored = client.get(f"/6/events/{event['event_id']}")
    assert stored.status_code == 200, event["event_id"]
    face = client.get(f"/6/faces/{event['face']['face_id']}", params={"targets": "face_id,lists,event_id"})
    assert face.json() == {"face_id": event["face"]["face_id"], "lists": [list_id], "event_id": event["event_id"]}
    sample_id = stored.json()["face_detections"][0]["sample_id"]
    sample = client.get(f"/6/samples/faces/{sample_id}")
    assert sample.status_code == 200
    assert sample.content.startswith(b"\xff\xd8")


def check_nothing_twice(client: httpx.Client, tracks: list[str]) -> None:
    """One photograph, one track id, one face in it a request: no track may have more events than faces."""
    events, faces = [], set()
    for page in itertools.count(1):
        found = client.get("/6/events", params={"page": page, "page_size": 100}).json()["events"]
        if not found:
            break
        events += found
    faces = {event["face_id"] for event in events}
    assert len(faces) == len(events), "two events share a face"
    assert {event["track_id"] for event in events} <= set(tracks)
    per_track = {track: sum(event["track_id"] == track for event in events) for track in tracks}
    assert len(set(per_track.values()) - {0}) == 1, "a request was stored in part or twice"


def check_callbacks(receiver: Receiver, event_ids: set[str]) -> None:
    """Each event has arrived, under one id. Leases of a killed worker end after 20 s."""
    deadline = time.monotonic() + 60
    while event_ids - set(receiver.callbacks) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert event_ids <= set(receiver.callbacks)
    assert {len(ids) for ids in receiver.callbacks.values()} == {1}


@pytest.mark.slow
def test_up_brings_everything_back_after_the_supervisor_was_killed(platform: Platform, account: httpx.Client) -> None:
    list_id = account.post("/6/lists", json={"user_data": "stays"}).json()["list_id"]
    for pid in pids(platform).values():
        os.kill(pid, signal.SIGKILL)
    up = platform.command("up")
    assert up.returncode == 0, up.stderr
    wait_healthy(platform)
    assert account.get(f"/6/lists/{list_id}").json()["user_data"] == "stays"
