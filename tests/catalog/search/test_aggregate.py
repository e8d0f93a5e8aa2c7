from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from catalog.kernel.errors import InvalidQuery, LimitExceeded, NotFound
from catalog.models import Entity
from catalog.selectors.aggregate import aggregate
from catalog.selectors.kinds import load_kinds
from catalog.selectors.series import aggregate_over_time, properties_history
from catalog.services.entities import EntityDraft, Mode, apply
from tests.factories import ACTOR, make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db

SERVICES = {
    "combinator": "and",
    "rules": [{"property": "$blueprint", "operator": "=", "value": "service"}],
}
NOBODY = {"combinator": "and", "rules": [{"property": "x", "operator": "=", "value": 1}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"func": "count"}, 4),
        ({"func": "count", "query": NOBODY}, 0),
        ({"func": "sum", "property": "tier"}, 5.5),
        ({"func": "average", "property": "tier"}, 5.5 / 3),
        ({"func": "average", "property": "tier", "averageOf": "total"}, 5.5 / 3),
        ({"func": "min", "property": "tier"}, 1),
        ({"func": "max", "property": "tier"}, 2.5),
        ({"func": "median", "property": "tier"}, 2),
        ({"func": "max", "property": "language"}, None),
        ({"func": "sum", "property": "tier", "query": NOBODY}, None),
        ({"func": "average", "calculationBy": "entities", "averageOf": "total"}, 4),
        (
            {"func": "countValues", "property": "language"},
            {"Go": 1, "go": 1, "golang": 1, "python": 1},
        ),
        ({"func": "countValues", "property": "tags"}, {"java": 2, "50%_off": 1, "pci": 1}),
        ({"func": "countValues", "property": "live"}, {"false": 2, "true": 1}),
        ({"func": "countValues", "property": "tier"}, {"1": 1, "2": 1, "2.5": 1}),
        ({"func": "countValues", "property": "grade"}, {"A": 1, "B": 1}),
        ({"func": "countValues", "property": "meta"}, {}),
        ({"func": "countValues", "property": "$blueprint"}, {"service": 4}),
        ({"func": "countValues", "property": "$team"}, {"core": 2, "web": 1}),
        ({"func": "countValues", "relation": "system"}, {"billing": 1, "stock": 1}),
        (
            {"func": "countValues", "relation": "dependsOn"},
            {"cart": 1, "ghost": 1, "mail": 1, "pay": 1},
        ),
    ],
)
def test_aggregates(shop, django_assert_max_num_queries, body, expected):
    load_kinds()
    with django_assert_max_num_queries(2):
        found = aggregate({"query": SERVICES, **body}, principal=shop.ann)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"averageOf": "day"}, 4 / 10),
        ({"averageOf": "week"}, 2),
        ({"averageOf": "month"}, 4),
        ({"averageOf": "day", "property": "tier"}, 0.55),
        ({"averageOf": "day", "measureTimeBy": "since"}, 2 / 760),
        ({"averageOf": "day", "measureTimeBy": "absent"}, None),
    ],
)
def test_averages_per_period_run_from_the_first_until_now(shop, body, expected):
    first, now = datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    Entity.objects.filter(blueprint=shop.service).update(created_at=now)
    Entity.objects.filter(identifier="pay").update(created_at=first)
    with time_machine.travel(now, tick=False):
        found = aggregate({"func": "average", "query": SERVICES, **body}, principal=shop.ann)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "func"),
        ({"func": "count", "query": "x"}, "query"),
        ({"func": "mode", "property": "tier"}, "func"),
        ({"func": "sum"}, "property"),
        ({"func": "sum", "property": "$title"}, "property"),
        ({"func": "sum", "property": "a\0"}, "property"),
        ({"func": "average", "averageOf": "year"}, "averageOf"),
        ({"func": "average", "averageOf": "day", "measureTimeBy": "$title"}, "measureTimeBy"),
        ({"func": "countValues"}, "property"),
        ({"func": "countValues", "scorecard": "gold"}, "scorecard"),
    ],
)
def test_a_wrong_aggregation_is_refused(shop, body, field):
    with pytest.raises(InvalidQuery) as caught:
        aggregate(body, principal=shop.ann)
    assert caught.value.details["field"] == field


@pytest.fixture
def deployments(db: None) -> Any:
    """Four, of which three are within three days of March."""
    blueprint = make_blueprint(
        "deployment",
        properties={
            "took": {"type": "number"},
            "env": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
        },
    )
    for identifier, at, took, env in (
        ("a", "2026-03-01T10:00:00Z", 3, "prod"),
        ("b", "2026-03-01T23:30:00Z", 5, "test"),
        ("c", "2026-03-03T12:00:00Z", 9, "prod"),
        ("d", "2026-02-01T00:00:00Z", 100, "prod"),
    ):
        make_entity(blueprint, identifier, properties={"at": at, "took": took, "env": env})
    return make_user()


def _over_time(user: Any, **body: Any) -> list[dict[str, Any]]:
    series = aggregate_over_time(
        {
            "blueprint": "deployment",
            "timeRange": {"from": "2026-03-01", "to": "2026-03-03"},
            "timeInterval": "day",
            "measureTimeBy": "at",
            **body,
        },
        principal=user,
    ).as_dict()
    rows = []
    for row in series["data"]:
        day = datetime.fromtimestamp(row.pop("date") / 1000, UTC)
        rows.append({"day": f"{day:%d %H}", **row})
    return rows


def test_counts_over_time(deployments):
    counted = _over_time(deployments, aggregationType="countEntities", func="count")
    assert counted == [
        {"day": "01 00", "count": 2},
        {"day": "02 00", "count": 0},
        {"day": "03 00", "count": 1},
    ]
    split = _over_time(deployments, aggregationType="countEntities", breakdownProperty="env")
    assert split == [
        {"day": "01 00", "prod": 1, "test": 1},
        {"day": "02 00", "prod": 0, "test": 0},
        {"day": "03 00", "prod": 1, "test": 0},
    ]
    # in Berlin the second one falls on the next day
    berlin = _over_time(
        deployments,
        aggregationType="countEntities",
        timeRange={"from": "2026-03-01", "to": "2026-03-03", "timeZone": "Europe/Berlin"},
    )
    assert berlin == [
        {"day": "28 23", "count": 1},
        {"day": "01 23", "count": 1},
        {"day": "02 23", "count": 1},
        {"day": "03 23", "count": 0},
    ]
    month = _over_time(
        deployments, aggregationType="countEntities", func="average", timeInterval="month"
    )
    assert month == [{"day": "01 00", "count": 3 / 31}]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("sum", [8, None, 9]),
        ("average", [4, None, 9]),
        ("median", [4, None, 9]),
        ("min", [3, None, 9]),
        ("max", [5, None, 9]),
        ("last", [5, None, 9]),
    ],
)
def test_properties_over_time(deployments, function, expected):
    rows = _over_time(
        deployments,
        aggregationType="aggregatePropertiesValues",
        func=function,
        properties=["took", "nothing"],
    )
    assert [row["took"] for row in rows] == expected
    assert [row["nothing"] for row in rows] == [None, None, None]


def test_steps_follow_the_calendar_of_the_time_zone(deployments):
    def dates(interval: str, start: str, end: str, zone: str) -> list[str]:
        rows = aggregate_over_time(
            {
                "blueprint": "deployment",
                "timeRange": {"from": start, "to": end, "timeZone": zone},
                "timeInterval": interval,
                "aggregationType": "countEntities",
            },
            principal=deployments,
        ).data
        return [f"{datetime.fromtimestamp(row['date'] / 1000, UTC):%m-%dT%H}" for row in rows]

    # the night of 29 March has 23 hours in Berlin
    assert dates("day", "2026-03-28T12:00+01:00", "2026-03-30T12:00+02:00", "Europe/Berlin") == [
        "03-27T23",
        "03-28T23",
        "03-29T22",
    ]
    hours = dates("hour", "2026-03-29T00:00+01:00", "2026-03-29T05:00+02:00", "Europe/Berlin")
    assert hours == ["03-28T23", "03-29T00", "03-29T01", "03-29T02"]
    assert dates("isoWeek", "2026-01-01", "2026-01-06", "UTC") == ["12-29T00", "01-05T00"]
    assert dates("quarter", "2026-02-01", "2026-07-02", "UTC") == [
        "01-01T00",
        "04-01T00",
        "07-01T00",
    ]


def _zoned(zone: str) -> dict[str, Any]:
    return {"timeRange": {"preset": "today", "timeZone": zone}}


@pytest.mark.parametrize(
    ("body", "field", "error"),
    [
        ({"blueprint": "nothing"}, None, NotFound),
        ({"aggregationType": "x"}, "aggregationType", InvalidQuery),
        ({"timeRange": {"preset": "x"}}, "timeRange.preset", InvalidQuery),
        ({"timeRange": {}}, "timeRange", InvalidQuery),
        ({"timeRange": "today"}, "timeRange", InvalidQuery),
        (
            {"timeRange": {"preset": "today", "timeZone": "Mars"}},
            "timeRange.timeZone",
            InvalidQuery,
        ),
        (
            {"timeRange": {"preset": "today", "timeZone": "../x"}},
            "timeRange.timeZone",
            InvalidQuery,
        ),
        (_zoned("\0"), "timeRange.timeZone", InvalidQuery),
        ({"timeRange": {"from": "9999-12-31", "to": "9999-12-31"}}, "timeRange", InvalidQuery),
        (
            {"timeRange": {"from": "0001-01-01", "to": "0001-01-02", "timeZone": "Asia/Tokyo"}},
            "timeRange",
            InvalidQuery,
        ),
        ({"timeInterval": "year"}, "timeInterval", InvalidQuery),
        (
            {"timeRange": {"preset": "last3Years"}, "timeInterval": "hour"},
            "timeInterval",
            LimitExceeded,
        ),
        ({"func": "mode"}, "func", InvalidQuery),
        (
            {"aggregationType": "aggregatePropertiesValues", "func": "sum", "properties": []},
            "properties",
            InvalidQuery,
        ),
        (
            {"aggregationType": "aggregatePropertiesValues", "func": "sum", "properties": [1]},
            "properties[0]",
            InvalidQuery,
        ),
        (
            {"aggregationType": "aggregatePropertiesValues", "func": "x", "properties": ["took"]},
            "func",
            InvalidQuery,
        ),
    ],
)
def test_a_wrong_series_is_refused(deployments, body, field, error):
    body = {"aggregationType": "countEntities", **body}
    with pytest.raises(error) as caught:
        _over_time(deployments, **body)
    if field:
        assert caught.value.details["field"] == field


def test_the_past_of_properties(db, django_assert_max_num_queries):
    user = make_user()
    make_blueprint("app", properties={"stars": {"type": "number"}, "tag": {"type": "string"}})

    def write(day: int, **properties: Any) -> None:
        with time_machine.travel(datetime(2026, 3, day, 12, tzinfo=UTC), tick=False):
            draft = EntityDraft("app", "pay", properties=properties)
            [item] = apply([draft], mode=Mode.MERGE, actor=ACTOR).items
            assert item.error is None

    write(2, stars=1)
    write(3, stars=2, tag="x")
    write(5, tag=None)
    body = {
        "blueprintIdentifier": "app",
        "entityIdentifier": "pay",
        "propertyNames": ["stars", "tag"],
        "timeInterval": "day",
        "timeRange": {"from": "2026-03-01", "to": "2026-03-06"},
    }
    with django_assert_max_num_queries(3):
        series = properties_history(body, principal=user)
    assert [(row["stars"], row["tag"]) for row in series.data] == [
        (None, None),
        (1, None),
        (2, "x"),
        (2, "x"),
        (2, None),
        (2, None),
    ]
    with pytest.raises(NotFound):
        properties_history({**body, "entityIdentifier": "nobody"}, principal=user)
