"""Pages of a list with a million faces, first and last, without and with gaps of faces that left. By name only."""

from functools import partial
from uuid import UUID, uuid4

from django.db import connection

from apps.accounts.services import account_create
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.faces import selectors, services
from tests.perf.faces import milliseconds
from tests.perf.report import Row, percentile

FACES = 1_000_000
PAGE_SIZE = 100
REPETITIONS = 60
FILL = """
WITH made AS (
    INSERT INTO faces_face (account_id, face_id, external_id, user_data, avatar, create_time, last_update_time)
    SELECT %(account)s, gen_random_uuid(), '', '', '', now(), now() FROM generate_series(1, %(count)s)
    RETURNING id
), linked AS (
    INSERT INTO faces_listface (list_id, face_id, link_key, link_time)
    SELECT %(list)s, id, row_number() OVER (ORDER BY id), now() FROM made
)
UPDATE faces_list SET link_key = %(count)s WHERE id = %(list)s
"""


def bench() -> list[Row]:
    account_id = account_create(login=f"{uuid4().hex}@example.com", password="benchmark password").account_id
    row = services.list_create(account_id=account_id)
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"account": account_id, "list": row.pk, "count": FACES})
        cursor.execute("VACUUM ANALYZE faces_face, faces_listface")
    rows = [pages(account_id, row.list_id, FACES, "no face has left")]
    newest = Page(1, PAGE_SIZE)
    gone = selectors.faces_page(scope=Scope(account_id), filters={"list_id": row.list_id}, page=newest)[::7]
    services.list_detach_faces(account_id=account_id, list_id=row.list_id, face_ids=[face.face_id for face in gone])
    rows.append(pages(account_id, row.list_id, FACES - len(gone), "some have left"))
    return rows


def pages(account_id: UUID, list_id: UUID, count: int, state: str) -> Row:
    """p50 of the last page in milliseconds, against the first."""
    last = -(-count // PAGE_SIZE)
    ask = partial(selectors.faces_page, scope=Scope(account_id), filters={"list_id": list_id})
    assert len(ask(page=Page(last, PAGE_SIZE))) == count - (last - 1) * PAGE_SIZE
    assert ask(page=Page(last + 1, PAGE_SIZE)) == []
    first_ms, last_ms = [], []
    for _ in range(REPETITIONS):
        first_ms.append(milliseconds(partial(ask, page=Page(1, PAGE_SIZE))))
        last_ms.append(milliseconds(partial(ask, page=Page(last, PAGE_SIZE))))
    first, end = percentile(first_ms, 50), percentile(last_ms, 50)
    return Row(f"last page of a list of {FACES:,}, {state}, p50", end, "ms", first, end / first, "<= 2 times the first")
