"""Why an entity does as it does on a scorecard: each rule with what was looked at and what it is
worth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import regex
from django.utils import timezone

from catalog.models import Entity
from catalog.selectors.kinds import Kinds, load_kinds
from scorecards.definition import Definition, Level, RuleSpec, percentage_of
from scorecards.models import Exemption, Score, Scorecard, ScoreChange
from scorecards.rules.compiled import Tree
from scorecards.rules.compiling import CompiledRule, CompiledScorecard, compile_scorecard
from scorecards.rules.evidence import read_evidence
from scorecards.selectors.results.ladders import Ladder, ladders_of
from scorecards.statuses import (
    ABSENT,
    ANNOUNCED_NO_DATA,
    EXEMPT,
    IGNORED,
    NO_DATA,
    NOT_APPLICABLE,
    WANTING,
    Status,
    status_at,
)

STALE_WINDOWS: Final = 2  # a result older than this many windows is marked
MAX_CHANGES: Final = 500  # looked through for since when a rule is as it is

_PLACEHOLDER: Final = regex.compile(r"\{\{\s*context\.([^\s{}]{1,200})\s*\}\}")
_CAPTURES: Final = "evaluation.captures."
_NOTHING_CAPTURED: Final = "no value"


@dataclass(frozen=True, slots=True)
class ExplainedPart:
    """A condition of a rule. actual: the value found, cut where it is long. verdict: None where
    there was no data."""

    text: str
    actual: Any
    verdict: bool | None


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """rank: of the level it leads to; None for points only. tree: how the parts hang together.
    message: what to do about it, for one that is not passed. fix_url: "" for none. since: of this
    status; None where the history does not go back that far. announced_from: the day from which it
    counts, while that lies ahead. exempt_until: None is for good. is_exemption_asked: somebody
    waits for a decision. sources: tools whose facts it looks at. problem: why it cannot be
    evaluated.
    """

    spec: RuleSpec
    slot: int
    rank: int | None
    status: Status
    parts: tuple[ExplainedPart, ...] = ()
    tree: Tree | None = None
    message: str = ""
    fix_url: str = ""
    since: datetime | None = None
    announced_from: date | None = None
    exempt_until: datetime | None = None
    is_exemption_asked: bool = False
    sources: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it keeps the entity from something."""
        return self.status.blocks

    @property
    def lacks_data(self) -> bool:
        return self.status in (NO_DATA, IGNORED, ANNOUNCED_NO_DATA)


@dataclass(frozen=True, slots=True)
class Past:
    """since: by slot, of the letter it has. ranks: (from when on, rank), oldest first."""

    since: Mapping[int, datetime] = field(default_factory=dict)
    ranks: Sequence[tuple[datetime, int]] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """How an entity does on a scorecard. points of total: weights passed and counted; percentage:
    None where nothing counts. missing: rules in the way of the next level. evaluated_at: when this
    was last seen to be so. ranks: since when it had which, oldest first. is_stale: it was last seen
    longer ago than two windows of the scorecard.
    """

    scorecard: Scorecard
    definition: Definition
    entity: Entity
    rank: int
    points: Decimal
    total: Decimal
    rules: tuple[ExplainedRule, ...]
    exemptions: int
    evaluated_at: datetime
    data_as_of: datetime
    since: datetime
    ranks: tuple[tuple[datetime, int], ...]
    is_stale: bool

    @property
    def level(self) -> Level:
        return self.definition.level(self.rank)

    @property
    def next_level(self) -> Level | None:
        return self.definition.next_level(self.rank)

    @property
    def percentage(self) -> float | None:
        return percentage_of(self.points, self.total)

    @property
    def missing(self) -> tuple[ExplainedRule, ...]:
        """Those without which the next level is not reached; without levels, all that are open."""
        return tuple(
            rule
            for rule in self.rules
            if rule.is_open and self.definition.is_in_the_way(rule.spec, self.rank)
        )


def explain(score: Score) -> Explained:
    """See `explain_all`."""
    [explained] = explain_all([score])
    return explained


def explain_all(scores: Sequence[Score]) -> list[Explained]:
    """Each of these with all there is to know; four statements, however many they are.

    Needs `scorecard`, its blueprint and `entity` loaded. They should be of few entities: histories
    are looked through up to `MAX_CHANGES` rows in all.
    """
    if not scores:
        return []
    kinds = load_kinds()
    ladders = ladders_of({one.scorecard_id: one.scorecard for one in scores}.values())
    held = _held_exemptions(scores)
    pasts = _pasts(scores)
    now = timezone.now()
    return [
        assemble(
            _compiled(ladders[one.scorecard_id], kinds, now),
            one,
            exemptions=held.get((one.scorecard_id, one.entity_id), ()),
            past=pasts.get((one.scorecard_id, one.entity_id), Past()),
        )
        for one in scores
    ]


def assemble(
    compiled: CompiledScorecard,
    score: Score,
    *,
    exemptions: Collection[Exemption] = (),
    past: Past | None = None,
) -> Explained:
    """A score, which need not be stored, in the words of the rules that led to it.

    exemptions: those of the entity that hold or wait, `rule` loaded.
    """
    scorecard, definition = score.scorecard, compiled.definition
    past = past or Past()
    by_slot = {one.rule.slot: one for one in exemptions}
    evidence = read_evidence(compiled.rules, score.statuses, score.evidence)
    rules = tuple(
        _rule(
            one, score, evidence.get(one.slot, ()), by_slot.get(one.slot), past.since.get(one.slot)
        )
        for one in compiled.rules
    )
    evaluated_at = seen_at(score, scorecard)
    window = timedelta(hours=definition.window_h)
    return Explained(
        scorecard=scorecard,
        definition=definition,
        entity=score.entity,
        rank=score.rank,
        points=score.points,
        total=score.total,
        rules=tuple(one for one in rules if one.status is not ABSENT),
        exemptions=sum(one.status is EXEMPT for one in rules),
        evaluated_at=evaluated_at,
        data_as_of=score.data_as_of,
        since=score.since,
        ranks=tuple(past.ranks),
        is_stale=compiled.now - evaluated_at > STALE_WINDOWS * window,
    )


def seen_at(score: Score | Explained, scorecard: Scorecard) -> datetime:
    """When a score was last seen to be so: by itself, or among all of its scorecard."""
    return max(score.evaluated_at, scorecard.evaluated_at or score.evaluated_at)


def _rule(
    rule: CompiledRule,
    score: Score,
    seen: Sequence[tuple[Any, bool | None]],
    exemption: Exemption | None,
    since: datetime | None,
) -> ExplainedRule:
    spec, status = rule.spec, status_at(score.statuses, rule.slot)
    is_shown = status not in (NOT_APPLICABLE, ABSENT)
    parts = tuple(
        ExplainedPart(part.text, actual, verdict)
        for part, (actual, verdict) in zip(rule.compiled.parts, seen, strict=False)
    )
    captures = {
        part.capture: actual
        for part, (actual, _) in zip(rule.compiled.parts, seen, strict=False)
        if part.capture
    }
    words = _Words(score.entity, captures)
    return ExplainedRule(
        spec=spec,
        slot=rule.slot,
        rank=rule.rank,
        status=status,
        parts=parts if is_shown else (),
        tree=rule.compiled.tree,
        message=words.filled(spec.failure_message) if _wants_message(status) else "",
        fix_url=words.filled(spec.fix_url, is_url=True),
        since=since,
        announced_from=spec.effective_from if rule.is_announced else None,
        exempt_until=exemption.ends_at if exemption and status is EXEMPT else None,
        is_exemption_asked=exemption is not None and exemption.status == Exemption.Status.PENDING,
        sources=tuple(sorted(rule.compiled.reads.sources)),
        problem=rule.compiled.problem,
    )


def _wants_message(status: Status) -> bool:
    return status.letter in WANTING or status is IGNORED


@dataclass(frozen=True, slots=True)
class _Words:
    """What placeholders of a message stand for."""

    entity: Entity
    captures: Mapping[str, Any]

    def filled(self, text: str, *, is_url: bool = False) -> str:
        """The text with its placeholders replaced; what nobody knows stays as it was written."""

        def value(match: regex.Match[str]) -> str:
            found = self._value(match.group(1))
            if found is None:
                return match.group(0)
            return quote(found, safe="") if is_url else found

        return _PLACEHOLDER.sub(value, text)

    def _value(self, name: str) -> str | None:
        if name == "entity.name":
            return str(self.entity)
        if name == "entity.tag":
            return self.entity.identifier
        capture = name.removeprefix(_CAPTURES)
        if capture == name or capture not in self.captures:
            return None
        found = self.captures[capture]
        return _NOTHING_CAPTURED if found is None else str(found)


def _compiled(ladder: Ladder, kinds: Kinds, now: datetime) -> CompiledScorecard:
    return compile_scorecard(ladder.definition, ladder.slots, kinds, now)


def _held_exemptions(scores: Sequence[Score]) -> dict[tuple[int, int], list[Exemption]]:
    """Those that hold or wait for a decision, by scorecard and entity."""
    found: dict[tuple[int, int], list[Exemption]] = {}
    exemptions = Exemption.objects.filter(
        entity_id__in={one.entity_id for one in scores},
        scorecard__in={one.scorecard_id for one in scores},
        status__in=[Exemption.Status.PENDING, Exemption.Status.APPROVED],
    ).select_related("rule")
    for one in exemptions:
        found.setdefault((one.scorecard_id, one.entity_id), []).append(one)
    return found


def _pasts(scores: Sequence[Score]) -> dict[tuple[int, int], Past]:
    """By scorecard and entity, from the newest changes."""
    changes = ScoreChange.objects.filter(
        entity_id__in={one.entity_id for one in scores},
        scorecard__in={one.scorecard_id for one in scores},
    ).order_by("-at", "-pk")
    since: dict[tuple[int, int], dict[int, datetime]] = {}
    ranks: dict[tuple[int, int], list[tuple[datetime, int]]] = {}
    for scorecard, entity, at, was, statuses, rank in changes.values_list(
        "scorecard_id", "entity_id", "at", "was_statuses", "statuses", "rank"
    )[:MAX_CHANGES]:
        by_slot = since.setdefault((scorecard, entity), {})
        for slot, letter in enumerate(statuses or ""):
            if slot not in by_slot and status_at(was, slot).letter != letter:
                by_slot[slot] = at
        if rank is not None:
            ranks.setdefault((scorecard, entity), []).append((at, rank))
    return {key: Past(since[key], ranks.get(key, [])[::-1]) for key in since}
