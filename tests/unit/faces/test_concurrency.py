"""Many writers on the same faces and lists: keys without gaps, right counts, no deadlock."""

import random
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import connection

from apps.accounts.services import account_create
from apps.common.errors import LunaError
from apps.faces import services
from apps.faces.models import Face, List, ListFace, ListUnlink
from apps.faces.types import FaceDraft
from tests.unit.faces.helpers import attribute_data

THREADS, EACH = 16, 12  # tests/api/faces/test_crowd.py does it by the thousand, over HTTP
NOT_THERE = {22002, 22003, 22004, 22005}  # another thread was faster


@pytest.fixture
def account(transactional_db: None) -> UUID:
    return account_create(login="crowd@example.com", password="a-password").account_id


def act(account: UUID, lists: list[UUID], chance: random.Random) -> None:
    """Creates, links, unlinks or deletes, on lists and faces of everybody and in no order."""
    some_lists = chance.sample(lists, chance.randint(1, len(lists)))
    known = Face.objects.for_account(account).order_by("?").values_list("face_id", flat=True)
    match chance.randrange(5):
        case 0 | 1:
            services.face_create(account_id=account, draft=FaceDraft(lists=some_lists))
        case 2:
            services.list_attach_faces(account_id=account, list_id=some_lists[0], face_ids=list(known[:5]))
        case 3:
            services.list_detach_faces(account_id=account, list_id=some_lists[0], face_ids=list(known[:5]))
        case 4:
            services.faces_delete(account_id=account, face_ids=list(known[:3]))


def client(account: UUID, lists: list[UUID], seed: int, each: int) -> tuple[int, list[Exception]]:
    """`each` actions of one client; returns how many were done, and the errors that no client should see."""
    chance = random.Random(seed)
    done, errors = 0, list[Exception]()
    try:
        for _ in range(each):
            try:
                act(account, lists, chance)
                done += 1
            except LunaError as error:
                if error.code not in NOT_THERE:
                    errors.append(error)
            except Exception as error:
                errors.append(error)
    finally:
        connection.close()
    return done, errors


def check(account: UUID, lists: list[UUID]) -> None:
    for row in List.objects.for_account(account):
        linked = ListFace.objects.filter(list=row).values_list("link_key", flat=True)
        log = ListUnlink.objects.filter(list=row).order_by("unlink_key").values_list("link_key", "unlink_key")
        assert sorted([*linked, *(link for link, _ in log)]) == list(range(1, row.link_key + 1))
        assert [unlink for _, unlink in log] == list(range(1, row.unlink_key + 1))
        assert len(linked) == row.link_key - row.unlink_key
    assert List.objects.for_account(account).count() == len(lists)


def test_links_of_sixteen_clients_have_no_gaps(account: UUID) -> None:
    lists = [services.list_create(account_id=account).list_id for _ in range(4)]
    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(lambda seed: client(account, lists, seed, EACH), range(THREADS)))
    assert [error for _, errors in outcomes for error in errors] == []
    assert sum(done for done, _ in outcomes) > THREADS * EACH // 3
    check(account, lists)


def test_lists_go_with_their_faces_while_others_link_them(account: UUID) -> None:
    lists = [services.list_create(account_id=account).list_id for _ in range(8)]
    for n in range(40):
        services.face_create(account_id=account, draft=FaceDraft(lists=[lists[n % 8], lists[n * 5 % 8]]))

    def delete(list_id: UUID) -> Exception | None:
        try:
            services.list_delete(account_id=account, list_id=list_id, with_faces=True)
        except Exception as error:
            return error
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        linking = [pool.submit(client, account, lists, seed, 10) for seed in range(8)]
        deleted = list(pool.map(delete, lists[:4]))
        assert [error for future in linking for error in future.result()[1]] == []
    assert deleted == [None] * 4
    check(account, lists[4:])


def test_one_attribute_makes_one_face_for_many_clients(account: UUID) -> None:
    attribute_id = uuid4()

    def create(_: int) -> int:
        try:
            services.face_create(
                account_id=account, draft=FaceDraft(attribute=attribute_data(), attribute_id=attribute_id)
            )
        except LunaError as error:
            return error.code
        finally:
            connection.close()
        return 0

    with ThreadPoolExecutor(THREADS) as pool:
        codes = sorted(pool.map(create, range(THREADS)))
    assert codes == [0] + [22001] * (THREADS - 1)
    assert Face.objects.for_account(account).count() == 1
