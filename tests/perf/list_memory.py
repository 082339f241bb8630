"""Memory of a list in four web processes: run by name.

`LUNA_BENCH_FACES` (100,000) 512-d faces. Four web processes serve requests with the list in memory, then four others
without. The proportional set size (PSS) of all counts shared pages once, also those of mapped segments. The load time
is that of mapping all segments in a new process, checksums included.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.common.descriptors import base64_encode
from apps.matching.segments.builder import Builder
from apps.matching.segments.files import segments_root
from tests.perf.events import PASSWORD, ROOT, serve
from tests.perf.filling import REGISTER, version_register
from tests.perf.matcher import filled
from tests.perf.report import Row, percentile
from tests.perf.web import Client

FACES = int(os.environ.get("LUNA_BENCH_FACES", "100000"))
DIMENSION = 512
PROCESSES = 4
REQUESTS = 10  # of each process: a search reads all codes
LOADS = 3
MILLION = 1_000_000
LOAD = """
{}
import time
from apps.matching.segments.copies import Copies
from apps.matching.segments.files import segments_root
started = time.perf_counter()
copies = Copies(segments_root())
copies.refresh()
assert len(copies.all()) == 1
print(time.perf_counter() - started)
"""


def bench() -> list[Row]:
    version = version_register(DIMENSION)
    account = account_create(login=f"{uuid4().hex}@luna.test", password=PASSWORD)
    try:
        each = filled(account.account_id, version, FACES)
        Builder(segments_root()).step()
        headers = {"Authorization": f"Basic {base64_encode(f'{account.login}:{PASSWORD}'.encode())}"}
        bodies = each.bodies(version)
        size = sum(path.stat().st_size for path in segments_root().glob("*/*.segment")) / 1e9
        loads_s = [load_s() for _ in range(LOADS)]
        with_list = memory(headers, bodies, {})
        without = memory(headers, bodies, {"LUNA_DESCRIPTORS_CACHE_CACHE_ENABLED": "0"})
    finally:
        account_delete(account=account)
        Builder(segments_root()).step()
        connections.close_all()
    goals = ("<= 1.2 GB", "<= 2") if FACES == MILLION else ("", "")
    (pss, rss), (other_pss, other_rss) = with_list, without
    more = (pss - other_pss) / 1e9
    title = f"{PROCESSES} web processes, list of {FACES:,} × {DIMENSION}"
    return [
        Row(f"{title}: PSS of all", pss / 1e9, "GB", other_pss / 1e9, pss / other_pss),
        Row("… memory of the list in all, beside its segments", more, "GB", size, more / size, goals[0]),
        Row("… RSS of one process, shared pages included", rss / 1e9, "GB", other_rss / 1e9, rss / other_rss),
        Row("… loaded from segments", percentile(loads_s, 50), "s", goal=goals[1]),
    ]


def memory(headers: dict[str, str], bodies: list[bytes], environment: dict[str, str]) -> tuple[int, float]:
    """Return the PSS of all processes and the mean RSS, in bytes, after requests."""
    with ExitStack() as stack:
        pids = []
        for _ in range(PROCESSES):
            process, origin = serve(environment, REGISTER.format(DIMENSION))
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            client = Client(origin, headers)
            for body in bodies[:REQUESTS]:
                client.ask("POST", "/6/matcher/faces", body)
            pids.append(process.pid)
        sizes = [_sizes(pid) for pid in pids]
    return sum(pss for pss, _ in sizes), sum(rss for _, rss in sizes) / PROCESSES


def _sizes(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(value.split()[0]) * 1024 for name, value in (line.split(":") for line in lines)}
    return sizes["Pss"], sizes["Rss"]


def load_s() -> float:
    code = LOAD.format(REGISTER.format(DIMENSION))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
