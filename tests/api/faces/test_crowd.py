"""Sixteen clients create, link, unlink and delete the same faces and lists, over HTTP, all at the same time."""

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from apps.accounts.models import Account
from apps.faces.models import Face, List, ListDeletion, ListFace, ListUnlink
from tests.factories import make_account
from tests.platform import Caller, platform

CLIENTS = 16
ACTIONS = int(os.environ.get("LUNA_CROWD_ACTIONS", "2000"))
NOT_THERE = {22002, 22003, 22004, 22005}  # another thread was faster
FACES, LISTS = 300, 8  # about as many are kept, so that clients meet


@dataclass
class Known:
    """Ids of created objects; other threads may have deleted them."""

    faces: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[Any] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def some(self, ids: list[str], most: int, chance: random.Random) -> list[str]:
        with self.turn:
            return chance.sample(ids, min(len(ids), chance.randint(1, most)))

    def add(self, ids: list[str], new: str) -> None:
        with self.turn:
            ids.append(new)

    def drop(self, ids: list[str], gone: list[str]) -> None:
        with self.turn:
            ids[:] = [each for each in ids if each not in gone]


def request(known: Known, chance: random.Random) -> tuple[str, str, str, Any]:
    """What one client does next: its name, method, path and body."""
    faces, lists = known.some(known.faces, 5, chance), known.some(known.lists, 3, chance)
    if len(known.lists) < LISTS // 2 or not lists:
        return "create list", "POST", "/6/lists", {"user_data": "crowd"}
    if len(known.faces) < FACES // 3 or not faces:
        return "create face", "POST", "/6/faces", {"lists": lists}
    links = f"/6/lists/{lists[0]}/faces"
    drawn = chance.choices(
        ("create face", "link", "unlink", "delete face", "delete faces", "create list", "delete list", "delete lists"),
        (30, 25, 20, 9, 3, 8, 4, 1),
    )[0]
    with_faces = f"with_faces={chance.randint(0, 1)}"
    match drawn:
        case "create face":
            return drawn, "POST", "/6/faces", {"lists": lists}
        case "link":
            return drawn, "PATCH", links, {"action": "attach", "face_ids": faces}
        case "unlink":
            return drawn, "PATCH", links, {"action": "detach", "face_ids": faces}
        case "delete face":
            return drawn, "DELETE", f"/6/faces/{faces[0]}", None
        case "delete faces":
            return drawn, "DELETE", "/6/faces", {"face_ids": faces}
        case "create list":
            return drawn, "POST", "/6/lists", {"user_data": "crowd"}
        case "delete list":
            return f"{drawn} {with_faces}", "DELETE", f"/6/lists/{lists[0]}?{with_faces}", None
        case _:
            return f"{drawn} {with_faces}", "DELETE", f"/6/lists?{with_faces}", {"list_ids": lists}


def act(caller: Caller, known: Known, chance: random.Random) -> None:
    name, method, path, body = request(known, chance)
    status, answer = caller.ask(method, path, body)
    with known.turn:
        known.outcomes[name, "done" if status < 300 else "not there"] += 1
    if status >= 300:
        if answer.get("error_code") not in NOT_THERE or status >= 500:
            known.errors.append((name, status, answer))
        known.drop(known.faces, [face for face in known.faces if face in answer.get("detail", "")])
        return
    if name == "create face":
        known.add(known.faces, answer["face_id"])
    elif name == "create list":
        known.add(known.lists, answer["list_id"])
    elif name.startswith("delete face"):
        known.drop(known.faces, body["face_ids"] if body else [path.rpartition("/")[2]])
    elif name.startswith("delete list"):
        known.drop(known.lists, body["list_ids"] if body else [path.rpartition("/")[2].partition("?")[0]])


def check(account: Account) -> None:
    """Check that the keys of every list have no gaps and agree with its counts."""
    for row in List.objects.for_account(account.pk):
        linked = ListFace.objects.filter(list=row).values_list("link_key", flat=True)
        log = list(ListUnlink.objects.filter(list=row).order_by("unlink_key").values_list("link_key", "unlink_key"))
        assert sorted([*linked, *(link for link, _ in log)]) == list(range(1, row.link_key + 1))
        assert [unlink for _, unlink in log] == list(range(1, row.unlink_key + 1))
        assert len(linked) == row.link_key - row.unlink_key


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_sixteen_clients_at_once(transactional_db: None) -> None:
    account, known = make_account(), Known()
    started = time.monotonic()

    def client(port: int, seed: int) -> None:
        caller, chance = Caller(port, account.login), random.Random(seed)
        for _ in range(ACTIONS // CLIENTS):
            act(caller, known, chance)

    with platform(threads=CLIENTS) as port:
        threads = [threading.Thread(target=client, args=(port, seed)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - started
        caller = Caller(port, account.login)
        for row in List.objects.for_account(account.pk):
            _, answer = caller.ask("GET", f"/6/faces/count?list_id={row.list_id}")
            assert answer == {"faces_count": row.link_key - row.unlink_key}
    done = Counter({name: count for (name, outcome), count in known.outcomes.items() if outcome == "done"})
    print(f"{sum(known.outcomes.values())} requests in {took_s:.1f} s, done: {dict(sorted(done.items()))}")
    assert known.errors == []
    assert sum(known.outcomes.values()) == ACTIONS // CLIENTS * CLIENTS
    assert sum(done.values()) > ACTIONS // 2
    for name in ("create face", "link", "unlink", "delete face", "delete faces", "create list"):
        assert done[name], done
    assert min(done["delete list with_faces=0"], done["delete list with_faces=1"]) > 0, done
    check(account)
    deletions = ListDeletion.objects.for_account(account.pk).count()
    assert deletions == done["create list"] - List.objects.for_account(account.pk).count()
    assert Face.objects.for_account(account.pk).count() < done["create face"]
