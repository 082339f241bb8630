"""The text of `/metrics`, and which requests may read it."""

import hmac
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.hosts import is_loopback
from apps.monitoring.config import ServiceMetrics
from apps.monitoring.metrics.files import reading
from apps.monitoring.metrics.requests import DIRECTORY
from apps.monitoring.metrics.sources import sources
from apps.monitoring.metrics.statuses import status_families

BEARER = "Bearer "
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


class _All(Collector):
    """All metrics, each with the operator's labels."""

    def collect(self) -> Iterator[Metric]:
        extra = config(ServiceMetrics).labels
        for metric in _metrics():
            if extra:
                metric.samples = [
                    Sample(sample.name, {**sample.labels, **extra}, *sample[2:]) for sample in metric.samples
                ]
            yield metric


def _metrics() -> Iterable[Metric]:
    directory = Path(os.environ[DIRECTORY])
    if directory.is_dir():
        collector = MultiProcessCollector(CollectorRegistry(), path=str(directory))  # type: ignore[no-untyped-call]
        with reading(directory):
            found = [*collector.collect()]  # type: ignore[no-untyped-call]
        yield from found
    yield from status_families()
    yield from sources.families()


def exposition() -> bytes:
    """Return the metrics of the platform in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_All())
    return generate_latest(registry)


def require_reader(meta: dict[str, str]) -> None:
    """Check that a request may read metrics. `meta`: its WSGI environment.

    Raises LunaError RESOURCE_DISABLED while metrics are off, ACCESS_DENIED for a wrong token, and without a token for
    other clients than those on this machine. A proxy on this machine passes requests of others on.
    """
    settings = config(ServiceMetrics)
    if not settings.enabled:
        raise LunaError(errors.RESOURCE_DISABLED)
    if expected := settings.token.get_secret_value():
        sent = meta.get("HTTP_AUTHORIZATION", "")
        given = sent[len(BEARER) :] if sent[: len(BEARER)].lower() == BEARER.lower() else ""
        allowed = hmac.compare_digest(given.encode(), expected.encode())
    else:
        allowed = is_loopback(meta.get("REMOTE_ADDR", "")) and not any(name in meta for name in FORWARDED)
    if not allowed:
        raise LunaError(errors.ACCESS_DENIED)
