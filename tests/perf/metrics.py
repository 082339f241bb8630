"""CPU time per look-up of a web process that counts requests for metrics, beside one that does not."""

import asyncio
import base64
from uuid import uuid4

from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.faces.services import face_create
from apps.faces.types import FaceDraft
from tests.perf.events import PASSWORD, serve
from tests.perf.lookups import _cpu_s, _measured
from tests.perf.report import Row

SLICES, SLICE_S = 20, 0.5


def bench() -> list[Row]:
    """Slices of both processes alternate."""
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    face = face_create(account_id=account.account_id, draft=FaceDraft(user_data="bench"))
    credentials = base64.b64encode(f"{account.login}:{PASSWORD}".encode()).decode()
    path = f"/6/faces/{face.face_id}"
    served = [serve({"LUNA_SERVICE_METRICS_ENABLED": each}) for each in ("true", "false")]
    cpu_s, requests = [0.0, 0.0], [0, 0]
    try:
        for _, origin in served:
            asyncio.run(_measured(origin, path, credentials, 2.0))  # warms up
        for _ in range(SLICES):
            for index, (process, origin) in enumerate(served):
                before_s = _cpu_s(process.pid)
                requests[index] += len(asyncio.run(_measured(origin, path, credentials, SLICE_S)))
                cpu_s[index] += _cpu_s(process.pid) - before_s
    finally:
        for process, _ in served:
            process.terminate()
            process.wait(30)
        account_delete(account=account)
        connections.close_all()
    counted, alone = (spent / number * 1e3 for spent, number in zip(cpu_s, requests, strict=True))
    return [Row("GET /6/faces/{id} with metrics, CPU of the web process", counted, "ms", alone, counted / alone)]
