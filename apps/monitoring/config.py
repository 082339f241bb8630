"""Settings of monitoring."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from apps.common.config import Scope, Settings, group, setting

MIN_TOKEN = 16
OWN_LABELS = frozenset({
    "path", "route", "status_code", "error_code", "le", "process", "lane", "source", "task_type", "status", "state",
    "job", "instance",
})  # fmt: skip
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}|[0-9A-Fa-f:.]{2,45}")
_HEADER = re.compile(r"[A-Za-z0-9_-]{1,64}=[!-+\x2d-~](?:[ -+\x2d-~]*[!-+\x2d-~])?")
_LABEL = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})=([^\x00-\x1f\x7f]{1,128})")


def _label(text: str) -> str:
    matched = _LABEL.fullmatch(text)
    if matched is None or matched[1].startswith("__"):
        raise ValueError("a label is `name=value`: letters, digits and `_`, then 1 to 128 characters")
    if matched[1] in OWN_LABELS:
        raise ValueError(f"metrics have a label `{matched[1]}` already")
    return text


def _token(token: SecretStr) -> SecretStr:
    if 0 < len(token.get_secret_value()) < MIN_TOKEN:
        raise ValueError(f"a token has at least {MIN_TOKEN} characters")
    return token


@group("LUNA_SERVICE_METRICS", scope=Scope.START)
class ServiceMetrics(Settings):
    """Metrics for Prometheus at `GET /metrics`."""

    enabled: bool = setting(False, "Whether requests are counted and `/metrics` responds.")
    metrics_format: Literal["prometheus"] = setting("prometheus", "Format of the metrics.")
    extra_labels: tuple[Annotated[str, AfterValidator(_label)], ...] = setting(
        (), "Labels of every metric.", accepts="a list of `label_name=label_value`"
    )
    token: Annotated[SecretStr, AfterValidator(_token)] = setting(
        SecretStr(""),
        f"Token that `/metrics` requires as `Authorization: Bearer`, at least {MIN_TOKEN} characters. Without it, only "
        "clients on the same machine can read metrics, and no request of a proxy.",
    )

    @property
    def labels(self) -> dict[str, str]:
        """`extra_labels` by name."""
        return dict(text.split("=", 1) for text in self.extra_labels)


def _host(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise ValueError("a host is a name or an address, without scheme, port and path")
    return text


def _sendable(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]*", token.get_secret_value()):
        raise ValueError("a token has visible ASCII characters only")
    return token


@group("INFLUX_MONITORING", scope=Scope.LIVE)
class InfluxMonitoring(Settings):
    """Points of requests for InfluxDB 2."""

    send_data_for_monitoring: bool = setting(False, "Whether each request is sent as a point to InfluxDB.")
    use_ssl: bool = setting(False, "Whether connections use HTTPS. The certificate is verified.")
    organization: str = setting("luna", "Organization of the bucket.", min_length=1, max_length=256)
    token: Annotated[SecretStr, AfterValidator(_sendable)] = setting(
        SecretStr(""), "Token that may write into the bucket.", accepts="visible ASCII characters"
    )
    bucket: str = setting("luna_monitoring", "Bucket of the points.", min_length=1, max_length=256)
    host: Annotated[str, AfterValidator(_host)] = setting(
        "127.0.0.1", "Host of InfluxDB, which may be private.", accepts="a name or an IP address"
    )
    port: int = setting(8086, "Port of InfluxDB.", ge=1, le=65535)
    flushing_period: float = setting(1.0, "Seconds between two transfers of points.", ge=0.1, le=3600)


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
        raise ValueError("an endpoint is a URL with http or https and a host, without credentials")
    return text


def _headers(text: SecretStr) -> SecretStr:
    if not all(_HEADER.fullmatch(each) for each in _headers_in(text)):
        raise ValueError("headers are `name=value`, separated by commas")
    return text


def _headers_in(text: SecretStr) -> list[str]:
    return [each.strip() for each in text.get_secret_value().split(",") if each.strip()]


@group("LUNA_TRACING", scope=Scope.START)
class Tracing(Settings):
    """Traces for OpenTelemetry. They need `requirements-otel.txt`."""

    enabled: bool = setting(False, "Whether spans are recorded and sent.")
    endpoint: Annotated[str, AfterValidator(_endpoint)] = setting(
        "http://127.0.0.1:4318/v1/traces", "URL of the collector: OTLP over HTTP. It may be private.", accepts="a URL"
    )
    headers: Annotated[SecretStr, AfterValidator(_headers)] = setting(
        SecretStr(""), "Headers of each transfer, such as credentials.", accepts="`name=value`, separated by commas"
    )
    service_name: str = setting("luna", "Name of the platform in traces.", min_length=1, max_length=256)
    sample_ratio: float = setting(
        1.0,
        "Share of traces that are recorded. For a request with `traceparent`, the flag of its client decides.",
        ge=0,
        le=1,
    )

    @property
    def header_values(self) -> dict[str, str]:
        """`headers` by name."""
        return {name: value for name, _, value in (each.partition("=") for each in _headers_in(self.headers))}


@group("LUNA_USAGE_STATISTICS", scope=Scope.LIVE)
class UsageStatistics(Settings):
    """Monthly numbers of requests and estimations in the system information."""

    enabled: bool = setting(True, "Whether requests and estimations are counted.")
