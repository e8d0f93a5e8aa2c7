"""Computed properties beside statements written by hand for these very definitions.

    python bench/derived.py [--count 10000]

`count` services, each of one of a hundred systems, and twice as many incidents. A service mirrors a
property of its system's domain, counts its open incidents and calculates a label of both. Prints
the seconds of a full recomputation, and the milliseconds after which one change has arrived
everywhere; without the time that messages to workers take. The statements by hand write the values
and no history, and know beforehand what to update.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines

SYSTEMS = 100

_OPEN = {"combinator": "and", "rules": [{"property": "state", "operator": "=", "value": "open"}]}
BLUEPRINTS = {
    "domain": {"schema": {"properties": {"area": {"type": "string"}}}},
    "system": {"relations": {"domain": {"target": "domain"}}},
    "service": {
        "relations": {"system": {"target": "system"}},
        "mirrorProperties": {"area": {"path": "system.domain.area"}},
        "aggregationProperties": {
            "open": {
                "target": "incident",
                "calculationSpec": {"calculationBy": "entities", "func": "count"},
                "query": _OPEN,
            }
        },
        "calculationProperties": {
            "label": {
                "calculation": '"\\(.title) in \\(.properties.area): \\(.properties.open)"',
                "type": "string",
            }
        },
    },
    "incident": {
        "schema": {"properties": {"state": {"type": "string"}}},
        "relations": {"service": {"target": "service"}},
    },
}

_BY_HAND = """
UPDATE catalog_entity e SET computed = jsonb_build_object(
    'area', v.area, 'open', v.open, 'label', e.title || ' in ' || v.area || ': ' || v.open)
FROM (
    SELECT s.id, d.properties ->> 'area' AS area, count(i.id) AS open
    FROM catalog_entity s
    JOIN catalog_relation rs ON rs.source_id = s.id AND rs.definition_id = {system}
    JOIN catalog_relation rd ON rd.source_id = rs.target_id AND rd.definition_id = {domain}
    JOIN catalog_entity d ON d.id = rd.target_id
    LEFT JOIN (catalog_relation ri JOIN catalog_entity i
        ON i.id = ri.source_id AND i.properties @> '{{"state": "open"}}')
        ON ri.target_id = s.id AND ri.definition_id = {incident}
    WHERE s.blueprint_id = {service} AND {which}
    GROUP BY 1, 2
) v WHERE e.id = v.id
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    with engines():
        run(options.count)


def run(count: int) -> None:
    from django.db import connection

    from catalog.kernel.actors import Actor
    from catalog.models import Entity, RelationDefinition
    from catalog.services import derived
    from catalog.services.blueprints import ensure_blueprints
    from catalog.services.entities import EntityDraft, apply

    actor = Actor.system("bench")
    documents = {name: {"identifier": name, **one} for name, one in BLUEPRINTS.items()}
    ensure_blueprints(documents, actor=actor)

    def write(*drafts: EntityDraft) -> None:
        for start in range(0, len(drafts), 2000):
            apply(drafts[start : start + 2000], mode="merge", actor=actor)

    write(EntityDraft("domain", "d", properties={"area": "north"}))
    write(*(EntityDraft("system", f"y{n}", relations={"domain": "d"}) for n in range(SYSTEMS)))
    write(
        *(
            EntityDraft("service", f"s{n}", title=f"S{n}", relations={"system": f"y{n % SYSTEMS}"})
            for n in range(count)
        )
    )
    write(
        *(
            EntityDraft(
                "incident",
                f"i{n}",
                properties={"state": "open" if n % 3 else "closed"},
                relations={"service": f"s{n * 7 % count}"},
            )
            for n in range(2 * count)
        )
    )
    names = {
        d.identifier if d.blueprint.identifier != "incident" else "incident": d.pk
        for d in RelationDefinition.objects.select_related("blueprint")
        if d.blueprint.identifier in BLUEPRINTS
    }
    services = Entity.objects.filter(blueprint__identifier="service")
    names["service"] = services[0].blueprint_id

    def sql(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    def by_hand(which: str = "true") -> Callable[[], None]:
        return lambda: sql(_BY_HAND.format(which=which, **names))

    def recompute() -> None:
        derived.mark_all()
        while derived.refresh_stale() is not None:
            pass

    def clear() -> None:
        sql("UPDATE catalog_entity SET computed = '{}'")
        sql("VACUUM ANALYZE")

    derived.settle(derived.CONSUMER)
    clear()
    hand = _seconds(by_hand())
    expected = dict(services.values_list("pk", "computed"))
    clear()
    ours = _seconds(recompute)
    assert dict(services.values_list("pk", "computed")) == expected
    again = _seconds(recompute)
    derived.settle(derived.CONSUMER)
    print(f"{count:,} services, {2 * count:,} incidents")
    print(f"{'all, from nothing':30} {ours:8.2f} s   {hand:8.2f} s by hand")
    print(f"{'all, nothing to change':30} {again:8.2f} s")
    sql("VACUUM ANALYZE")

    states = iter(range(1_000_000))

    def change_incident() -> None:
        state = "open" if next(states) % 2 else "closed"
        write(EntityDraft("incident", "i1", properties={"state": state}))

    def change_domain() -> None:
        write(EntityDraft("domain", "d", properties={"area": f"area {next(states)}"}))

    def arrive(change: Callable[[], None]) -> float:
        change()
        return _seconds(lambda: derived.settle(derived.CONSUMER))

    one = services.get(identifier=f"s{7 % count}")
    median = statistics.median(arrive(change_incident) for _ in range(20))
    hand = statistics.median(_seconds(by_hand(f"s.id = {one.pk}")) for _ in range(20))
    print(f"{'one of what is counted':30} {median * 1000:8.1f} ms  {hand * 1000:8.1f} ms by hand")
    hub = arrive(change_domain)
    hand = _seconds(by_hand())
    print(f"{f'what {count:,} mirror':30} {hub:8.2f} s   {hand:8.2f} s by hand")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
