"""Server time of every page of the admin site and the workbench, with many faces and events.

`LUNA_BENCH_EVENTS=1000000 LUNA_BENCH_FACES=100000 python -m tests.perf pages`. The CPU time is that of this process
without the database, whose time is that of its statements. The rows of one account: faces in one
list with descriptors, events of a year, those of the last week with descriptors, a stored sample and a line of the
audit log for each event, groups of unknown people. Django's test client requests each page without a server.
"""

import os
import resource
import statistics
import time
from pathlib import Path

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Account
from apps.accounts.services import account_create
from apps.common.descriptors import versions
from apps.people.rows import people_refresh
from tests.factories import PASSWORD, unit_vectors
from tests.perf import events_table
from tests.perf.filling import faces_fill, list_fill
from tests.perf.report import Row
from tests.site import PEOPLE, Site, make_site, pages

FACES = int(os.environ.get("LUNA_BENCH_FACES", "100000"))
GROUPS, OF_GROUP = 20_000, 10
REPEATS = 5
GOAL_MS = 300
SEARCH_GOAL = "<= 5 s, with a message after it"  # a part of a text is found by reading all rows
SLOW = Path(__file__).parent.parent.parent / "var" / "queries-of-pages.txt"
# The most similar faces of events are md5('f' || 0 … 9999), their samples md5('s' || number): `events_table`.
NAMES = """
UPDATE faces_face SET face_id = md5('f' || made.n)::uuid, user_data = 'person ' || made.n, external_id = 'E-' || made.n
FROM (SELECT unnest(%s::bigint[]) AS id, generate_series(0, 9999) AS n LIMIT 10000) made WHERE faces_face.id = made.id
"""
DESCRIPTORS = """
INSERT INTO events_eventdescriptor (event_id, version, vector)
SELECT id, %(version)s,
    l2_normalize((SELECT array_agg(random() - 0.5) FROM generate_series(1, %(dimension)s) WHERE id > 0)::vector)
FROM events_event WHERE create_time > now() - interval '7 days'
"""
SAMPLES = """
INSERT INTO imagestore_storedobject (account_id, bucket, object_id, content_type, size_bytes, sha256, meta, create_time)
SELECT account_id, 'visionlabs-samples', (face_detections->0->>'sample_id')::uuid, 'image/jpeg', 9000, md5(id::text),
    '{}', create_time
FROM events_event
"""
LINES = """
INSERT INTO accounts_auditrecord (time, account_id, action, object_type, object_id, object_account_id, request_id)
SELECT create_time, account_id, 'view', 'face_sample', event_id, account_id, id::text FROM events_event ORDER BY id
"""
GROUPS_OF = """
WITH made AS (
    INSERT INTO people_person (account_id, person_id, name, decided, event_count, create_time, last_update_time)
    SELECT %(account)s, gen_random_uuid(), '', false, 0, now(), now() FROM generate_series(1, %(groups)s) RETURNING id
), groups AS (SELECT id, row_number() OVER () AS place FROM made),
events AS (
    SELECT event_id, row_number() OVER () AS place FROM events_event WHERE account_id = %(account)s
    LIMIT %(groups)s * %(of_group)s
)
INSERT INTO people_personevent (person_id, event_id, decided)
SELECT groups.id, event_id, false FROM events JOIN groups ON groups.place = 1 + events.place / %(of_group)s
"""


def bench() -> list[Row]:
    """Milliseconds of each page, the median, with its CPU time in this process and its number of queries."""
    return measured(make_site(PEOPLE, "", owner=fill()))


def measured(site: Site) -> list[Row]:
    """Request each page of a site."""
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(site.admin)
    session = client.session
    session["workbench_account"] = str(site.owner.pk)
    session.save()
    rows, slow = [], []
    for name, address in pages(site).items():
        cache.clear()
        answer = client.get(address)
        assert answer.status_code == (404 if name == "missing" else 200), f"{name}: {answer.status_code}"
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
            captured = list(queries)  # later requests reset the log
        times_s, cpu_s = [], []
        for _ in range(REPEATS):
            before_s, started = _cpu_s(), time.perf_counter()
            client.get(address)
            times_s.append(time.perf_counter() - started)
            cpu_s.append(_cpu_s() - before_s)
        spent_ms = sum(float(each["time"]) for each in captured) * 1e3
        ms = statistics.median(times_s) * 1e3
        rows += [
            Row(f"page {name}", ms, "ms", goal=SEARCH_GOAL if name == "events-found" else f"<= {GOAL_MS} ms"),
            Row(f"  its CPU; {len(captured)} queries of {spent_ms:.0f} ms", statistics.median(cpu_s) * 1e3, "ms"),
        ]
        if ms > GOAL_MS / 3:
            slow += [f"## {name}: {address}", *(f"{each['time']} s {str(each['sql'])[:2000]}" for each in captured)]
    SLOW.write_text("\n".join(slow))
    return rows


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def fill() -> Account:
    """Return an account with many faces and events, and what comes with them."""
    owner, *others = (account_create(login=f"many{n}@luna.test", password=PASSWORD) for n in range(3))
    events_table.fill([*(each.pk for each in others), owner.pk])
    version = versions.default()
    keys = faces_fill(owner.pk, version.version, unit_vectors(FACES, version.dimension))
    list_fill(owner.pk, keys)
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [keys[:10_000]])
        cursor.execute(DESCRIPTORS, {"dimension": version.dimension, "version": version.version})
        cursor.execute(SAMPLES)
        cursor.execute(LINES)
        cursor.execute(GROUPS_OF, {"account": owner.pk, "groups": GROUPS, "of_group": OF_GROUP})
        cursor.execute("VACUUM ANALYZE")
    people_refresh(owner.pk)
    return owner
