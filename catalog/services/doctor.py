"""Whether what is stored twice says the same twice, and the mending of what does not.

Computed values follow from what is written, edges from the relations that entities state, digests
from content. Each check compares one such pair; nothing here can lose what somebody wrote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel.errors import shorten
from catalog.kernel.json_text import write_json
from catalog.models import Entity, FeedConsumer
from catalog.registry import feed_consumers
from catalog.services import derived, entities

EXAMPLES: Final = 20
MAX_PASSES: Final = 50  # of mending: as many as definitions may stand upon each other
MAX_LAG: Final = timedelta(minutes=5)

# Edges as the relations of entities state them. A value to any kind is blueprint:identifier.
_STATED: Final = """
SELECT e.id AS source_id, d.id AS definition_id,
       CASE WHEN d.target_id IS NULL THEN split_part(v.value, ':', 1) ELSE t.identifier END
           AS target_blueprint,
       CASE WHEN d.target_id IS NULL THEN substr(v.value, strpos(v.value, ':') + 1)
            ELSE v.value END AS target_identifier,
       row_number() OVER (PARTITION BY e.id ORDER BY d.position, d.identifier, v.nth) - 1
           AS position
FROM catalog_entity e
CROSS JOIN LATERAL jsonb_each(e.relations) AS r(name, value)
JOIN catalog_relationdefinition d ON d.blueprint_id = e.blueprint_id AND d.identifier = r.name
LEFT JOIN catalog_blueprint t ON t.id = d.target_id
CROSS JOIN LATERAL jsonb_array_elements_text(
    CASE jsonb_typeof(r.value) WHEN 'array' THEN r.value ELSE jsonb_build_array(r.value) END
) WITH ORDINALITY AS v(value, nth)
"""

_EDGE: Final = "source_id, definition_id, target_blueprint, target_identifier"
_EDGE_DIFFERENCES: Final = f"""
WITH stated AS ({_STATED}), stored AS (SELECT {_EDGE} FROM catalog_relation)
SELECT x.source_id, b.identifier, s.identifier, coalesce(d.identifier, '?'), x.is_missing,
       x.target_blueprint, x.target_identifier
FROM (
    (SELECT {_EDGE}, true AS is_missing FROM stated EXCEPT SELECT {_EDGE}, true FROM stored)
    UNION ALL
    (SELECT {_EDGE}, false FROM stored EXCEPT SELECT {_EDGE}, false FROM stated)
) x
JOIN catalog_entity s ON s.id = x.source_id
JOIN catalog_blueprint b ON b.id = s.blueprint_id
LEFT JOIN catalog_relationdefinition d ON d.id = x.definition_id
ORDER BY 2, 3, 4, 6, 7
"""  # noqa: S608
_WRITE_EDGES: Final = f"""
INSERT INTO catalog_relation ({_EDGE}, position, target_id)
SELECT {_EDGE}, position, (
    SELECT e.id FROM catalog_entity e JOIN catalog_blueprint b ON b.id = e.blueprint_id
    WHERE b.identifier = stated.target_blueprint AND e.identifier = stated.target_identifier)
FROM ({_STATED}) stated WHERE source_id = ANY(%s)
"""  # noqa: S608

# Edges that lead to nothing, or to another thing than the one they name.
_WRONG_ENDS: Final = """
SELECT r.id, sb.identifier, s.identifier, r.target_blueprint, r.target_identifier, r.target_id,
       named.id
FROM catalog_relation r
JOIN catalog_entity s ON s.id = r.source_id
JOIN catalog_blueprint sb ON sb.id = s.blueprint_id
LEFT JOIN (catalog_entity named JOIN catalog_blueprint nb ON nb.id = named.blueprint_id)
    ON nb.identifier = r.target_blueprint AND named.identifier = r.target_identifier
WHERE r.target_id IS DISTINCT FROM named.id
ORDER BY r.id
"""

_LAG: Final = """
SELECT count(*), min(c.at) FROM catalog_change c
LEFT JOIN catalog_feedconsumer f ON f.name = %s
WHERE (c.transaction, c.id) > (coalesce(f.transaction, 0), coalesce(f.change_id, 0))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """subject: what it is about ("service:pay"); message: what is wrong with it."""

    subject: str
    message: str


@dataclass(slots=True)
class Check:
    """One comparison. looked_at: how many things; found: how many are wrong, the first of them in
    `examples`; mended: how many of them are right again. is_note: worth knowing, nothing to mend.
    """

    name: str
    looked_at: int = 0
    found: int = 0
    mended: int = 0
    is_note: bool = False
    examples: list[Finding] = field(default_factory=list)

    @property
    def is_bad(self) -> bool:
        return not self.is_note and self.found > self.mended

    def add(self, subject: str, message: str) -> None:
        self.found += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(Finding(subject, message))


def examine(*, fix: bool = False) -> list[Check]:
    """All checks, after the background work that waits is done. fix: mend what is wrong.

    Reads every entity once; writers of a blueprint wait while a chunk of it is compared.
    """
    derived.settle(derived.CONSUMER)
    return [
        _edges(fix=fix),
        _ends(fix=fix),
        _digests(fix=fix),
        _computed(fix=fix),
        _definitions(),
        _failures(),
        _waiting(),
        _consumers(fix=fix),
    ]


def _edges(*, fix: bool) -> Check:
    check = Check("relations and their edges", looked_at=_count("catalog_relation"))
    with transaction.atomic(), connection.cursor() as cursor:
        if fix:
            entities.lock_everything()
        cursor.execute(_EDGE_DIFFERENCES)
        sources = set()
        for source, blueprint, identifier, relation, is_missing, kind, target in cursor.fetchall():
            sources.add(source)
            said = "has no edge" if is_missing else "has an edge that it does not state"
            check.add(f"{blueprint}:{identifier}", f"{relation} {said}: {kind}:{target}")
        if fix and sources:
            cursor.execute("DELETE FROM catalog_relation WHERE source_id = ANY(%s)", [[*sources]])
            cursor.execute(_WRITE_EDGES, [[*sources]])
            check.mended = check.found
    return check


def _ends(*, fix: bool) -> Check:
    check = Check("ends of edges", looked_at=_count("catalog_relation"))
    with transaction.atomic(), connection.cursor() as cursor:
        if fix:
            entities.lock_everything()
        cursor.execute(_WRONG_ENDS)
        rows = cursor.fetchall()
        for _, blueprint, identifier, kind, target, end, _ in rows:
            said = "dangles, though there is" if end is None else "leads elsewhere than to"
            check.add(f"{blueprint}:{identifier}", f"an edge {said} {kind}:{target}")
        if fix and rows:
            cursor.execute(
                "UPDATE catalog_relation r SET target_id = k.target_id "
                "FROM unnest(%s::bigint[], %s::bigint[]) AS k(id, target_id) WHERE r.id = k.id",
                [[row[0] for row in rows], [row[6] for row in rows]],
            )
            check.mended = check.found
    return check


def _digests(*, fix: bool) -> Check:
    check = Check("digests of content", looked_at=_count("catalog_entity"))
    everything = Entity.objects.all()
    if fix:
        with transaction.atomic():
            entities.lock_everything()
            _add_digests(check)
            check.mended = entities.rehash(everything) if check.found else 0
    else:
        _add_digests(check)
    return check


def _add_digests(check: Check) -> None:
    for entity, _ in entities.wrong_hashes(Entity.objects.all()):
        check.add(entity.ref, "its digest is not that of its content")


def _computed(*, fix: bool) -> Check:
    """Mending goes on until nothing differs, since what is mended changes what others compute."""
    check = Check("computed values")
    for blueprint, pks in _chunks():
        check.looked_at += len(pks)
        for one in derived.compare(blueprint, pks):
            check.add(f"{one.blueprint}:{one.identifier}", _difference(one.stored, one.expected))
    if fix and check.found:
        for _ in range(MAX_PASSES):
            if not sum(_refreshed(blueprint, pks) for blueprint, pks in _chunks()):
                check.mended = check.found
                break
    return check


def _refreshed(blueprint: int, pks: Sequence[int]) -> int:
    """How many of the entities differed, apart from what time alone changes."""
    with transaction.atomic():
        found = derived.compare(blueprint, pks)
        derived.refresh(blueprint, pks)
    return len(found)


def _chunks() -> Iterator[tuple[int, list[int]]]:
    """The entities that have computed values, or should have: (blueprint, pks)."""
    plan = derived.load_plan()
    for blueprint in plan.order:
        found = Entity.objects.filter(blueprint=blueprint).order_by("pk")
        if plan.by_pk[blueprint].is_empty:
            found = found.exclude(computed={})
        last = 0
        while pks := [*found.filter(pk__gt=last).values_list("pk", flat=True)[: derived.CHUNK]]:
            last = pks[-1]
            yield blueprint, pks


def _difference(stored: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} is {_text(stored, name)}, should be {_text(expected, name)}"
        for name in {**stored, **expected}
    )


def _text(values: Mapping[str, Any], name: str) -> str:
    return shorten(write_json(values[name])) if name in values else "absent"


def _definitions() -> Check:
    """Definitions that have no value for anything."""
    check = Check("definitions of computed properties")
    for computed in derived.load_plan().by_pk.values():
        check.looked_at += len(computed.kind.computed) + (computed.kind.team_path is not None)
        for name, problem in computed.problems.items():
            check.add(f"{computed.kind.identifier}.{name}", problem.message)
    return check


def _failures() -> Check:
    """Values that are missing because working them out failed: the definition's business."""
    check = Check("values that could not be calculated", is_note=True)
    reasons: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], str] = {}
    failed = Entity.objects.filter(computed_errors__isnull=False).select_related("blueprint")
    columns = failed.only("identifier", "blueprint__identifier", "computed_errors")
    for entity in columns.order_by("pk").iterator(chunk_size=2000):
        check.looked_at += 1
        for name, message in (entity.computed_errors or {}).items():
            reason = (entity.blueprint.identifier, name, message)
            reasons[reason] += 1
            examples.setdefault(reason, entity.identifier)
    for reason, count in reasons.most_common():
        blueprint, name, message = reason
        more = f" and {count - 1:,} more" if count > 1 else ""
        check.add(f"{blueprint}:{examples[reason]}{more}", f"{name}: {message}")
    return check


def _waiting() -> Check:
    """Entities that wait for a refresh although the doctor has just done all of them."""
    check = Check("entities that wait for a refresh")
    check.looked_at = check.found = _count("catalog_staleentity")
    return check


def _consumers(*, fix: bool) -> Check:
    check = Check("consumers of the change feed", looked_at=len(feed_consumers))
    oldest_allowed = timezone.now() - MAX_LAG
    with connection.cursor() as cursor:
        for name in feed_consumers:
            cursor.execute(_LAG, [name])
            count, oldest = cursor.fetchone()
            if oldest is not None and oldest < oldest_allowed:
                check.add(name, f"is {count:,} changes behind, the oldest of {oldest:%F %H:%M} UTC")
    orphans = FeedConsumer.objects.exclude(name__in=list(feed_consumers))
    for orphan in orphans:
        check.add(orphan.name, "has a position in the feed, but nobody reads by that name")
    if fix:
        check.mended = orphans.delete()[0]
    return check


def _count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
        return int(cursor.fetchone()[0])
