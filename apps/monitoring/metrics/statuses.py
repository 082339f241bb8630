"""Metrics of the status that each process publishes (`monitoring.processes`), at most some seconds old."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from apps.monitoring.processes import processes


@dataclass(frozen=True, slots=True)
class Row:
    """A metric: the number `key` in the status of the object `source`. A name that ends with `_total` is a counter."""

    source: str
    key: str
    name: str
    text: str
    labels: dict[str, str] = field(default_factory=dict)


LANES = ("api", "recognition", "reserved")
ROWS = (
    Row("process", "cpu_s", "luna_process_cpu_seconds_total", "CPU time, user and system"),
    Row("process", "resident_bytes", "luna_process_resident_memory_bytes", "Resident memory"),
    Row("process", "open_files", "luna_process_open_files", "Open files and connections"),
    Row("process", "threads", "luna_process_threads", "Threads"),
    Row("process", "start_time", "luna_process_start_time_seconds", "Time of the start, Unix time"),
    *(
        Row("http", f"{lane}_{key}", f"luna_http_{name}", text, {"lane": lane})
        for key, name, text in (
            ("threads", "threads", "Threads for requests"),
            ("busy", "threads_busy", "Threads that execute a request"),
            ("waiting", "requests_waiting", "Requests that wait for a thread"),
            ("refused", "requests_refused_total", "Requests that got no thread and were answered with 503"),
        )
        for lane in LANES
    ),
    Row("request bodies", "held_bytes", "luna_http_body_bytes", "Bytes of request bodies in transit"),
    Row("recognition engine", "threads", "luna_engine_threads", "Networks that run at the same time"),
    Row("recognition engine", "queue_rows", "luna_engine_queue_rows", "Network inputs in the queue"),
    Row("recognition engine", "queue_limit", "luna_engine_queue_limit", "Network inputs that the queue takes"),
    Row("recognition engine", "batches", "luna_engine_batches_total", "Executed batches"),
    Row("recognition engine", "rows", "luna_engine_rows_total", "Network inputs in executed batches"),
    Row("recognition engine", "wait_s", "luna_engine_wait_seconds_total", "Waiting time of network inputs, summed"),
    Row("list cache", "lists", "luna_list_cache_lists", "Lists in memory"),
    Row("list cache", "faces", "luna_list_cache_faces", "Faces of the lists in memory"),
    Row("list cache", "bytes", "luna_list_cache_bytes", "Bytes of the lists in memory, which processes share"),
    Row("list cache", "answered", "luna_list_cache_answered_total", "Searches answered from memory"),
    Row("list cache", "left_to_database", "luna_list_cache_database_total", "Searches left to the database"),
    Row("list cache", "failed", "luna_list_cache_failed_total", "Searches in memory that failed"),
    Row("list cache", "scans", "luna_list_cache_scans_total", "Scans of lists; a scan serves several searches"),
    Row("list cache builder", "builds", "luna_list_cache_builds_total", "Lists that were built or extended"),
    Row("list cache builder", "lists_over_memory_limit", "luna_list_cache_over_limit", "Lists that exceed the memory"),
    Row("matching", "requests", "luna_matching_requests_total", "Matching requests"),
    Row("matching", "sub_requests", "luna_matching_sub_requests_total", "Vectors that were matched"),
    Row("matching", "database", "luna_matching_database_total", "Vectors that the database searched for"),
    Row("matching", "errors", "luna_matching_plugin_errors_total", "Vectors whose plugin failed"),
    Row("matching", "seconds", "luna_matching_seconds_total", "Time of matching requests, summed"),
    Row("event saver", "events", "luna_events_unsaved", "Events that are answered and not in the database yet"),
    Row("event saver", "bytes", "luna_events_unsaved_bytes", "Bytes of the file of these events"),
    Row("notifications", "pending_messages", "luna_notifications_pending", "Notifications that wait for Redis"),
    Row("websockets", "websockets", "luna_websockets", "Open websockets"),
    Row("websockets", "accounts", "luna_websocket_accounts", "Accounts with open websockets"),
    Row("callbacks", "running", "luna_callbacks_running", "Callbacks in delivery"),
    Row("callbacks", "open_servers", "luna_callback_servers_open", "Callback targets with an open circuit breaker"),
    Row("callbacks", "delivered", "luna_callbacks_delivered_total", "Delivered callbacks"),
    Row("callbacks", "failed", "luna_callbacks_failed_total", "Attempts of callbacks that failed and are retried"),
    Row("callbacks", "dead", "luna_callbacks_dead_total", "Callbacks that became dead letters"),
    Row("callback quota", "dropped", "luna_callbacks_dropped_total", "Callbacks dropped because too many waited"),
    Row("tasks", "threads", "luna_task_threads", "Threads for stages of tasks"),
    Row("tasks", "running", "luna_task_stages_running", "Stages of tasks in progress"),
    Row("tasks", "executed", "luna_task_stages_executed_total", "Executed stages of tasks"),
    Row("influx", "pending", "luna_influx_pending", "Requests whose points wait for InfluxDB"),
    Row("influx", "written", "luna_influx_written_total", "Requests whose points InfluxDB has accepted"),
    Row("influx", "dropped", "luna_influx_dropped_total", "Requests whose points were dropped"),
    Row("influx", "failing", "luna_influx_failing", "1 if the last write to InfluxDB failed"),
    Row("traces", "exported", "luna_traces_exported_total", "Spans that the collector has accepted"),
    Row("traces", "dropped", "luna_traces_dropped_total", "Spans that the collector has not accepted"),
    Row("traces", "failing", "luna_traces_failing", "1 if the last export of spans failed"),
    Row("redis breaker", "open", "luna_redis_breaker_open", "1 while Redis is taken for unavailable"),
)
AGE = "luna_process_status_age_seconds"


def family(name: str, text: str) -> Metric:
    """Return an empty metric of the kind that the name implies."""
    return (CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily)(name, text)


def status_families() -> Iterator[Metric]:
    """Yield the metrics of all processes; those without a number in any status are left out."""
    found = processes()
    families: dict[str, Metric] = {AGE: family(AGE, "Age of the published status")}
    for process in found:
        families[AGE].add_sample(AGE, {"process": process.name}, process.age_s)
        for row in ROWS:
            value = process.objects.get(row.source, {}).get(row.key)
            if isinstance(value, int | float):
                metric = families.setdefault(row.name, family(row.name, row.text))
                metric.add_sample(row.name, {"process": process.name, **row.labels}, float(value))
    yield from families.values()
