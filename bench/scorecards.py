"""A scorecard of ten rules over many entities, beside the same ten rules written by hand in SQL;
and one changed entity, from its write to its new result.

python bench/scorecards.py [--count 100000]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engines import engines

RULES = [
    ("description", "isNotEmpty", None, "Bronze"),
    ("$team", "isNotEmpty", None, "Bronze"),
    ("lifecycle", "=", "production", "Bronze"),
    ("language", "in", ["Python", "Go", "Java"], "Bronze"),
    ("tier", "<=", 2, "Silver"),
    ("onCall", "isNotEmpty", None, "Silver"),
    ("coverage", ">=", 80, "Silver"),
    ("incidents", "<", 3, "Gold"),
    ("tags", "contains", "audited", "Gold"),
    ("deployedAt", ">", "2026-01-01", "Gold"),
]

# What somebody who knows PostgreSQL would write for these rules: answers, level and points.
ANSWERS = """
answers AS MATERIALIZED (
    SELECT id, {evidence} AS evidence,
        coalesce(properties ->> 'description', '') <> '' AS r0,
        team <> '{{}}' AS r1,
        properties ->> 'lifecycle' = 'production' AS r2,
        properties ->> 'language' IN ('Python', 'Go', 'Java') AS r3,
        (properties ->> 'tier')::numeric <= 2 AS r4,
        coalesce(properties ->> 'onCall', '') <> '' AS r5,
        (properties ->> 'coverage')::numeric >= 80 AS r6,
        (properties ->> 'incidents')::numeric < 3 AS r7,
        properties -> 'tags' @> '["audited"]' AS r8,
        (properties ->> 'deployedAt')::timestamptz > '2026-01-01' AS r9
    FROM catalog_entity WHERE blueprint_id = %s
),
judged AS MATERIALIZED (
    SELECT id, evidence, ARRAY[r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] AS answers,
       CASE WHEN (r0 AND r1 AND r2 AND r3) IS NOT TRUE THEN 'Basic'
            WHEN (r4 AND r5 AND r6) IS NOT TRUE THEN 'Bronze'
            WHEN (r7 AND r8 AND r9) IS NOT TRUE THEN 'Silver' ELSE 'Gold' END AS level,
       (r0 IS TRUE)::int + (r1 IS TRUE)::int + (r2 IS TRUE)::int + (r3 IS TRUE)::int
       + (r4 IS TRUE)::int + (r5 IS TRUE)::int + (r6 IS TRUE)::int + (r7 IS TRUE)::int
       + (r8 IS TRUE)::int + (r9 IS TRUE)::int AS points
    FROM answers
)"""
SEEN = ", ".join(f"properties -> '{name}'" for name, *_ in RULES)
EVIDENCE = f"jsonb_build_array(team, {SEEN})"
BY_HAND = f"""
WITH {ANSWERS.format(evidence="NULL")}
INSERT INTO by_hand (entity_id, answers, level, points, evaluated_at)
SELECT id, answers, level, points, now() FROM judged
ON CONFLICT (entity_id) DO UPDATE SET answers = excluded.answers, level = excluded.level,
    points = excluded.points, evaluated_at = excluded.evaluated_at
WHERE (by_hand.answers, by_hand.level) IS DISTINCT FROM (excluded.answers, excluded.level)
"""
# The same with what idp keeps besides: the values it saw, and a history.
BY_HAND_KEEPING = f"""
WITH {ANSWERS.format(evidence=EVIDENCE)},
differing AS MATERIALIZED (
    SELECT n.*, h.answers AS was_answers, h.level AS was_level
    FROM judged n LEFT JOIN by_hand_keeping h ON h.entity_id = n.id
    WHERE (h.answers, h.level, h.evidence) IS DISTINCT FROM (n.answers, n.level, n.evidence)
),
written AS (
    INSERT INTO by_hand_keeping (entity_id, answers, level, points, evidence, evaluated_at)
    SELECT id, answers, level, points, evidence, now() FROM differing
    ON CONFLICT (entity_id) DO UPDATE SET answers = excluded.answers, level = excluded.level,
        points = excluded.points, evidence = excluded.evidence, evaluated_at = excluded.evaluated_at
)
INSERT INTO by_hand_history (entity_id, was_answers, answers, was_level, level, at)
SELECT id, was_answers, answers, was_level, level, now() FROM differing
"""
TABLES = """
CREATE TABLE by_hand (id bigserial PRIMARY KEY, entity_id bigint UNIQUE, answers boolean[],
    level text, points int, evaluated_at timestamptz);
CREATE TABLE by_hand_keeping (id bigserial PRIMARY KEY, entity_id bigint UNIQUE, answers boolean[],
    level text, points int, evidence jsonb, evaluated_at timestamptz);
CREATE TABLE by_hand_history (id bigserial PRIMARY KEY, entity_id bigint, was_answers boolean[],
    answers boolean[], was_level text, level text, at timestamptz);
CREATE INDEX ON by_hand_history (entity_id, at, id);
CREATE INDEX ON by_hand_history (at, id)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    with engines():
        measure(count)


def measure(count: int) -> None:
    from django.db import connection

    from catalog.kernel import feed
    from catalog.kernel.actors import Actor
    from catalog.services.entities import EntityDraft, Mode, apply
    from scorecards import following
    from scorecards.models import Scorecard
    from scorecards.services.definitions import create_scorecard
    from scorecards.services.evaluating import evaluate

    actor = Actor.system("bench")
    blueprint = fill(count, actor)
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        cursor.execute("VACUUM ANALYZE catalog_entity")
    create_scorecard("service", document(), actor=actor)
    scorecard = Scorecard.objects.get()

    def by_hand(sql: str = BY_HAND) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, [blueprint])

    def keeping() -> None:
        by_hand(BY_HAND_KEEPING)

    def ours() -> None:
        evaluate(scorecard.pk, cause="time")

    for name, act in [
        ("by hand, first time", by_hand),
        ("by hand with evidence and history, first time", keeping),
        ("idp, first time", ours),
        ("by hand, nothing changed", by_hand),
        ("by hand with evidence, nothing changed", keeping),
        ("idp, nothing changed", ours),
    ]:
        report(name, timed(act), count)
    check(scorecard, count)
    report("idp, what if one rule were another", timed(lambda: what_if(scorecard)), count)

    # one entity: from its write, through the feed, to its result
    while feed.consume(following.CONSUMER, following.follow):
        pass
    waits = []
    for n in range(10):
        began = time.perf_counter()
        draft = EntityDraft("service", f"s{n}", properties={"coverage": n * 10 + 0.5})
        apply([draft], mode=Mode.MERGE, actor=actor)
        written = time.perf_counter()
        while not feed.consume(following.CONSUMER, following.follow):
            time.sleep(0.001)
        waits.append(((time.perf_counter() - written) * 1000, (written - began) * 1000))
    waits.sort()
    print(
        f"{'one changed entity: its result is new after':48} {waits[5][0]:8.1f} ms"
        f"  (the write itself {waits[5][1]:.1f} ms)"
    )
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'memory of the process that evaluates':48} {used:8.0f} MB")


def fill(count: int, actor: Any) -> int:
    from catalog.models import TEAM, Blueprint
    from catalog.services.blueprints import create_blueprint
    from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply

    types = {
        **{key: {"type": "string"} for key in ["description", "lifecycle", "language", "onCall"]},
        **{key: {"type": "number"} for key in ["tier", "coverage", "incidents"]},
        "tags": {"type": "array"},
        "deployedAt": {"type": "string", "format": "date-time"},
    }
    create_blueprint(
        {"identifier": "service", "title": "Service", "schema": {"properties": types}}, actor=actor
    )
    teams = [EntityDraft(TEAM, f"team-{n}", title=f"Team {n}") for n in range(50)]
    apply(teams, mode=Mode.CREATE, actor=actor)
    random = Random(7)
    drafts = [EntityDraft("service", f"s{n}", **content(random)) for n in range(count)]
    for at in range(0, count, 5000):
        apply(
            drafts[at : at + 5000],
            mode=Mode.CREATE,
            actor=actor,
            missing_targets=MissingTargets.DANGLE,
        )
    return Blueprint.objects.get(identifier="service").pk


def content(random: Random) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "lifecycle": random.choice(["production", "production", "experimental"]),
        "language": random.choice(["Python", "Go", "Java", "Perl"]),
        "tier": random.randint(1, 4),
        "coverage": random.randint(0, 1000) / 10,
        "incidents": random.randint(0, 6),
        "tags": random.sample(["audited", "pci", "batch", "edge"], 2),
        "deployedAt": f"202{random.randint(5, 6)}-0{random.randint(1, 9)}-11T08:00:00Z",
    }
    if random.random() < 0.8:
        properties["description"] = "What it does, for whom, and since when. " * 2
    if random.random() < 0.7:
        properties["onCall"] = f"rota-{random.randint(1, 20)}"
    team = [f"team-{random.randint(0, 49)}"] if random.random() < 0.9 else []
    return {"properties": properties, "team": team}


def document() -> dict[str, Any]:
    def condition(name: str, operator: str, value: Any) -> dict[str, Any]:
        stated = {"property": name, "operator": operator}
        return stated if value is None else {**stated, "value": value}

    return {
        "identifier": "production",
        "title": "Production readiness",
        "rules": [
            {
                "identifier": f"r{n}",
                "title": f"{name} {operator}",
                "level": level,
                "query": {"combinator": "and", "conditions": [condition(name, operator, value)]},
            }
            for n, (name, operator, value, level) in enumerate(RULES)
        ],
    }


def what_if(scorecard: Any) -> None:
    from dataclasses import replace

    from catalog.kernel.actors import Insider
    from scorecards.formats import definition_of
    from scorecards.services.previewing import preview

    definition = definition_of(scorecard)
    first, *others = definition.rules
    changed = replace(definition, rules=(replace(first, level="Gold"), *others))
    preview(changed, current=scorecard, principal=Insider())


def check(scorecard: Any, count: int) -> None:
    """Both must say the same, or their times compare nothing."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM by_hand h JOIN scorecards_score s ON s.entity_id = h.entity_id "
            "WHERE s.scorecard_id = %s AND s.level = h.level AND s.points = h.points",
            [scorecard.pk],
        )
        same = cursor.fetchone()[0]
    if same != count:
        raise SystemExit(f"The two agree on {same} of {count} entities")


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def report(name: str, seconds: float, count: int) -> None:
    print(f"{name:48} {seconds:8.2f} s  {count * len(RULES) / seconds:12,.0f} rules/s")


if __name__ == "__main__":
    main()
