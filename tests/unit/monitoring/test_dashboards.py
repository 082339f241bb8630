"""Dashboards of Grafana for InfluxDB: their Flux queries name the series, tags and fields that points have."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from apps.monitoring.answered import Answered
from apps.monitoring.influx import lines
from tests.influx import point_of

GRAFANA = Path(__file__).resolve().parents[3] / "deploy" / "monitoring" / "grafana"
OWN = {"_measurement", "_field", "_value", "_time", "_start", "_stop"}  # columns that Flux always has
LISTS = re.compile(r"\b(?:columns|rowKey|columnKey): \[([^\]]*)\]")
COLUMN = re.compile(r"\br\.(\w+)|\btag: \"(\w+)\"")
MADE = re.compile(r"(?:\{|with |, )(\w+): (?:\"(\w+)\"\})?")  # by `map` and `rename`


def written() -> dict[str, tuple[set[str], set[str]]]:
    """Return the tags and the fields of each series that the platform writes."""
    facts: dict[str, Any] = {
        "method": "POST", "route": "/6/handlers/{handler_id}/events", "duration_s": 0.1, "handler_id": uuid4(),
    }  # fmt: skip
    found: dict[str, tuple[set[str], set[str]]] = {}
    for status, error_code in ((201, None), (404, 22001)):
        for point in map(point_of, lines(10**18, Answered(**facts, status=status, error_code=error_code))):
            tags, fields = found.setdefault(point.series, (set(), set()))
            tags |= set(point.tags)
            fields |= set(point.fields)
    return found


def wrong_names(query: str) -> set[str]:
    """Return the series, fields and columns of a query that do not exist."""
    (series,) = re.findall(r'r\._measurement == "(\w+)"', query)
    if series not in written():
        return {series}
    tags, fields = written()[series]
    wrong = set(re.findall(r'r\._field == "(\w+)"', query)) - fields
    columns = {name for names in COLUMN.findall(query) for name in names if name}
    columns |= {name for names in LISTS.findall(query) for name in re.findall(r"\w+", names)}
    made = {name for names in MADE.findall(query) for name in names if name}
    return wrong | (columns - OWN - tags - made - (fields if "pivot(" in query else set()))


def boards() -> list[dict[str, Any]]:
    return [orjson.loads(path.read_bytes()) for path in sorted(GRAFANA.rglob("*.json"))]


def test_queries_name_what_is_written() -> None:
    found = [each for each in boards() if each["templating"]["list"][0]["query"] == "influxdb"]
    queries = [target["query"] for board in found for panel in board["panels"] for target in panel["targets"]]
    queries += [each["query"] for board in found for each in board["templating"]["list"] if each["type"] == "query"]
    assert len(found) == 3
    assert {query: wrong for query in queries if (wrong := wrong_names(query))} == {}


def test_wrong_names_are_found() -> None:
    start = 'from(bucket: "b") |> filter(fn: (r) => r._measurement == "requests" and '
    assert wrong_names('filter(fn: (r) => r._measurement == "faults")') == {"faults"}
    assert wrong_names(f'{start}r._field == "time")') == {"time"}
    assert wrong_names(f'{start}r.lane == "api") |> group(columns: ["route", "path"])') == {"lane", "path"}
    assert wrong_names(f'{start}r.route == "x") |> keep(columns: ["error_code"])') == {"error_code"}  # `errors` has it


def test_uids_are_unique_and_sources_are_chosen_at_the_import() -> None:
    uids = [each["uid"] for each in boards()]
    assert len(uids) == len(set(uids)) == 5
    for board in boards():
        (kind,) = {each["query"] for each in board["templating"]["list"] if each["type"] == "datasource"}
        for panel in board["panels"]:
            assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}
            assert panel["datasource"]["type"] == kind
