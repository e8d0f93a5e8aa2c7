"""Prometheus: recorded answers everywhere, the real server where it is installed."""

import json
import shutil
import subprocess
import time

import pytest

from catalog.ingest.sources.prometheus import Prometheus
from catalog.kernel.errors import InvalidInput, NotAuthenticated, UpstreamError, UpstreamRefused
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Event, LiveChange
from tests.processes import free_port

kind = Prometheus()


def connect(url, **settings):
    return Connection({"url": url, **settings}, Client(), lambda level, message: None)


def listed(connection, name, **selector):
    [page] = kind.fetch(connection, kind.resource(name), selector)
    assert page.next is None
    return list(page.items)


@pytest.fixture
def recorded(vendor, test_data):
    def answer(path, name):
        vendor.json(path, json.loads((test_data / "prometheus" / f"{name}.json").read_text()))

    answer("/api/v1/targets", "api-targets")
    answer("/api/v1/alerts", "api-alerts")
    answer("/api/v1/rules", "api-rules")
    answer("/api/v1/query", "api-instant-queries-2")
    return vendor.url


def test_recorded_answers_become_items(recorded):
    connection = connect(recorded)
    [target] = listed(connection, "target")
    assert target["health"] == "up"
    assert target["labels"]["job"] == "prometheus"
    assert target["id"].startswith("prometheus-")
    [alert] = listed(connection, "alert")
    assert (alert["state"], alert["id"][:9]) == ("firing", "my-alert-")
    rules = listed(connection, "rule")
    assert [(rule["name"], rule["group"]) for rule in rules] == [
        ("HighRequestLatency", "example"),
        ("job:http_inprogress_requests:sum", "example"),
    ]
    values = listed(connection, "metric", promql="up")
    assert [(one["metric"]["job"], one["value"]) for one in values] == [
        ("prometheus", 1.0),
        ("node", 0.0),
    ]
    assert values[0]["time"] == "2015-07-01T20:10:51.781000+00:00"


def test_names_of_series_are_distinct_and_last():
    first = kind.samples()["alert"][0]["labels"]
    changes = [
        next(iter(kind.changes(None, alert_event("firing", labels), {"alert": [{}]})))
        for labels in (first, dict(reversed(first.items())), {**first, "service": "cart"})
    ]
    names = [change.item["id"] for change in changes]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("answer", "promql", "error", "reason"),
    [
        ({}, None, InvalidInput, r"selector\.promql is None"),
        ({"status": "error", "error": "parse error at char 3"}, "up{", UpstreamError, "char 3"),
        (
            {"status": "success", "data": {"resultType": "matrix", "result": []}},
            "up[5m]",
            UpstreamError,
            "gives a matrix",
        ),
    ],
)
def test_a_query_that_gives_no_values_is_told(vendor, answer, promql, error, reason):
    vendor.json("/api/v1/query", answer)
    with pytest.raises(error, match=reason):
        listed(connect(vendor.url), "metric", promql=promql)


def test_what_json_cannot_hold_is_null(vendor):
    result = [{"metric": {"a": "b"}, "value": [1, "NaN"]}, {"metric": {}, "value": [1, "+Inf"]}]
    vendor.json(
        "/api/v1/query",
        {"status": "success", "data": {"resultType": "vector", "result": result}},
    )
    assert [one["value"] for one in listed(connect(vendor.url), "metric", promql="x")] == [
        None,
        None,
    ]


def test_credentials_go_along(vendor):
    vendor.require("authorization", "Bearer t1")
    vendor.json("/api/v1/alerts", {"status": "success", "data": {"alerts": []}})
    assert listed(connect(vendor.url, token="t1"), "alert") == []
    with pytest.raises(UpstreamRefused):
        listed(connect(vendor.url), "alert")


# --- live ---------------------------------------------------------------------------------------


def alert_event(status, labels, token="tell-me-all"):
    body = {"version": "4", "alerts": [{"status": status, "labels": labels, "startsAt": "t"}]}
    return Event({"authorization": f"Bearer {token}"}, {}, json.dumps(body).encode())


def test_alerts_come_and_go_live():
    labels = {"alertname": "Slow", "service": "cart"}
    [fired] = kind.changes(None, alert_event("firing", labels), {"alert": [{}]})
    assert isinstance(fired, LiveChange)
    assert (fired.kind, fired.is_gone, fired.item["labels"]) == ("alert", False, labels)
    [over] = kind.changes(None, alert_event("resolved", labels), {"alert": [{}]})
    assert over.is_gone
    assert over.item["id"] == fired.item["id"]
    assert list(kind.changes(None, alert_event("firing", labels), {"target": [{}]})) == []


@pytest.mark.parametrize(
    ("configured", "given", "is_let_in"),
    [
        ("tell-me-all", "Bearer tell-me-all", True),
        ("tell-me-all", "Bearer other", False),
        ("tell-me-all", "", False),
        ("", "Bearer ", False),
    ],
)
def test_alertmanager_must_show_its_token(configured, given, is_let_in):
    event = Event({"authorization": given}, {}, b"{}")
    if is_let_in:
        kind.verify(event, {"webhookToken": configured})
    else:
        with pytest.raises(NotAuthenticated):
            kind.verify(event, {"webhookToken": configured})


@pytest.mark.parametrize("body", [b"", b"[]", b'{"alerts": [1]}', b'{"alerts": [{"labels": {}}]}'])
def test_a_body_that_is_no_message_is_told(body):
    with pytest.raises(InvalidInput, match="no message of Alertmanager"):
        list(kind.changes(None, Event({}, {}, body), {"alert": [{}]}))


# --- the real server ----------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path, settings):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    settings.IDP_HTTP_ALLOW = ["127.0.0.1"]
    port = free_port()
    rules = {
        "groups": [
            {
                "name": "demo",
                "rules": [
                    {
                        "alert": "AlwaysOn",
                        "expr": "vector(1)",
                        "labels": {"severity": "page"},
                        "annotations": {"summary": "It is on"},
                    }
                ],
            }
        ]
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(tmp_path / "rules.yml")],
        "scrape_configs": [
            {"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [
            program,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def test_a_real_server(server):
    connection = connect(server)
    deadline = time.monotonic() + 20
    while True:  # its first rounds
        try:
            values = listed(connection, "metric", promql="up")
            if values and values[0]["value"] and listed(connection, "alert"):
                break
        except UpstreamError:
            assert time.monotonic() < deadline
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert kind.check(connection)[1] == "1 of 1 targets are up."
    assert [one["health"] for one in listed(connection, "target")] == ["up"]
    [alert] = listed(connection, "alert")
    assert alert["annotations"] == {"summary": "It is on"}
    assert [(one["name"], one["type"]) for one in listed(connection, "rule")] == [
        ("AlwaysOn", "alerting")
    ]
