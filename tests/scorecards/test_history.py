"""History of scores: what the statements say of random histories, beside a slow and plain model."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.kernel.actors import Role
from catalog.models import Entity
from scorecards.models import Rollup, ScorecardVersion, ScoreChange
from scorecards.selectors import history, rollups, rule_history
from scorecards.selectors.results import ladder_of
from scorecards.services.rollups import roll_up
from tests.factories import make_api, make_blueprint, make_browser, make_entity
from tests.scorecards.stored import LEVELS, START, make_change, make_score, make_scorecard

pytestmark = pytest.mark.django_db

DAYS, ENTITIES, CHANGES = 100, 60, 2500
END = START + timedelta(days=DAYS)
BLOCKING, COUNTED = "FNE", "PFNE"


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_history_says_what_a_plain_model_says(seed: int) -> None:
    random = Random(seed)
    with transaction.atomic():
        scorecard = make_scorecard(rules={"a": "Bronze", "b": "Gold", "c": "Gold"})
        changes = random_history(scorecard, random)
        check_shares(scorecard, changes, random)
        check_entities(scorecard, changes, random)
        check_rules(scorecard, changes, random)
        transaction.set_rollback(True)


def random_history(scorecard, random: Random) -> list[ScoreChange]:
    """Some entities come, change, go and come again; some at the very same moment; half of them
    at the edges of days."""
    moments = sorted(
        START + timedelta(days=random.randrange(DAYS), seconds=random.choice([0, 0, 1, 50_000]))
        for _ in range(CHANGES)
    )
    states: dict[int, tuple[str, int] | None] = {}
    made = []
    for at in moments:
        entity = random.randrange(1, ENTITIES)
        was, now = states.get(entity), None
        if was is None or random.random() < 0.9:
            letters = "".join(random.choice("PPFFNX-") for _ in range(random.choice([2, 3])))
            now = (letters, random.randrange(3))
        cause = random.choice(["data", "data", "rules", "exemption"])
        kind = "service" if entity % 3 else "api"
        made.append(make_change(scorecard, entity, at, was, now, cause=cause, blueprint=kind))
        states[entity] = now
    return ScoreChange.objects.bulk_create(made)


def stood(changes, moment, *, before=False) -> dict[int, ScoreChange]:
    last = {}
    for one in changes:
        if one.at < moment or (one.at == moment and not before):
            last[one.entity_id] = one
    return {entity: one for entity, one in last.items() if one.statuses is not None}


def check_shares(scorecard, changes, random: Random) -> None:
    since = START + timedelta(days=random.randrange(-10, 50), hours=7)
    until = since + timedelta(days=random.randrange(1, 60), seconds=random.choice([0, 61_201]))
    for grain in history.GRAINS:
        for kind, group in (("all", None), ("blueprint", "api")):
            told = history.shares(
                scorecard, grain=grain, since=since, until=until, kind=kind, group=group
            )
            assert told[0].at <= since < told[-1].at + timedelta(days=60)
            assert told[-1].at < until
            for n, share in enumerate(told):
                ends = told[n + 1].at if n + 1 < len(told) else until
                expected = Counter(
                    one.level
                    for one in stood(changes, ends, before=True).values()
                    if group in (None, one.blueprint)
                )
                assert share.levels == dict(expected), (grain, kind, share.at)
                assert share.total == expected.total()


def check_entities(scorecard, changes, random: Random) -> None:
    for _ in range(20):
        entity = random.randrange(1, ENTITIES)
        at = START + timedelta(days=random.randrange(DAYS), seconds=random.choice([0, 1, 7]))
        expected = stood(changes, at).get(entity)
        state = history.state_on(scorecard, entity, at)
        assert (state and state.level) == (expected and expected.level)
        series = history.series_of(scorecard, entity, since=at)
        assert [one.pk for one in series if one.at > at] == [
            one.pk for one in changes if one.entity_id == entity and one.at > at
        ]
        day = at.date()
        ended = stood(changes, datetime(day.year, day.month, day.day, tzinfo=UTC)
                      + timedelta(days=1), before=True).get(entity)  # fmt: skip
        state = history.state_on(scorecard, entity, day)
        statuses = history.statuses_of(state, scorecard.rules.all()) if state else {}
        assert {name: one.letter for name, one in statuses.items()} == (
            dict(zip("abc", ended.statuses, strict=False)) if ended else {}
        )


def check_rules(scorecard, changes, random: Random) -> None:
    since = START + timedelta(days=random.randrange(DAYS))
    flips, broken = Counter(), Counter()
    opened: dict[tuple[str, int], datetime] = {}
    took = defaultdict(list)
    fallen = []
    for one in changes:
        if one.at >= since and one.cause != "rules" and one.statuses and one.was_statuses:
            if one.rank < one.was_rank:
                fallen.append(one.pk)
            for name, was, now in zip("abc", one.was_statuses, one.statuses, strict=False):
                if was in COUNTED and now in COUNTED and (was == "P") != (now == "P"):
                    flips[name] += 1
                    broken[name] += was == "P"
        for n, name in enumerate("abc"):
            letter = (one.statuses or "")[n : n + 1]
            is_open = letter != "" and letter in BLOCKING
            began = opened.get((name, one.entity_id))
            if is_open and began is None:
                opened[name, one.entity_id] = one.at
            elif not is_open and began is not None:
                del opened[name, one.entity_id]
                if letter == "P" and one.at >= since:
                    took[name].append(one.at - began)
    told = history.flips(scorecard, since)
    assert {one.rule.identifier: (one.count, one.broken) for one in told} == {
        name: (flips[name], broken[name]) for name in flips
    }
    assert [one.count for one in told] == sorted(flips.values(), reverse=True)
    fixes = history.mean_time_to_fix(scorecard, since=since)
    waiting = Counter(name for name, _ in opened)
    for name in "abc":
        assert (fixes[name].count, fixes[name].open) == (len(took[name]), waiting[name])
        if took[name]:
            mean = sum(took[name], timedelta()) / len(took[name])
            assert abs(fixes[name].mean - mean) < timedelta(milliseconds=1)
    lower = history.regressions([scorecard], since=since)
    assert {one.pk for one in lower} == set(fallen)
    assert all(one.entity_id < 9 for one in lower.filter(entity_id__lt=9))


def test_an_empty_window_and_one_too_long() -> None:
    scorecard = make_scorecard()
    assert history.shares(scorecard, since=END, until=START) == []
    told = history.shares(scorecard, grain="day", since=START - timedelta(days=5000), until=END)
    assert len(told) == history.MAX_PERIODS
    assert told[-1] == (END - timedelta(days=1), {}, 0)
    with pytest.raises(ValueError, match="year"):
        history.shares(scorecard, grain="year", since=START)


def test_versions_are_lines_in_charts() -> None:
    scorecard = make_scorecard()
    for version in (2, 3):
        ScorecardVersion.objects.create(
            scorecard=scorecard, version=version, at=START + timedelta(days=version), by="t"
        )
    told = history.boundaries(scorecard, START + timedelta(hours=1), START + timedelta(days=3))
    assert [one.version for one in told] == [2]


@pytest.fixture
def shop():
    """Two teams under one, a domain two hops away, and results for all of it."""
    make_blueprint("domain")
    make_blueprint("system", relations={"domain": {"target": "domain"}})
    make_blueprint("service", relations={"system": {"target": "system"}})
    for name, parent in (("all", None), ("core", "all"), ("web", "all")):
        make_entity("_team", name, relations={"parent": parent} if parent else {})
    make_entity("domain", "money")
    make_entity("system", "pay", relations={"domain": "money"})
    scorecard = make_scorecard()
    for name, teams, system, statuses, rank in (
        ("a", ["core", "web"], "pay", "PP", 2),
        ("b", ["core"], None, "PF", 1),
        ("c", [], "pay", "F-", 0),
        ("d", ["web"], None, "F.", 0),
    ):
        entity = make_entity("service", name, team=teams, relations={"system": system})
        make_score(scorecard, entity, statuses, rank)
    return scorecard


def rolled(scorecard, kind) -> dict[str, tuple]:
    rows = Rollup.objects.filter(scorecard=scorecard, kind=kind)
    return {row.group: (row.entities, row.ranks, row.points, row.total) for row in rows}


def test_roll_ups_add_up(shop, django_assert_num_queries) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with django_assert_num_queries(2 + 4):  # a transaction, and one for each kind
        roll_up(now)
    assert rolled(shop, "all") == {"": (4, [2, 1, 1], 3, 6)}
    assert rolled(shop, "team") == {
        "core": (2, [0, 1, 1], 3, 4),
        "web": (2, [1, 0, 1], 2, 3),
        "": (1, [1, 0, 0], 0, 1),
    }
    assert rolled(shop, "blueprint") == {"service": (4, [2, 1, 1], 3, 6)}
    assert rolled(shop, "domain") == {"money": (2, [1, 0, 1], 2, 3), "": (2, [1, 1, 0], 1, 3)}
    rules = Rollup.objects.get(kind="all").rules
    assert rules == {"0": {"P": 2, "F": 2}, "1": {"P": 1, "F": 1, "-": 1}}

    above = {one.group: one for one in rollups.of_teams(shop)}
    assert {name: one.entities for name, one in above.items()} == {
        "all": 3, "core": 2, "web": 2, "": 1
    }  # fmt: skip
    assert above["all"].levels == {"Basic": 1, "Bronze": 1, "Gold": 1}
    assert {one.group for one in rollups.of_teams(shop, with_subteams=False)} == {"core", "web", ""}

    # again on the same day: what is gone goes, nothing doubles; the next day gets its own rows
    Entity.objects.filter(identifier="a").update(team=["core"])
    Entity.objects.filter(identifier="d").delete()
    roll_up(now + timedelta(hours=1), [shop.pk])
    assert rolled(shop, "all") == {"": (3, [1, 1, 1], 3, 5)}
    assert set(rolled(shop, "team")) == {"core", ""}
    roll_up(now + timedelta(days=1))
    assert Rollup.objects.filter(kind="all").count() == 2
    told = history.shares(
        shop, grain="day", since=now - timedelta(days=1), until=now + timedelta(days=2),
        kind="team", group="core",
    )  # fmt: skip
    assert [(one.at.date(), one.levels, one.total) for one in told] == [
        (date(2026, 2, 28), {}, 0),
        (date(2026, 3, 1), {"Bronze": 1, "Gold": 1}, 2),
        (date(2026, 3, 2), {"Bronze": 1, "Gold": 1}, 2),
        (date(2026, 3, 3), {}, 0),
    ]


def test_roll_ups_leave_out_what_is_not_evaluated() -> None:
    make_scorecard("old", state="archived")
    make_scorecard("new", evaluated_version=None)
    empty = make_scorecard("empty")
    roll_up(END)
    assert [(one.scorecard_id, one.entities, one.ranks) for one in Rollup.objects.all()] == [
        (empty.pk, 0, [0] * len(LEVELS))
    ]


@pytest.fixture
def told(db):
    """Two entities with a short history; one of them is gone."""
    service = make_blueprint("service")
    scorecard = make_scorecard(blueprint=service)
    pay = make_entity("service", "pay")
    gone, day = pay.pk + 1, timedelta(days=1)
    ScoreChange.objects.bulk_create(
        [
            make_change(scorecard, pay.pk, START, None, ("FF", 0), identifier="pay"),
            make_change(scorecard, pay.pk, START + day, ("FF", 0), ("PP", 2), identifier="pay"),
            make_change(scorecard, gone, START + day, None, ("PF", 1), identifier="a:b"),
            make_change(scorecard, pay.pk, END, ("PP", 2), ("PX", 1), identifier="pay"),
            make_change(scorecard, gone, END, ("PF", 1), None, identifier="a:b"),
        ]
    )
    return scorecard


URL = "/v1/scorecards/production"


def test_the_api_tells_the_history_of_an_entity(told) -> None:
    api = make_api(Role.VIEWER)
    answer = api.get(f"{URL}/history", {"entity": "pay"}).json()
    assert [(one["at"][:10], one["level"]) for one in answer["history"]] == [
        ("2026-01-01", "Basic"),
        ("2026-01-02", "Gold"),
        ("2026-04-11", "Bronze"),
    ]
    assert answer["history"][-1]["rules"] == {"owner": "pass", "docs": "exempt"}
    assert answer["versions"] == [
        {"version": 1, "createdAt": "2026-01-01T00:00:00.000Z", "createdBy": "t"}
    ]

    def on(moment, entity="pay"):
        found = api.get(f"{URL}/history", {"entity": entity, "on": moment}).json()["history"]
        return [one["level"] for one in found]

    assert on("2025-12-31") == []
    assert on("2026-01-02") == on("2026-01-02T00:00:00Z") == ["Gold"]
    assert on("2026-01-01T23:59:59Z") == on("2026-01-01") == ["Basic"]
    assert (on("2026-04-10", "a:b"), on("2026-04-11", "a:b")) == (["Bronze"], [])


def test_the_api_tells_the_trend(told) -> None:
    api = make_api(Role.VIEWER)
    answer = api.get(f"{URL}/trend", {"grain": "month", "from": "2026-02-10", "to": "2026-04-12"})
    assert [(one["at"][:7], one["total"]) for one in answer.json()["trend"]] == [
        ("2026-02", 2),
        ("2026-03", 2),
        ("2026-04", 1),
    ]
    assert answer.json()["trend"][0]["levels"] == [
        {"level": "Bronze", "entities": 1},
        {"level": "Gold", "entities": 1},
    ]
    assert len(api.get(f"{URL}/trend").json()["trend"]) == 27
    team = api.get(f"{URL}/trend", {"group": "team:core"})
    assert {one["total"] for one in team.json()["trend"]} == {0}


def test_teams_are_not_compared_where_that_is_switched_off(told, settings) -> None:
    settings.IDP_SCORECARD_RANKING = False
    group = {"group": "team:core"}
    assert make_api(Role.VIEWER).get(f"{URL}/trend", group).status_code == 403
    assert make_api().get(f"{URL}/trend", group).status_code == 200


def test_the_api_tells_changes_page_by_page(told, django_assert_num_queries) -> None:
    api = make_api(Role.VIEWER)
    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{URL}/changes", {"limit": 2, "from": cursor}).json()
        found += page["changes"]
        cursor = page["next"]
    assert [(one["entity"], one["direction"]) for one in found] == [
        ("a:b", None),
        ("pay", "down"),
        ("a:b", None),
        ("pay", "up"),
        ("pay", None),
    ]
    assert found[0]["after"] is None
    assert found[1]["before"] == {"level": "Gold", "rules": {"docs": "pass"}}
    assert found[1]["after"] == {"level": "Bronze", "rules": {"docs": "exempt"}}
    assert found[4]["before"] is None
    for narrowed, count in (
        ({"direction": "down"}, 1),
        ({"entity": "a:b"}, 2),
        ({"since": "2026-01-02", "until": "2026-04-11"}, 2),
    ):
        assert len(api.get(f"{URL}/changes", narrowed).json()["changes"]) == count
    with django_assert_num_queries(4):
        api.get(f"{URL}/changes")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("history", "entity"),
        ("history?entity=pay&on=yesterday", "on"),
        ("trend?grain=year", "grain"),
        ("trend?from=2026-02-01&to=2026-01-01", "from"),
        ("trend?to=0001-01-01", "to"),
        ("trend?group=core", "group"),
        ("changes?direction=left", "direction"),
        ("changes?limit=0", "limit"),
        ("rules?since=soon", "since"),
        ("rules?since=2026-02-01&until=2026-02-01", "since"),
        ("rules?until=0001-01-01", "until"),
        ("changes?from=x", "after"),
    ],
)
def test_the_api_says_what_is_wrong(told, path, field) -> None:
    answer = make_api().get(f"{URL}/{path}")
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)


def test_what_there_is_not_is_not_found(told) -> None:
    for path in ("history?entity=gone", "history?entity=service:pay"):
        assert make_api().get(f"{URL}/{path}").status_code == 404
    assert make_api().get("/v1/scorecards/gone/trend").status_code == 404
    make_scorecard("open")
    answer = make_api().get("/v1/scorecards/open/history?entity=service:pay")
    assert (answer.status_code, answer.json()["history"]) == (200, [])


DAY = timedelta(days=1)


@pytest.fixture
def restless(db):
    """`owner` was open for two days, is passed, and open again; `docs` was never touched."""
    scorecard = make_scorecard(blueprint=make_blueprint("service"))
    pay = make_entity("service", "pay", title="Payments").pk
    shop = make_entity("service", "shop").pk
    rows = [
        (pay, 0, None, ("FF", 0), "data"),
        (pay, 2, ("FF", 0), ("PF", 1), "data"),
        (shop, 3, None, ("PF", 1), "data"),
        (shop, 4, ("PF", 1), ("NF", 0), "data"),
        (pay, 5, ("PF", 1), ("FF", 0), "data"),
        (pay, 6, ("FF", 0), ("PF", 1), "rules"),
    ]
    ScoreChange.objects.bulk_create(
        make_change(scorecard, entity, START + days * DAY, was, now, cause=cause)
        for entity, days, was, now, cause in rows
    )
    return scorecard


def test_the_api_tells_how_rules_fare(restless, django_assert_num_queries) -> None:
    api = make_api(Role.VIEWER)
    window = {"since": "2026-01-01", "until": "2026-01-10"}
    owner, docs = api.get(f"{URL}/rules", window).json()["rules"]
    assert owner == {
        "identifier": "owner", "title": "Owner", "level": "Bronze",
        "flips": 3, "broken": 2, "mended": 1, "meanTimeToFix": 1.5 * 86_400,
    }  # fmt: skip
    assert (docs["flips"], docs["meanTimeToFix"]) == (0, None)
    # what came to be open before the window counts from then on
    short = {"since": "2026-01-03", "until": "2026-01-05"}
    owner, _ = api.get(f"{URL}/rules", short).json()["rules"]
    assert (owner["broken"], owner["mended"], owner["meanTimeToFix"]) == (0, 1, 2 * 86_400)
    assert api.get(f"{URL}/rules", {"until": "2026-01-10"}).json()["since"][:10] == "2025-10-12"
    with django_assert_num_queries(8):
        api.get(f"{URL}/rules", window)


def test_of_a_long_history_the_newest_is_read(restless, monkeypatch) -> None:
    monkeypatch.setattr(rule_history, "MAX_CHANGES", 3)
    course = rule_history.course_of(ladder_of(restless), since=START, until=END)
    assert (course.is_cut, course.since) == (True, START + 3 * DAY + timedelta(microseconds=1))
    assert [(one.broken, one.mended, one.mean) for one in course.rules] == [
        (2, 0, DAY),
        (0, 0, None),
    ]
    monkeypatch.setattr(rule_history, "MAX_CHANGES", 6)
    assert not rule_history.course_of(ladder_of(restless), since=START, until=END).is_cut


def test_the_history_page_names_the_rules_that_flip(restless) -> None:
    browser, url = make_browser(), "/scorecards/service/production/-/history"
    assert "No rule came out differently" in browser.get(url).content.decode()
    ScoreChange.objects.update(at=F("at") + (timezone.now() - START - 9 * DAY))
    html = browser.get(url).content.decode()
    assert "1\N{NO-BREAK SPACE}day, 12\N{NO-BREAK SPACE}hours" in html
    assert html.index(">Payments<") < html.index(">shop<")  # the newest first
    assert 'ui-strong">Owner<' in html
    assert 'ui-strong">Docs<' not in html
