"""One message for each owner: what is open in initiatives, and which levels dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from catalog.registry import notify
from scorecards.formats import definition_of
from scorecards.models import Initiative, InitiativeItem, Score, Scorecard, ScoreChange
from scorecards.selectors.initiative_scope import Targets, targets_of
from scorecards.selectors.initiatives import open_rules, page_of
from scorecards.selectors.results import Ladder, ladders_of
from scorecards.services.audiences import TOPIC, Owners, by_person, named, owners_of, stewards_of
from scorecards.services.initiatives import UNITS
from scorecards.statuses import status_at

PAGE: Final = "/initiatives"
SCOPE: Final = "scorecards-digest"  # a later one takes the place of an earlier one
MAX_STEPS: Final = 3  # of each initiative, for each owner
MAX_DROPS: Final = 10
DROPS_EVERY: Final = timedelta(days=1)

# From which level each entity first dropped, if it is still below that.
_DROPS: Final = """
SELECT d.entity_id, d.blueprint, d.identifier, d.was_level, s.level, d.was_statuses, s.statuses
FROM (
    SELECT DISTINCT ON (c.entity_id) c.entity_id, c.blueprint, c.identifier, c.was_rank,
           c.was_level, c.was_statuses
    FROM scorecards_scorechange c
    WHERE c.scorecard_id = %s AND c.at > %s AND c.at <= %s AND c.cause <> %s
      AND c.rank < c.was_rank
    ORDER BY c.entity_id, c.at, c.id
) AS d
JOIN scorecards_score s ON s.scorecard_id = %s AND s.entity_id = d.entity_id
WHERE s.rank < d.was_rank
ORDER BY d.identifier
"""


@dataclass(frozen=True, slots=True)
class _Item:
    pk: int
    initiative: int
    entity: int
    identifier: str
    open: int


@dataclass(frozen=True, slots=True)
class _Drop:
    """rules: titles of those that were passed and are not now."""

    entity: int
    identifier: str
    scorecard: str
    was_level: str
    level: str
    rules: tuple[str, ...]


@dataclass(slots=True)
class _Due:
    """What is to be told. targets, statuses (of an entity): by pk of the initiative."""

    initiatives: dict[int, Initiative] = field(default_factory=dict)
    targets: dict[int, Targets] = field(default_factory=dict)
    statuses: dict[tuple[int, int], str] = field(default_factory=dict)
    items: list[_Item] = field(default_factory=list)
    drops: list[_Drop] = field(default_factory=list)


def remind(now: datetime) -> int:
    """Send the digests that are due; returns how many messages that were.

    A person hears of all their teams at once: of each initiative, as often as it says (once a
    week unless it says otherwise), how much is open and at most three next steps; once a day, of
    levels that dropped and did not come back, unless the rules were what changed. Who has nothing
    open hears nothing. May run twice: what was told is marked in the same transaction.
    """
    today = now.astimezone(UTC).date()
    with transaction.atomic():
        due = _Due()
        scorecards = {one.pk: one for one in _notifying()}
        ladders = ladders_of(scorecards.values())
        _find_open(due, ladders, today, now)
        _find_drops(due, ladders, now)
        return _send(due, today)


def _notifying() -> Sequence[Scorecard]:
    active = Scorecard.objects.filter(state=Scorecard.State.ACTIVE)
    return list(active.select_related("blueprint").order_by("pk"))


def _find_open(due: _Due, ladders: Mapping[int, Ladder], today: date, now: datetime) -> None:
    running = (
        Initiative.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("scorecard__blueprint")
        .filter(
            state=Initiative.State.RUNNING,
            started_at__isnull=False,
            scorecard__in=list(ladders),
        )
        .order_by("target_on", "pk")
    )
    for one in running:
        if _is_due(one, today):
            due.initiatives[one.pk] = one
            due.targets[one.pk] = targets_of(one, ladders[one.scorecard_id])
    Initiative.objects.filter(pk__in=due.initiatives).update(reminded_at=now)
    rows = InitiativeItem.objects.filter(
        initiative__in=list(due.initiatives), left_at=None, open__gt=0
    ).order_by("open", "pk")
    due.items = [
        _Item(*row)
        for row in rows.values_list("pk", "initiative_id", "entity_id", "identifier", "open")
    ]


def _is_due(initiative: Initiative, today: date) -> bool:
    told = initiative.reminders
    if told.get("isDisabled"):
        return False
    days = told.get("timeInterval", 1) * UNITS[told.get("timeUnit", "WEEK")]
    last = initiative.reminded_at or initiative.started_at
    assert last is not None  # noqa: S101 - it runs
    return (today - last.astimezone(UTC).date()).days >= days


def _find_drops(due: _Due, ladders: Mapping[int, Ladder], now: datetime) -> None:
    told = Scorecard.objects.select_for_update(skip_locked=True).filter(pk__in=list(ladders))
    for pk, since in told.order_by("pk").values_list("pk", "drops_told_at"):
        ladder = ladders[pk]
        since = since or now - DROPS_EVERY
        if (now.astimezone(UTC).date() - since.astimezone(UTC).date()) < DROPS_EVERY:
            continue
        Scorecard.objects.filter(pk=pk).update(drops_told_at=now)
        definition = definition_of(ladder.scorecard)
        if not (definition.is_notifying and definition.is_notifying_drops):
            continue
        with connection.cursor() as cursor:
            cursor.execute(_DROPS, [pk, since, now, ScoreChange.Cause.RULES, pk])
            for entity, _blueprint, identifier, was_level, level, was, statuses in cursor:
                due.drops.append(
                    _Drop(
                        entity,
                        identifier,
                        str(ladder.scorecard),
                        was_level or "no level",
                        level or "no level",
                        _broken(ladder, was, statuses),
                    )
                )


def _broken(ladder: Ladder, was: str, statuses: str) -> tuple[str, ...]:
    return tuple(
        rung.spec.title or rung.spec.identifier
        for rung in ladder.rungs
        if status_at(statuses, rung.slot).blocks and not status_at(was, rung.slot).blocks
    )


def _send(due: _Due, today: date) -> int:
    """Group what is due by who is to hear of it, and tell them."""
    pks = {one.entity for one in due.items} | {one.entity for one in due.drops}
    owners = owners_of(pks)
    things: dict[tuple[str, str], Owners] = {}
    items: dict[tuple[str, str], list[_Item]] = {}
    drops: dict[tuple[str, str], list[_Drop]] = {}
    unowned: dict[int, Owners] = {}
    for item in due.items:
        theirs = owners.get(item.entity)
        if not theirs:  # nobody's: whoever leads the initiative
            if item.initiative not in unowned:
                initiative = due.initiatives[item.initiative]
                unowned[item.initiative] = named(initiative.owner) or stewards_of(
                    initiative.scorecard
                )
            theirs = unowned[item.initiative]
        for key, one in _keys(theirs):
            things[key] = one
            items.setdefault(key, []).append(item)
    for drop in due.drops:
        for key, one in _keys(owners.get(drop.entity, Owners())):
            things[key] = one
            drops.setdefault(key, []).append(drop)
    messages = [
        (people, _unique(keys, items), _unique(keys, drops))
        for keys, people in by_person(things).items()
    ]
    _find_statuses(due, [open_items for _, open_items, _ in messages])
    for people, open_items, dropped in messages:
        _tell(due, people, open_items, dropped, today)
    return len(messages)


def _keys(owners: Owners) -> Iterable[tuple[tuple[str, str], Owners]]:
    for team in owners.teams:
        yield ("team", team), Owners(teams=frozenset({team}))
    for person in owners.people:
        yield ("person", person), Owners(people=frozenset({person}))


def _unique(
    keys: Iterable[tuple[str, str]], found: Mapping[tuple[str, str], list[Any]]
) -> list[Any]:
    return list(dict.fromkeys(one for key in sorted(keys) for one in found.get(key, ())))


def _find_statuses(due: _Due, groups: Iterable[Sequence[_Item]]) -> None:
    """Of the entities whose next steps will be named; one statement."""
    wanted: set[tuple[int, int]] = set()
    for items in groups:
        for initiative, theirs in _by_initiative(due, items):
            wanted |= {(initiative.scorecard_id, one.entity) for one in theirs[:MAX_STEPS]}
    rows = Score.objects.filter(
        scorecard__in={scorecard for scorecard, _ in wanted},
        entity__in={entity for _, entity in wanted},
    ).values_list("scorecard_id", "entity_id", "statuses")
    due.statuses = {(scorecard, entity): statuses for scorecard, entity, statuses in rows}


def _by_initiative(due: _Due, items: Sequence[_Item]) -> Iterable[tuple[Initiative, list[_Item]]]:
    """The most urgent initiative first; of each, what is nearest to done first."""
    for pk, initiative in due.initiatives.items():
        theirs = [one for one in items if one.initiative == pk]
        if theirs:
            yield initiative, sorted(theirs, key=lambda one: (one.open, one.pk))


def _tell(
    due: _Due,
    people: Sequence[str],
    items: Sequence[_Item],
    drops: Sequence[_Drop],
    today: date,
) -> None:
    told = list(_by_initiative(due, items))
    lines: list[str] = []
    for initiative, theirs in told:
        lines.append(f"{initiative.title}: {_open(len(theirs))}, {_left(initiative, today)}")
        lines += [f"- {step}" for step in _steps(due, initiative, theirs)]
        if reply_to := initiative.reminders.get("replyToEmails"):
            lines.append(f"Questions: {', '.join(reply_to)}")
    lines += [
        f"{one.identifier} dropped from {one.was_level} to {one.level} ({one.scorecard}"
        + (f": {', '.join(one.rules[:MAX_STEPS])})" if one.rules else ")")
        for one in drops[:MAX_DROPS]
    ]
    if (more := len(drops) - MAX_DROPS) > 0:
        lines.append(f"and {more:,} more dropped")
    notify(
        _title(len(told), len({one.entity for one in items}), len(drops)),
        topic=TOPIC,
        description="\n".join(lines),
        link=page_of(told[0][0]) if len(told) == 1 else PAGE,
        scope=SCOPE,
        recipients=people,
        is_mailed=True,
    )


def _steps(due: _Due, initiative: Initiative, items: Sequence[_Item]) -> list[str]:
    """The first missing rule of those that are nearest."""
    targets = due.targets[initiative.pk]
    steps = []
    for one in items[:MAX_STEPS]:
        missing = open_rules(targets, due.statuses.get((initiative.scorecard_id, one.entity), ""))
        what = missing[0].spec.title or missing[0].spec.identifier if missing else "reach the level"
        steps.append(f"{one.identifier}: {what}")
    return steps


def _title(initiatives: int, entities: int, drops: int) -> str:
    parts = []
    if entities:
        where = "an initiative" if initiatives == 1 else f"{initiatives} initiatives"
        parts.append(f"{_open(entities)} in {where}")
    if drops:
        parts.append("one level dropped" if drops == 1 else f"{drops:,} levels dropped")
    return f"Scorecards: {', '.join(parts)}"


def _open(count: int) -> str:
    return "one entity open" if count == 1 else f"{count:,} entities open"


def _left(initiative: Initiative, today: date) -> str:
    days = (initiative.target_on - today).days
    if days < 0:
        return "one day late" if days == -1 else f"{-days:,} days late"
    return {0: "due today", 1: "one day left"}.get(days, f"{days:,} days left")
