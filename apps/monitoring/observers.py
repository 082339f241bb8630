"""Receivers of answered requests: counters for Prometheus, points for InfluxDB, statistics."""

from apps.common.config import config
from apps.monitoring.answered import Answered
from apps.monitoring.config import InfluxMonitoring, ServiceMetrics, UsageStatistics
from apps.monitoring.counting import counts
from apps.monitoring.influx import points
from apps.monitoring.metrics.requests import request_metrics


def is_observed() -> bool:
    """Return whether a receiver is on."""
    return (
        config(UsageStatistics).enabled
        or config(ServiceMetrics).enabled
        or config(InfluxMonitoring).send_data_for_monitoring
    )


def observe(answered: Answered) -> None:
    """Pass a request to the receivers that are on. Never blocks."""
    if config(ServiceMetrics).enabled:
        request_metrics().count(answered)
    if config(UsageStatistics).enabled:
        counts().request(answered)
    if config(InfluxMonitoring).send_data_for_monitoring:
        points().add(answered)
