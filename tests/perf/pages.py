"""Server time of every page of the admin site and the workbench, with many faces and events.

`LUNA_BENCH_EVENTS=1000000 LUNA_BENCH_FACES=100000 python -m tests.perf pages`. The CPU time is that of this process
without the database, whose time is that of its statements. The rows of one account: faces in one
list with descriptors, events of a year, those of the last week with descriptors, a stored sample and a line of the
audit log for each event, groups of unknown people. Django's test client requests each page without a server.
"""

import os
import re
import resource
import statistics
import time
from collections.abc import Mapping
from html import unescape
from pathlib import Path

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.adminbase.walks import FURTHER_S
from apps.accounts.models import Account
from apps.accounts.services import account_create
from apps.common.descriptors import versions
from apps.events.admin import EventAdmin
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
FURTHER_MS = FURTHER_S * 1e3 + GOAL_MS  # of "Search on", for which somebody waits
LARGE = ("faces", "events", "auditrecords", "storedobjects")
FURTHER = "events, search on"
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
    addresses = pages(site)
    for name, address in (addresses | searches(client, addresses)).items():
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
            Row(f"page {name}", ms, "ms", goal=f"<= {FURTHER_MS if name == FURTHER else GOAL_MS:.0f} ms"),
            Row(f"  its CPU; {len(captured)} queries of {spent_ms:.0f} ms", statistics.median(cpu_s) * 1e3, "ms"),
        ]
        if ms > GOAL_MS / 3:
            slow += [f"## {name}: {address}", *(f"{each['time']} s {str(each['sql'])[:2000]}" for each in captured)]
    SLOW.write_text("\n".join(slow))
    return rows


def searches(client: Client, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return lists with a text that no row has, such as only a read of the whole table can tell, and others."""
    found = {f"{name}, nothing found": f"{addresses[name]}?q=no+such+text" for name in LARGE}
    nothing = found["events, nothing found"]
    further = re.search(r'<a href="([^"]+)"[^>]* rel="next"', client.get(nothing).content.decode())
    assert further, "an unfinished search"
    time_column = EventAdmin.list_display.index("create_time")
    return {
        **found,
        FURTHER: addresses["events"] + unescape(further[1]),
        "events, a whole text": f"{addresses['events']}?q=%22person+77%22",
        "events, oldest first": f"{addresses['events']}?o={time_column}",
        "events, an estimation": f"{addresses['events']}?mask__exact=2&liveness__exact=1",
        "events, a source": f"{addresses['events']}?source__icontains=camera+7",
    }


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
