"""Scorecards are evaluated as a whole and entity by entity, and leave a history."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import psycopg
import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Insider
from catalog.kernel.locks import Lock
from catalog.models import Change, Entity
from catalog.services import entities, facts
from catalog.services.entities import EntityDraft, Mode, apply
from scorecards import following
from scorecards.formats import definition_of, native, read
from scorecards.models import Evaluation, Score, Scorecard, ScoreChange
from scorecards.services import definitions, evaluating, previewing
from tests.factories import make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("tests")


def rule(identifier, level, name, operator, *value, **more):
    condition = {"property": name, "operator": operator}
    if value:
        condition["value"] = value[0]
    query = {"combinator": "and", "conditions": [condition]}
    return {"identifier": identifier, "title": identifier, "level": level, "query": query, **more}


RULES = [
    rule("described", "Bronze", "description", "isNotEmpty"),
    rule("covered", "Silver", "coverage", ">=", 80),
    rule("quiet", "Gold", "incidents", "<", 3),
]


@pytest.fixture
def scorecard():
    make_blueprint(
        "service",
        schema={
            "properties": {
                "description": {"type": "string"},
                "coverage": {"type": "number"},
                "incidents": {"type": "number"},
            }
        },
    )
    write("a", description="x", coverage=90, incidents=0)
    write("b", description="x", coverage=10)
    write("c")
    body = {"identifier": "production", "title": "Production", "rules": RULES}
    made = definitions.create_scorecard("service", body, actor=ACTOR)
    evaluating.evaluate(made.pk, cause="time")
    return made


def write(identifier, **properties):
    draft = EntityDraft("service", identifier, properties=properties)
    [item] = apply([draft], mode=Mode.MERGE, actor=ACTOR).items
    assert item.error is None


def follow(*, since=0):
    """Give the consumer of the feed what it would be given; since: the pk of a change."""
    rows = Change.objects.filter(pk__gt=since).order_by("pk")
    names = [field.name for field in fields(feed.FeedRow)]
    following.follow([feed.FeedRow(**{name: getattr(row, name) for name in names}) for row in rows])


def last_change():
    return Change.objects.order_by("-pk").values_list("pk", flat=True)[0]


def levels():
    return dict(Score.objects.values_list("entity__identifier", "level"))


def test_everything_is_evaluated_with_one_statement(scorecard):
    found = Score.objects.order_by("entity__identifier").values_list(
        "entity__identifier", "statuses", "level", "points", "total", "evidence"
    )
    assert list(found) == [
        ("a", "PPP", "Gold", 3, 3, ["x", 90, 0]),
        ("b", "PFN", "Bronze", 1, 3, ["x", 10, None]),
        ("c", "FNN", "Basic", 0, 3, [None, None, None]),
    ]
    evaluation = Evaluation.objects.get()
    assert (evaluation.entities, evaluation.entered, evaluation.changed) == (3, 3, 0)
    scorecard.refresh_from_db()
    assert scorecard.evaluated_version == 1
    assert scorecard.next_evaluation_at == scorecard.evaluated_at + timedelta(hours=4)
    with CaptureQueriesContext(connection) as few:
        evaluating.evaluate(scorecard.pk, cause="time")
    for n in range(20):
        write(f"more-{n}")
    with CaptureQueriesContext(connection) as many:
        evaluating.evaluate(scorecard.pk, cause="time")
    assert len(many) <= len(few) + 8  # the initiatives' items


def test_what_comes_out_the_same_is_not_written_again(scorecard):
    before = list(Score.objects.order_by("pk").values())
    evaluating.evaluate(scorecard.pk, cause="time")
    assert list(Score.objects.order_by("pk").values()) == before
    assert ScoreChange.objects.count() == 3


def test_a_change_is_followed_entity_by_entity(scorecard):
    since = last_change()
    write("b", coverage=80, incidents=1)
    write("new", description="x")
    entities.delete([("service", "c")], actor=ACTOR)
    follow(since=since)
    assert levels() == {"a": "Gold", "b": "Gold", "new": "Bronze"}
    history = ScoreChange.objects.exclude(cause="rules").values_list(
        "identifier", "was_level", "level", "was_statuses", "statuses", "cause"
    )
    assert sorted(history) == [
        ("b", "Bronze", "Gold", "PFN", "PPP", "data"),
        ("c", "Basic", None, "FNN", None, "data"),
        ("new", None, "Bronze", None, "PNN", "data"),
    ]
    told = Change.objects.filter(model="score").values_list("identifier", "before", "after")
    assert list(told) == [
        (
            "b",
            {
                "scorecard": "production",
                "level": "Bronze",
                "rules": {"covered": "fail", "quiet": "no_data"},
            },
            {
                "scorecard": "production",
                "level": "Gold",
                "rules": {"covered": "pass", "quiet": "pass"},
            },
        )
    ]


def test_a_new_version_is_evaluated_as_a_whole_and_tells_nobody(scorecard):
    since = last_change()
    body = {
        "title": "Production",
        "rules": [*RULES[1:], rule("owned", "Bronze", "$team", "isEmpty")],
    }
    definitions.replace_scorecard("service", "production", body, actor=ACTOR)
    write("a", coverage=1)
    follow(since=since)
    assert levels()["a"] == "Gold"  # its turn as a whole comes first
    scorecard.refresh_from_db()
    assert scorecard.next_evaluation_at <= timezone.now()
    evaluating.evaluate(scorecard.pk, cause="time")
    assert dict(Score.objects.values_list("entity__identifier", "statuses")) == {
        "a": ".FPP",
        "b": ".FNP",
        "c": ".NNP",
    }
    assert set(ScoreChange.objects.filter(version=2).values_list("cause", flat=True)) == {"rules"}
    assert not Change.objects.filter(model="score").exists()


def test_jq_rules_are_run_apart_and_their_errors_are_not_failures(scorecard):
    rules = [
        {"identifier": "short", "title": "s", "jq": ".properties.description | length < 3"},
        {"identifier": "broken", "title": "b", "jq": ".identifier.x == 1"},
        {"identifier": "unknown", "title": "u", "jq": ".facts.audited"},
    ]
    body = {"title": "Production", "rules": rules}
    definitions.replace_scorecard("service", "production", body, actor=ACTOR)
    evaluating.evaluate(scorecard.pk, cause="time")
    assert Score.objects.get(entity__identifier="a").statuses == "...PEN"
    since = last_change()
    write("a", description="long enough")
    key = ("service", "a")
    [result] = facts.put_facts([facts.FactDraft(*key, "audited", True)], actor=ACTOR)
    assert result.error is None
    follow(since=since)
    score = Score.objects.get(entity__identifier="a")
    assert (score.statuses, score.points, score.total) == ("...FEP", 1, 3)


def test_a_filter_may_need_the_sandbox(scorecard):
    """What it says of an entity is known before the rules are asked of those who are meant."""
    short = 'jq(entity.description(), "ascii_downcase | length") < 3'
    program = {"identifier": "named", "title": "n", "jq": '.identifier == "a"'}
    body = {"title": "Production", "filter": {"query": short}, "rules": [program]}
    definitions.replace_scorecard("service", "production", body, actor=ACTOR)
    evaluating.evaluate(scorecard.pk, cause="time")
    found = Score.objects.values_list("entity__identifier", "statuses")
    assert sorted(found) == [("a", "...P"), ("b", "...F")]
    since = last_change()
    write("c", description="x")
    write("a", description="long enough")
    follow(since=since)
    assert set(levels()) == {"b", "c"}


def test_a_second_evaluation_at_once_is_refused(scorecard):
    body = {"identifier": "other", "title": "Other", "rules": RULES}
    other = definitions.create_scorecard("service", body, actor=ACTOR)
    with psycopg.connect(**connection.get_connection_params() | {"context": None}) as elsewhere:
        elsewhere.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [Lock.SCORECARD, other.pk])
        with pytest.raises(evaluating.EvaluationRunning):
            evaluating.evaluate_now(other, actor=ACTOR)
    assert evaluating.evaluate_now(other, actor=ACTOR).entities == 3


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", None])
def test_what_fails_is_noted_and_tried_again(scorecard, monkeypatch, statement):
    def broken(*_args, **_kwargs):
        with connection.cursor() as cursor:
            cursor.execute(statement or "SELECT 1")
        raise ValueError

    monkeypatch.setattr(evaluating, "run_calls", broken)
    with pytest.raises(DataError if statement else ValueError):
        evaluating.evaluate(scorecard.pk, cause="time")
    scorecard.refresh_from_db()
    assert scorecard.error == ("division by zero" if statement else "ValueError")
    assert scorecard.next_evaluation_at > timezone.now()
    since = last_change()
    write("a", coverage=1)
    follow(since=since)  # keeps no other scorecard from its turn
    monkeypatch.undo()
    evaluating.evaluate(scorecard.pk, cause="time")
    scorecard.refresh_from_db()
    assert (scorecard.error, levels()["a"]) == ("", "Bronze")


def test_what_is_changed_during_an_evaluation_is_due_again(scorecard, monkeypatch):
    def changed(*_args, **_kwargs):
        Scorecard.objects.update(next_evaluation_at=timezone.now())

    monkeypatch.setattr(evaluating, "run_calls", changed)
    evaluating.evaluate(scorecard.pk, cause="time")
    assert evaluating.due(timezone.now()) == [scorecard.pk]


def test_a_rule_may_count_until_the_last_of_days(scorecard):
    rules = [{**RULES[0], "effectiveUntil": "9999-12-31"}]
    body = {"identifier": "for-ever", "title": "For ever", "rules": rules}
    other = definitions.create_scorecard("service", body, actor=ACTOR)
    assert evaluating.evaluate_now(other, actor=ACTOR).entities == 3


def test_what_rules_see_is_told_however_large_it_is(scorecard):
    put = facts.put_facts([facts.FactDraft("service", "a", "big", 2**53)], actor=ACTOR)
    assert not put[0].error
    squared = {"identifier": "squared", "expression": 'custom("big") * custom("big") > 1'}
    body = {"identifier": "large", "title": "Large", "rules": [squared]}
    other = definitions.create_scorecard("service", body, actor=ACTOR)
    evaluating.evaluate_now(other, actor=ACTOR)
    answer = make_api().get("/v1/blueprints/service/entities/a/scorecards")
    assert answer.status_code == 200
    assert str(2**106) in answer.content.decode()


def test_archived_ones_are_left_alone(scorecard):
    Scorecard.objects.update(state=Scorecard.State.ARCHIVED)
    write("a", coverage=1)
    assert evaluating.evaluate(scorecard.pk, cause="time") is None
    assert levels()["a"] == "Gold"


CHANGED = [
    [*RULES, rule("calm", "Bronze", "incidents", "<", 1)],
    [RULES[0], rule("covered", "Silver", "coverage", ">=", 5), RULES[2]],
    [{**RULES[1], "weight": 0}, RULES[2]],
    [{**one, "effectiveFrom": "2999-01-01"} for one in RULES],
    [{**RULES[0], "filter": RULES[1]["query"]}, RULES[2]],
    [rule("described", "Gold", "description", "isEmpty")],
]


@pytest.mark.parametrize("rules", CHANGED)
@pytest.mark.parametrize("filter", [None, RULES[0]["query"]])
def test_the_preview_is_what_publishing_then_does(scorecard, rules, filter):
    body = {"title": "Production", "rules": rules}
    if filter:
        body["filter"] = filter
    was = levels()
    definition = read("native", "production", "service", native.check(body))
    shown = previewing.preview(definition, current=scorecard, principal=Insider())
    assert levels() == was  # nothing is stored
    replaced = definitions.replace_scorecard("service", "production", body, actor=ACTOR)
    evaluating.evaluate(scorecard.pk, cause="time")
    now = levels()
    ranks = [one.title for one in definition_of(replaced).levels]
    moved = {name: (was.get(name), now.get(name)) for name in {*was, *now}}
    up = {n for n, (a, b) in moved.items() if a and b and ranks.index(a) < ranks.index(b)}
    down = {n for n, (a, b) in moved.items() if a and b and ranks.index(a) > ranks.index(b)}
    assert {one.identifier for one in shown.raised.names} == up
    assert {one.identifier for one in shown.lowered.names} == down
    assert {one.identifier for one in shown.left.names} == was.keys() - now.keys()
    assert {one.level.title: one.now for one in shown.levels if one.now} == {
        level: list(now.values()).count(level) for level in set(now.values())
    }
    assert (shown.entities, shown.was_entities) == (len(now), len(was))
    slots = dict(replaced.rules.values_list("identifier", "slot"))
    for one in shown.rules:
        letters = [
            evaluating.status_at(statuses, slots[one.identifier]).name
            for statuses in Score.objects.values_list("statuses", flat=True)
        ]
        assert one.now == {name: letters.count(name) for name in set(letters)}


def test_one_entity_is_tried_on_with_other_values(scorecard):
    entity = Entity.objects.select_related("blueprint").get(identifier="b")
    tried = previewing.try_on(
        definition_of(scorecard), entity, current=scorecard, properties={"coverage": 80}
    )
    assert (tried.statuses, tried.level, tried.evidence) == ("PPN", "Silver", ["x", 80, None])
    entity.refresh_from_db()
    assert entity.properties["coverage"] == 10
    assert levels()["b"] == "Bronze"


def test_a_scorecard_of_many_kinds_leaves_system_ones_out(scorecard):
    make_blueprint("database", schema={"properties": {"description": {"type": "string"}}})
    make_entity("database", "main")
    body = {"identifier": "basics", "title": "Basics", "rules": [RULES[0]]}
    made = definitions.save("basics", body, dialect="native", blueprint=None, actor=ACTOR)
    evaluating.evaluate(made.pk, cause="time")
    assert made.scores.count() == 4
    assert not made.scores.filter(entity__blueprint__is_system=True).exists()
