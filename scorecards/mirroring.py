"""Results as entities: `_scorecard`, `_rule` and `_rule_result`, so that searches, automations and
aggregations work on them. The catalogue's door writes them; they say what `Score` says, some
moments later.

They are named after what does not change: "sc_12" (as the API calls the scorecard), "sc_12.3" (its
rule with slot 3), "sc_12.3.4711" (how the entity with that pk does on it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson
import regex
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from catalog.kernel.locks import Lock, hold, try_hold
from catalog.models import Entity
from catalog.portal.links import entity_url
from catalog.selectors.documents import timestamp
from catalog.selectors.search.moments import parse_moment
from catalog.services import entities
from catalog.services.blueprints import blueprint_document, ensure_blueprints, patch_blueprint
from catalog.services.blueprints.documents import get_blueprint
from catalog.services.entities import MAX_BATCH, EntityDraft, MissingTargets, Mode
from scorecards.definition import Definition
from scorecards.formats import definition_of, document_of
from scorecards.models import Rule, Score, Scorecard, ScoreChange
from scorecards.own_blueprints import (
    ACTOR,
    BLUEPRINTS,
    NOT_PASSED,
    PASSED,
    RESULT,
    RULE,
    SCORECARD,
)
from scorecards.statuses import ABSENT, COUNTED, NOT_APPLICABLE, PASS, status_at

logger = structlog.get_logger(__name__)

BATCH: Final = 500

_NO_RESULT: Final = (ABSENT.letter, NOT_APPLICABLE.letter)
_NO_NAME: Final = regex.compile(r"[^A-Za-z0-9@_=\\-]")  # not in names of relations

# Since when the letters of some entities are what they are, as far as the history goes back.
_SINCE: Final = """
SELECT c.entity_id, r.slot, max(c.at)
FROM scorecards_scorechange c JOIN scorecards_rule r ON r.scorecard_id = c.scorecard_id
WHERE c.scorecard_id = %s AND c.entity_id = ANY(%s) AND r.removed_at IS NULL
  AND substr(coalesce(c.was_statuses, ''), r.slot + 1, 1)
      <> substr(coalesce(c.statuses, ''), r.slot + 1, 1)
GROUP BY 1, 2
"""

_COUNTS: Final = """
SELECT r.slot, count(*) FILTER (WHERE x.letter = ANY(%s)), count(*) FILTER (WHERE x.letter = %s)
FROM scorecards_rule r
LEFT JOIN scorecards_score s ON s.scorecard_id = r.scorecard_id
    AND EXISTS (SELECT FROM catalog_entity e WHERE e.id = s.entity_id)
LEFT JOIN LATERAL (SELECT substr(s.statuses, r.slot + 1, 1) AS letter) x ON true
WHERE r.scorecard_id = %s AND r.removed_at IS NULL GROUP BY r.slot
"""

# A score that was evaluated anew meanwhile says something else than was written.
_MARK: Final = """
UPDATE scorecards_score s SET is_mirrored = true
FROM json_to_recordset(%s::json) AS k(id bigint, statuses text, level text, version int, of text)
WHERE s.id = k.id AND (s.statuses, s.level, s.version) = (k.statuses, k.level, k.version)
  AND s.data_as_of = k.of::timestamptz
"""


@dataclass(frozen=True, slots=True)
class _Mirrored:
    """What is known of a scorecard as it is mirrored. rules: those it has, by slot; relation: by
    blueprint of an entity, the relation of a result that leads to it."""

    scorecard: Scorecard
    definition: Definition
    rules: Mapping[int, Rule]
    relation: Mapping[str, str]

    @property
    def identifier(self) -> str:
        return _name(self.scorecard)

    def rule(self, slot: int) -> str:
        return f"{self.identifier}.{slot}"

    def result(self, slot: int, entity: int) -> str:
        return f"{self.identifier}.{slot}.{entity}"


def _name(scorecard: Scorecard) -> str:
    return f"sc_{scorecard.pk}"


def mirror(limit: int = BATCH) -> bool:
    """Bring the entities up to date for at most `limit` scores of each scorecard, in a transaction
    for each; returns whether there is more to do. Nothing happens, and nothing more is said to do,
    while another process is at it.
    """
    active = _active()
    if not active and not Entity.objects.filter(blueprint__identifier=SCORECARD).exists():
        return False
    ensure_blueprints(BLUEPRINTS, actor=ACTOR)
    steps = [(0, partial(_drop_gone, active, limit))]
    steps += [(scorecard.pk, partial(_mirror, scorecard, limit)) for scorecard in active]
    has_more = False
    for pk, step in steps:
        try:
            with transaction.atomic():
                if not try_hold(Lock.SCORECARD, 0):  # no scorecard has this pk
                    return False
                has_more |= step()
        except Exception as error:  # noqa: BLE001 - the results of others get their turn
            logger.error("scorecard_not_mirrored", scorecard=pk, error=str(error))
    return has_more


def _active() -> list[Scorecard]:
    """Results of results would never come to an end."""
    found = Scorecard.objects.filter(
        state=Scorecard.State.ACTIVE, evaluated_version__isnull=False
    ).exclude(blueprint__identifier__in=BLUEPRINTS)
    return list(found.select_related("blueprint").order_by("pk"))


def _known(scorecard: Scorecard) -> dict[str, Any] | None:
    """The properties of its `_scorecard` entity."""
    found = Entity.objects.filter(blueprint__identifier=SCORECARD, identifier=_name(scorecard))
    return found.values_list("properties", flat=True).first()


def _mirror(scorecard: Scorecard, limit: int) -> bool:
    was = _known(scorecard)
    scores = Score.objects.filter(scorecard=scorecard, entity__in=Entity.objects.all())
    waiting, left = scores.filter(is_mirrored=False), _left(scorecard, was)
    rules = {rule.slot: rule for rule in scorecard.rules.filter(removed_at=None)}
    has_results = scores.count() * len(rules) <= settings.IDP_RULE_RESULTS
    if has_results and not (was and was.get("has_rule_results")):
        scores.filter(is_mirrored=True).update(is_mirrored=False)  # those there were are gone
    is_same = was is not None and was.get("version") == scorecard.evaluated_version
    if is_same and not left and not waiting.exists():
        return False
    batch = list(
        waiting.select_related("entity__blueprint")
        .defer("evidence", "entity__descriptor", "entity__properties", "entity__search")
        .order_by("pk")[: max(1, min(limit, MAX_BATCH // max(1, len(rules))))]
    )
    kinds = {score.entity.blueprint.identifier for score in batch} if has_results else set()
    mirrored = _Mirrored(scorecard, definition_of(scorecard), rules, _relations(kinds))
    as_of = max((one.at for one in left), default=None)
    _apply(_definitions(mirrored, has_results, as_of), Mode.MERGE)
    if not has_results:
        if _drop(_results_of(RULE, [mirrored.rule(slot) for slot in rules]), limit):
            return True
        waiting.update(is_mirrored=True)
        return False
    _apply(_results(mirrored, batch), Mode.REPLACE)
    gone = [mirrored.result(slot, pk) for slot in rules for pk in {one.entity_id for one in left}]
    gone += [
        mirrored.result(slot, score.entity_id)
        for score in batch
        for slot in rules
        if status_at(score.statuses, slot).letter in _NO_RESULT
    ]
    _delete(RESULT, gone)
    hold(Lock.SCORECARD, scorecard.pk)  # an evaluation writes the same rows, in another order
    _mark(batch)
    return waiting.exists()


def _left(scorecard: Scorecard, was: Mapping[str, Any] | None) -> list[ScoreChange]:
    """What left the scorecard since its results were brought up to date, and did not come back."""
    if was is None:
        return []
    changes = ScoreChange.objects.filter(scorecard=scorecard, statuses=None)
    if as_of := parse_moment(was.get("results_as_of")):
        changes = changes.filter(at__gt=as_of)
    there = Score.objects.filter(scorecard=scorecard).values("entity_id")
    return list(changes.exclude(entity_id__in=there).only("at", "entity_id"))


def _definitions(
    mirrored: _Mirrored, has_results: bool, as_of: datetime | None
) -> Iterable[EntityDraft]:
    """The scorecard and its rules."""
    scorecard, definition = mirrored.scorecard, mirrored.definition
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [[*COUNTED], PASS.letter, scorecard.pk])
        counts = {slot: (tested, passed) for slot, tested, passed in cursor.fetchall()}
    tested = sum(one for one, _ in counts.values())
    passed = sum(one for _, one in counts.values())
    document = document_of(scorecard)
    properties: dict[str, Any] = {
        "scorecard_identifier": scorecard.identifier,
        "blueprint": scorecard.blueprint.identifier if scorecard.blueprint else None,
        "levels": [one.title for one in definition.levels if one.title],
        "filter": document.get("filter"),
        "rules_tested": tested,
        "rules_passed": passed,
        "percent": _percent(passed, tested),
        "version": scorecard.evaluated_version,
        "has_rule_results": has_results,
    }
    if as_of is not None:
        properties["results_as_of"] = as_of.isoformat()
    yield EntityDraft(SCORECARD, mirrored.identifier, title=str(scorecard), properties=properties)
    specs = {one.identifier: one for one in definition.rules}
    for slot, rule in mirrored.rules.items():
        spec = specs.get(rule.identifier)
        said = spec.expression if spec else None
        tested, passed = counts.get(slot, (0, 0))
        yield EntityDraft(
            RULE,
            mirrored.rule(slot),
            title=rule.title,
            properties={
                "rule_identifier": rule.identifier,
                "level": rule.level or None,
                "query": dict(said) if isinstance(said, Mapping) else None,
                "expression": said if isinstance(said, str) else None,
                "rule_description": (spec.description if spec else "") or None,
                "entities_tested": tested,
                "entities_passed": passed,
                "percent": _percent(passed, tested),
            },
            relations={"scorecard": mirrored.identifier},
        )


def _results(mirrored: _Mirrored, scores: Sequence[Score]) -> Iterable[EntityDraft]:
    sinces = _sinces(mirrored.scorecard, [score.entity_id for score in scores])
    for score in scores:
        entity, blueprint = score.entity, score.entity.blueprint.identifier
        link = f"{settings.IDP_URL}{entity_url(blueprint, entity.identifier)}"
        for slot, rule in mirrored.rules.items():
            status = status_at(score.statuses, slot)
            if status.letter in _NO_RESULT:
                continue
            since = sinces.get((entity.pk, slot), score.since)
            relations: dict[str, Any] = {"rule": mirrored.rule(slot)}
            if blueprint in mirrored.relation:
                relations[mirrored.relation[blueprint]] = entity.identifier
            yield EntityDraft(
                RESULT,
                mirrored.result(slot, entity.pk),
                title=f"{entity}: {rule.title}",
                team=list(entity.team),
                properties={
                    "result": _result(status.is_passed) if status.counts else None,
                    "status": status.name,
                    "entity": entity.identifier,
                    "entity_link": link,
                    "result_last_change": timestamp(since),
                    "scorecard": mirrored.scorecard.identifier,
                    "rule_identifier": rule.identifier,
                    "blueprint": blueprint,
                    "level": rule.level or None,
                },
                relations=relations,
            )


def _result(is_passed: bool) -> str:
    return PASSED if is_passed else NOT_PASSED


def _percent(passed: int, tested: int) -> float | None:
    return round(100 * passed / tested, 1) if tested else None


def _sinces(scorecard: Scorecard, pks: Sequence[int]) -> dict[tuple[int, int], datetime]:
    """By entity and slot."""
    with connection.cursor() as cursor:
        cursor.execute(_SINCE, [scorecard.pk, list(pks)])
        return {(entity, slot): at for entity, slot, at in cursor.fetchall()}


def _relations(blueprints: Iterable[str]) -> dict[str, str]:
    """The relations of results to entities of these blueprints, which are added where there are
    none: named after the blueprint, with "_" for what names of relations may not hold. A name that
    is taken otherwise leaves a blueprint without one.
    """
    names = {one: _NO_NAME.sub("_", one)[:100] for one in sorted(blueprints)}
    relations = blueprint_document(get_blueprint(RESULT))["relations"]
    missing: dict[str, Any] = {}
    for blueprint, name in names.items():
        if name not in relations and name not in missing:
            missing[name] = {
                "title": blueprint[:100],
                "target": blueprint,
                "many": False,
                "required": False,
            }
    if missing:
        relations = {**relations, **missing}
        patch_blueprint(RESULT, {"relations": relations}, actor=ACTOR)
    return {one: name for one, name in names.items() if relations[name]["target"] == one}


def _apply(drafts: Iterable[EntityDraft], mode: Mode) -> None:
    """In one batch; what is refused is said in the log, and tried again with the next change."""
    result = entities.apply(
        list(drafts), mode=mode, actor=ACTOR, missing_targets=MissingTargets.DANGLE
    )
    for item in result.rejected[:1]:
        logger.error(
            "scorecard_not_mirrored",
            entity=item.identifier,
            error=str(item.error),
            count=len(result.rejected),
        )


def _mark(scores: Sequence[Score]) -> None:
    rows = [
        {
            "id": one.pk,
            "statuses": one.statuses,
            "level": one.level,
            "version": one.version,
            "of": one.data_as_of.isoformat(),
        }
        for one in scores
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_MARK, [orjson.dumps(rows).decode()])


def _drop_gone(active: Sequence[Scorecard], limit: int) -> bool:
    """Delete what is left of scorecards and rules that are gone; returns whether there is more."""
    scorecards = {_name(one) for one in active}
    rules = {
        f"sc_{scorecard}.{slot}"
        for scorecard, slot in Rule.objects.filter(scorecard__in=active, removed_at=None)
        .order_by()
        .values_list("scorecard_id", "slot")
    }
    gone = Entity.objects.filter(blueprint__identifier=RULE).exclude(identifier__in=rules)
    names = list(gone.values_list("identifier", flat=True))
    if names and _drop(_results_of(RULE, names), limit):
        return True
    _delete(RULE, names)
    gone = Entity.objects.filter(blueprint__identifier=SCORECARD)
    _delete(SCORECARD, gone.exclude(identifier__in=scorecards).values_list("identifier", flat=True))
    return False


def _results_of(blueprint: str, identifiers: Sequence[str]) -> QuerySet[Entity]:
    """The results of rules."""
    return Entity.objects.filter(
        Q(outgoing__target__identifier__in=identifiers),
        outgoing__target__blueprint__identifier=blueprint,
        blueprint__identifier=RESULT,
    )


def _drop(results: QuerySet[Entity], limit: int) -> bool:
    """Delete the first of them; returns whether there are more."""
    names = list(results.order_by(F("pk")).values_list("identifier", flat=True)[: limit + 1])
    _delete(RESULT, names[:limit])
    return len(names) > limit


def _delete(blueprint: str, identifiers: Iterable[str]) -> None:
    keys = [(blueprint, one) for one in identifiers]
    if keys:
        entities.delete(keys, actor=ACTOR)
