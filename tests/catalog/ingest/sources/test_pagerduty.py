"""PagerDuty against recorded objects, paged as the API pages."""

import hashlib
import hmac
import json

import pytest

from catalog.ingest.sources.pagerduty import PagerDuty
from catalog.kernel.errors import (
    InvalidInput,
    NotAuthenticated,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Event
from tests.vendors import failing, limited

kind = PagerDuty()
ONCALLS = [
    {
        "escalation_level": level,
        "escalation_policy": {"id": "P7LVMYP"},
        "user": {"id": f"U{level}", "email": f"u{level}@example.com"},
    }
    for level in (2, 1)
]


def connect(url, log=lambda level, message: None, **settings):
    return Connection({"url": url, "token": "t1", **settings}, Client(), log)


def listed(connection, name, selector=None, cursor=None):
    pages = list(kind.fetch(connection, kind.resource(name), selector or {}, cursor))
    assert pages[-1].next is None
    return [item for page in pages for item in page.items]


@pytest.fixture
def recorded(test_data):
    def read(name):
        return json.loads((test_data / "pagerduty" / f"{name}.json").read_text())

    return read


def test_services_come_with_who_is_on_call_and_how_quick_they_are(vendor, recorded):
    service = recorded("recorded-services-a")
    service["escalation_policy"]["id"] = "P7LVMYP"
    vendor.require("authorization", "Token token=t1")
    vendor.pages("/services", [service], style="offset", key="services")
    vendor.pages("/oncalls", ONCALLS, size=1, style="offset", key="oncalls")
    vendor.json(
        "/analytics/metrics/incidents/services",
        {"data": [{"service_id": service["id"], "mean_seconds_to_resolve": 60}]},
        method="POST",
    )
    [found] = listed(connect(vendor.url), "services")
    assert found["name"] == service["name"]
    assert [one["user"]["email"] for one in found["__oncall_user"]] == [
        "u2@example.com",
        "u1@example.com",
    ]
    assert found["__analytics"]["mean_seconds_to_resolve"] == 60


def test_a_plan_without_analytics_is_no_failure(vendor):
    vendor.pages("/services", [{"id": "P1"}], style="offset", key="services")
    vendor.pages("/oncalls", [], style="offset", key="oncalls")
    vendor.json("/analytics/metrics/incidents/services", {}, method="POST", status=402)
    said = []
    connection = connect(vendor.url, lambda level, message: said.append(level))
    assert listed(connection, "services")[0]["__analytics"] is None
    assert said == ["info"]
    assert listed(connection, "services", {"serviceAnalytics": "false"})[0]["__analytics"] is None
    assert said == ["info"]


def test_lists_are_read_to_their_end_and_go_on_at_a_cursor(vendor):
    incidents = [{"id": f"Q{number}"} for number in range(5)]
    vendor.pages("/incidents", incidents, size=2, style="offset", key="incidents")
    selector = {"apiQueryParams": {"statuses": ["triggered"], "include": ["assignees"]}}
    assert listed(connect(vendor.url), "incidents", selector) == incidents
    assert listed(connect(vendor.url), "incidents", selector, cursor=4) == incidents[4:]
    assert vendor.calls[0].query["statuses[]"] == "triggered"
    assert vendor.calls[0].query["include[]"] == "assignees"


def test_people_of_schedules_have_addresses(vendor, recorded):
    schedule = recorded("recorded-schedules-a")
    user = schedule["users"][0]["id"]
    vendor.pages("/schedules", [schedule], style="offset", key="schedules")
    vendor.pages("/users", [{"id": user, "email": "x@example.com"}], style="offset", key="users")
    [found] = listed(connect(vendor.url), "schedules")
    assert found["users"][0]["__email"] == "x@example.com"


def test_more_than_the_api_lists_is_no_end_of_the_list(vendor):
    @vendor.route("/incidents")
    def _(call):
        offset = int(call.query["offset"])
        return {"incidents": [{"id": f"Q{offset + n}"} for n in range(100)], "more": True}

    pages = kind.fetch(connect(vendor.url), kind.resource("incidents"), {}, 9_800)
    next(pages)
    with pytest.raises(UpstreamError, match="no more than 10,000 incidents"):
        list(pages)


def test_bad_days(vendor):
    items = [{"id": f"E{number}"} for number in range(7)]
    vendor.pages("/escalation_policies", items, size=1, style="offset", key="escalation_policies")
    vendor.trouble("/escalation_policies", limited(after=0), failing(), failing())
    assert listed(connect(vendor.url), "escalation_policy") == items
    vendor.trouble("/escalation_policies", failing(), when={"offset": "3"}, times=99)
    with pytest.raises(UpstreamUnavailable):
        listed(connect(vendor.url), "escalation_policy")
    vendor.require("authorization", "Token token=other")
    with pytest.raises(UpstreamRefused):
        listed(connect(vendor.url), "escalation_policy")


# --- live ---------------------------------------------------------------------------------------


def event(body, secret="sign-me"):
    data = json.dumps(body).encode()
    signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return Event({"x-pagerduty-signature": f"v1=00,v1={signature}"}, {}, data)


def told(event_type, data):
    return event({"event": {"id": "E1", "event_type": event_type, "data": data}})


def test_only_signed_events_are_taken():
    kind.verify(event({}), {"webhookSecret": "sign-me"})
    for settings in ({"webhookSecret": "other"}, {}):
        with pytest.raises(NotAuthenticated):
            kind.verify(event({}), settings)
    with pytest.raises(NotAuthenticated):
        kind.verify(Event({}, {}, b""), {"webhookSecret": "sign-me"})


def test_an_incident_is_asked_for_as_it_is_now(vendor, recorded):
    body = recorded("webhook-v3-incident")
    vendor.json("/incidents/PGR0VU2", {"incident": {"id": "PGR0VU2", "status": "triggered"}})
    wanted = {"incidents": [{"apiQueryParams": {"include": ["assignees"]}}]}
    [change] = kind.changes(connect(vendor.url), event(body), wanted)
    assert (change.kind, change.item["status"], change.is_gone) == ("incidents", "triggered", False)
    assert vendor.paths == ["GET /incidents/PGR0VU2?include%5B%5D=assignees"]
    assert kind.delivery(event(body)) == "01BWDWL3NYY7LUFPZCC28QUCMK"


def test_deleted_and_vanished_objects_are_gone(vendor):
    wanted = {"services": [{}], "incidents": [{}]}
    for data in (told("service.deleted", {"id": "P1"}), told("incident.triggered", {"id": "Q1"})):
        [change] = kind.changes(connect(vendor.url), data, wanted)
        assert change.is_gone


def test_events_of_no_interest_and_of_no_sense(vendor):
    connection = connect(vendor.url)
    assert list(kind.changes(connection, told("pagey.ping", {}), {"incidents": [{}]})) == []
    assert list(kind.changes(connection, told("incident.triggered", {"id": "Q1"}), {})) == []
    for bad in (event([]), event({"event": {"event_type": 7}}), told("incident.x", {"id": "../x"})):
        with pytest.raises(InvalidInput):
            list(kind.changes(connection, bad, {"incidents": [{}]}))


@pytest.mark.parametrize(
    ("query", "is_selected"),
    [
        ({}, True),
        ({"statuses": ["resolved"]}, False),
        ({"statuses": ["triggered"], "service_ids": ["P1"]}, True),
        ({"urgencies": ["low"]}, False),
    ],
)
def test_an_incident_that_a_resource_would_not_list_is_not_selected(query, is_selected):
    item = {"status": "triggered", "urgency": "high", "service": {"id": "P1"}}
    resource = kind.resource("incidents")
    assert kind.selects(resource, {"apiQueryParams": query}, item) is is_selected
