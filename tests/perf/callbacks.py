"""What callbacks cost: in the transaction of their event, and until a webhook on loopback has them."""

import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from uuid import UUID, uuid4

import orjson
from django.db import connection, connections, transaction

from apps.accounts.services import account_create, account_delete
from apps.common.config import OutgoingRequests, override_config
from apps.common.times import utc_now
from apps.events.services import events_create
from apps.events.types import EventDraft, EventRecord
from apps.sender.delivery.deliverer import Deliverer
from apps.sender.models import Callback
from apps.sender.outbox import NewCallback, callbacks_create
from apps.sender.targets import Webhook
from tests.perf.report import Row, percentile

TRANSACTIONS = 300
WARM_UP = 30
SINGLE = 100
BURST = 2000
PAYLOAD = orjson.dumps({"event": {"event_id": str(uuid4()), "user_data": "x" * 3000}}).decode()


class Receiver(BaseHTTPRequestHandler):
    arrived: dict[str, float]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.arrived[self.headers["webhook-id"]] = time.perf_counter()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


def _cpu_ms(backend: int) -> float:
    """CPU time of this thread and of its database process so far."""
    nanoseconds = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0])
    return time.thread_time() * 1000 + nanoseconds / 1e6


def _transaction(account_id: UUID, callbacks: int, backend: int) -> tuple[float, float]:
    """One event, and its callbacks of 3 KB: milliseconds of the clock, and of CPU."""
    target = Webhook(url="http://192.0.2.1/")
    began, cpu_ms = time.perf_counter(), _cpu_ms(backend)
    with transaction.atomic():
        events_create(account_id=account_id, records=[EventRecord(EventDraft(create_time=utc_now()), [])])
        new = [NewCallback(target=target, payload=PAYLOAD) for _ in range(callbacks)]
        callbacks_create(account_id=account_id, callbacks=new)
    return (time.perf_counter() - began) * 1000, _cpu_ms(backend) - cpu_ms


def _costs_ms(account_id: UUID) -> dict[int, tuple[float, float]]:
    """Medians of the clock and of CPU of a transaction with 0, 1 and 4 callbacks, measured in turn."""
    times: dict[int, list[tuple[float, float]]] = {0: [], 1: [], 4: []}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone() or (0,)
    for _ in range(WARM_UP + TRANSACTIONS):
        for callbacks, found in times.items():
            found.append(_transaction(account_id, callbacks, backend))
    return {
        callbacks: (
            percentile([clock for clock, _ in found[WARM_UP:]], 50),
            percentile([cpu for _, cpu in found[WARM_UP:]], 50),
        )
        for callbacks, found in times.items()
    }


def _deliveries(account_id: UUID) -> tuple[list[float], float]:
    """Milliseconds from the commit to the receiver of single callbacks, and callbacks per second of a burst."""
    arrived: dict[str, float] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("R", (Receiver,), {"arrived": arrived}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = Webhook(url=f"http://127.0.0.1:{server.server_port}/")
    worker = Deliverer()
    delays_ms = []
    try:
        time.sleep(1)  # the worker listens for wake-ups
        for _ in range(SINGLE):
            new = NewCallback(target=target, payload=PAYLOAD)
            callbacks_create(account_id=account_id, callbacks=[new])
            committed = time.perf_counter()
            while str(new.callback_id) not in arrived:
                time.sleep(0.0005)
            delays_ms.append((arrived[str(new.callback_id)] - committed) * 1000)
            time.sleep(0.01)
        arrived.clear()
        began = time.perf_counter()
        callbacks_create(
            account_id=account_id,
            callbacks=[NewCallback(target=each, payload=PAYLOAD) for each in repeat(target, BURST)],
        )
        while len(arrived) < BURST:
            time.sleep(0.01)
        rate = BURST / (max(arrived.values()) - began)
    finally:
        worker.close()
        server.shutdown()
        server.server_close()
    return delays_ms, rate


def bench() -> list[Row]:
    account = account_create(login=f"{uuid4().hex}@example.com", password=secrets.token_hex())
    try:
        costs = _costs_ms(account.account_id)
        Callback.objects.for_account(account.account_id).delete()
        with override_config(OutgoingRequests, allow_private_urls=True):
            delays_ms, rate = _deliveries(account.account_id)
    finally:
        account_delete(account=account)
        connections.close_all()
    return [
        Row("event transaction, one callback more, p50", costs[1][0] - costs[0][0], "ms", goal="<= 0.5 ms"),
        Row("event transaction, one callback more, CPU", costs[1][1] - costs[0][1], "ms"),
        Row("event transaction, four callbacks more, CPU", costs[4][1] - costs[0][1], "ms"),
        Row("callback delay, commit to webhook, p50", percentile(delays_ms, 50), "ms"),
        Row("callback delay, commit to webhook, p95", percentile(delays_ms, 95), "ms"),
        Row("callbacks to one webhook, burst of 2,000", rate, "/s"),
    ]
