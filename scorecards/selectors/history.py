"""What was so when: levels and statuses of a day, shares over time, what flips, what takes long.

All of it comes from `ScoreChange`, of which an entity has a row each time its statuses or its level
changed: the last one until a moment says how it stood then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from scorecards.models import Rollup, Rule, Scorecard, ScorecardVersion, ScoreChange
from scorecards.statuses import ABSENT, BLOCKING, COUNTED, PASS, Status, status_at

UP, DOWN = DIRECTIONS = ("up", "down")
GRAINS: Final = ("day", "week", "month")
MAX_PERIODS: Final = 1000
MAX_POINTS: Final = 1000  # changes of one entity, the newest
_EVER: Final = datetime.min.replace(tzinfo=UTC)

# Each change takes an entity away from the level it had and adds it to another: running sums of
# that are the entities at a level. What came before the first period counts in it.
_SHARES: Final = """
WITH stated AS (
    SELECT entity_id, at, id, CASE WHEN %(blueprint)s::text IS NULL OR blueprint = %(blueprint)s
                                   THEN level END AS level
    FROM scorecards_scorechange WHERE scorecard_id = %(scorecard)s AND at < %(until)s
),
steps AS (
    SELECT greatest(date_trunc(%(grain)s, at AT TIME ZONE 'UTC'), %(first)s::timestamp) AS period,
           level, lag(level) OVER (PARTITION BY entity_id ORDER BY at, id) AS was
    FROM stated
),
moves AS (
    SELECT period, level, count(*) AS n FROM steps WHERE level IS NOT NULL GROUP BY 1, 2
    UNION ALL
    SELECT period, was, -count(*) FROM steps WHERE was IS NOT NULL GROUP BY 1, 2
),
counted AS (SELECT period, level, sum(n) AS n FROM moves GROUP BY 1, 2),
levels AS (SELECT DISTINCT level FROM counted),
periods AS (
    SELECT generate_series(%(first)s::timestamp, %(last)s::timestamp, %(step)s::interval) AS period
)
SELECT p.period AT TIME ZONE 'UTC', l.level,
       (sum(coalesce(c.n, 0)) OVER (PARTITION BY l.level ORDER BY p.period))::bigint
FROM periods p LEFT JOIN levels l ON true
LEFT JOIN counted c ON c.period = p.period AND c.level = l.level
ORDER BY p.period, l.level
"""

# The letters of each rule before and after each change, where both count and one is passed.
_FLIPS: Final = """
WITH sides AS (
    SELECT r.slot, c.entity_id, substr(c.was_statuses, r.slot + 1, 1) AS was,
           substr(c.statuses, r.slot + 1, 1) AS now
    FROM scorecards_scorechange c
    JOIN scorecards_rule r ON r.scorecard_id = c.scorecard_id AND r.removed_at IS NULL
    WHERE c.scorecard_id = %(scorecard)s AND c.at >= %(since)s AND c.at < %(until)s
      AND c.cause <> %(rules)s
      AND c.was_statuses <> c.statuses
)
SELECT slot, count(*), count(*) FILTER (WHERE was = %(pass)s), count(DISTINCT entity_id)
FROM sides
WHERE (was = %(pass)s) <> (now = %(pass)s)
  AND was = ANY(%(counted)s) AND now = ANY(%(counted)s)
GROUP BY slot ORDER BY 2 DESC, slot
"""

# From the change by which a rule came to block an entity to the one by which it was passed. One
# that went out of the count instead (exempt, gone, does not apply) was not fixed.
_FIXES: Final = """
WITH sides AS (
    SELECT r.slot, c.entity_id, c.at, c.id,
           substr(coalesce(c.was_statuses, ''), r.slot + 1, 1) AS was,
           substr(coalesce(c.statuses, ''), r.slot + 1, 1) AS now
    FROM scorecards_scorechange c
    JOIN scorecards_rule r ON r.scorecard_id = c.scorecard_id AND r.removed_at IS NULL
    WHERE c.scorecard_id = %(scorecard)s AND c.at >= %(first)s AND c.at < %(until)s
      AND c.was_statuses IS DISTINCT FROM c.statuses
),
turns AS (
    SELECT slot, entity_id, at, id, now = ANY(%(blocking)s) AS is_open, now = %(pass)s AS is_fixed
    FROM sides
    WHERE was <> now
      AND (was = ANY(%(blocking)s), was = %(pass)s) <> (now = ANY(%(blocking)s), now = %(pass)s)
),
spans AS (
    SELECT slot, at, is_open, lead(is_fixed) OVER w AS is_fixed, lead(at) OVER w AS ended
    FROM turns WINDOW w AS (PARTITION BY slot, entity_id ORDER BY at, id)
)
SELECT slot, avg(ended - at) FILTER (WHERE is_fixed AND ended >= %(since)s),
       count(*) FILTER (WHERE is_fixed AND ended >= %(since)s),
       count(*) FILTER (WHERE ended IS NULL)
FROM spans WHERE is_open GROUP BY slot
"""


class Share(NamedTuple):
    """How the entities stood at the end of a period; of the one that is not over, until then.

    at: its first moment. levels: entities at each level, by title; of `total`.
    """

    at: datetime
    levels: Mapping[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Flips:
    """How often a rule came to be passed or not: `broken` times of `count` it was not any more."""

    rule: Rule
    count: int
    broken: int
    entities: int

    @property
    def mended(self) -> int:
        return self.count - self.broken


@dataclass(frozen=True, slots=True)
class Fixes:
    """How long it took to fix a rule: on average of `count` times, None of none. open: entities
    that wait for it now."""

    rule: Rule
    mean: timedelta | None
    count: int
    open: int


def state_on(scorecard: Scorecard, entity_pk: int, moment: date | datetime) -> ScoreChange | None:
    """What held for an entity at a moment, or at the end of a day (UTC); None where it was not in
    the scorecard."""
    change = (
        ScoreChange.objects.filter(
            scorecard=scorecard, entity_id=entity_pk, at__lte=_end_of(moment)
        )
        .order_by("-at", "-pk")
        .first()
    )
    return change if change and change.statuses is not None else None


def statuses_of(change: ScoreChange, rules: Collection[Rule] | QuerySet[Rule]) -> dict[str, Status]:
    """What a change came to, by identifier of the rule."""
    found = {rule.identifier: status_at(change.statuses, rule.slot) for rule in rules}
    return {name: status for name, status in found.items() if status is not ABSENT}


def series_of(
    scorecard: Scorecard, entity_pk: int, *, since: datetime | None = None
) -> list[ScoreChange]:
    """The changes of an entity, oldest first, at most the newest `MAX_POINTS`; each holds until the
    next one. One without statuses is where it left the scorecard. since: with the one that held
    then.
    """
    changes = ScoreChange.objects.filter(scorecard=scorecard, entity_id=entity_pk)
    if since is not None:
        held = changes.filter(at__lte=since).order_by("-at", "-pk").first()
        changes = changes.filter(at__gte=held.at if held else since)
    return list(reversed(changes.order_by("-at", "-pk")[:MAX_POINTS]))


def shares(
    scorecard: Scorecard,
    *,
    grain: str = "week",
    since: datetime,
    until: datetime | None = None,
    kind: str = "all",
    group: str | None = None,
) -> list[Share]:
    """How many entities were at each level at the end of each day, week or month (UTC) from the one
    of `since` to the one of `until` (now), at most `MAX_PERIODS`, the newest.

    Exact for all entities and for those of a blueprint (kind "blueprint"). Which teams and domains
    an entity belonged to is not kept: theirs come from the day's roll-ups, and periods before the
    first one are empty. One or two statements.
    """
    until = until or timezone.now()
    periods = _periods(grain, since, until)
    if not periods:
        return []
    if kind in (Rollup.Kind.TEAM, Rollup.Kind.DOMAIN):
        return _rolled_up(scorecard, kind, group or "", grain, periods, until)
    with connection.cursor() as cursor:
        cursor.execute(
            _SHARES,
            {
                "scorecard": scorecard.pk,
                "blueprint": group if kind == Rollup.Kind.BLUEPRINT else None,
                "grain": grain,
                "first": _naive(periods[0]),
                "last": _naive(periods[-1]),
                "step": f"1 {grain}",
                "until": until,
            },
        )
        rows = cursor.fetchall()
    found: dict[datetime, dict[str, int]] = {period: {} for period in periods}
    for at, level, count in rows:
        if count:
            found[at][level] = count
    return [Share(at, levels, sum(levels.values())) for at, levels in found.items()]


def flips(scorecard: Scorecard, since: datetime, until: datetime | None = None) -> list[Flips]:
    """Rules that came to be passed or not from then until before `until` (now) because of data,
    time or exemptions, the most often changed first. Changes by edits of rules do not count."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FLIPS,
            {
                "scorecard": scorecard.pk,
                "since": since,
                "until": until or timezone.now(),
                "rules": ScoreChange.Cause.RULES,
                "counted": [*COUNTED],
                "pass": PASS.letter,
            },
        )
        rows = cursor.fetchall()
    rules = _rules(scorecard)
    return [Flips(rules[slot], *counts) for slot, *counts in rows]


def mean_time_to_fix(
    scorecard: Scorecard,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    first: datetime | None = None,
) -> dict[str, Fixes]:
    """By identifier of each rule that was ever to be fixed: how long that took on average, of what
    was fixed between `since` and `until` (all there was). first: what came to be open before that
    is not looked at, so that a long history costs no more than a short one."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FIXES,
            {
                "scorecard": scorecard.pk,
                "since": since or _EVER,
                "first": first or _EVER,
                "until": until or timezone.now(),
                "blocking": [*BLOCKING],
                "pass": PASS.letter,
            },
        )
        rows = {slot: values for slot, *values in cursor.fetchall()}
    rules = _rules(scorecard)
    return {
        rule.identifier: Fixes(rule, *rows[slot]) for slot, rule in rules.items() if slot in rows
    }


def regressions(
    scorecards: Collection[Scorecard],
    *,
    since: datetime,
    until: datetime | None = None,
    entities: Collection[int] | QuerySet[Any, Any] | None = None,
) -> QuerySet[ScoreChange]:
    """Changes by which entities (pks; all: None) fell to a lower level, newest first; not those by
    edits of rules."""
    found = (
        ScoreChange.objects.filter(scorecard__in=scorecards, at__gte=since, rank__lt=F("was_rank"))
        .exclude(cause=ScoreChange.Cause.RULES)
        .select_related("scorecard")
        .order_by("-at", "-pk")
    )
    if until is not None:
        found = found.filter(at__lt=until)
    return found if entities is None else found.filter(entity_id__in=entities)


def boundaries(
    scorecard: Scorecard, since: datetime, until: datetime | None = None
) -> list[ScorecardVersion]:
    """The versions that began in a window, oldest first: lines to draw into charts."""
    found = scorecard.versions.filter(at__gte=since).order_by("version")
    return list(found if until is None else found.filter(at__lt=until))


def changes_of(
    scorecard: Scorecard,
    *,
    entity_pk: int | None = None,
    direction: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[ScoreChange]:
    """The changes of a scorecard from `since` until before `until`, newest first. direction: UP or
    DOWN for those by which an entity came to a higher or lower level."""
    found = ScoreChange.objects.filter(scorecard=scorecard).order_by("-at", "-pk")
    if entity_pk is not None:
        found = found.filter(entity_id=entity_pk)
    if direction:
        found = found.filter(**{f"rank__{'gt' if direction == UP else 'lt'}": F("was_rank")})
    if since is not None:
        found = found.filter(at__gte=since)
    return found if until is None else found.filter(at__lt=until)


def direction_of(change: ScoreChange) -> str:
    """UP or DOWN; "" where the level stayed, or the entity came in or went."""
    if change.rank is None or change.was_rank is None or change.rank == change.was_rank:
        return ""
    return UP if change.rank > change.was_rank else DOWN


def pk_of(scorecard: Scorecard, blueprint: str, identifier: str) -> int | None:
    """The entity that last had this name on the scorecard; it may be gone."""
    found = changes_of(scorecard).filter(blueprint=blueprint, identifier=identifier)
    return found.values_list("entity_id", flat=True).first()


def _rules(scorecard: Scorecard) -> dict[int, Rule]:
    """By slot, in the order of the document."""
    return {rule.slot: rule for rule in scorecard.rules.filter(removed_at=None)}


def _rolled_up(
    scorecard: Scorecard,
    kind: str,
    group: str,
    grain: str,
    periods: Sequence[datetime],
    until: datetime,
) -> list[Share]:
    """From the last day of each period that was rolled up."""
    rows = Rollup.objects.filter(
        scorecard=scorecard,
        kind=kind,
        group=group,
        day__gte=periods[0].date(),
        day__lte=until.date(),
    ).order_by("day")
    versions = scorecard.versions.values_list("version", "levels")
    titles = {number: [one["title"] for one in levels] for number, levels in versions}
    last: dict[datetime, Rollup] = {}
    for row in rows:
        last[_start(grain, datetime.combine(row.day, time(), tzinfo=UTC))] = row
    found = []
    for period in periods:
        rollup = last.get(period)
        levels: dict[str, int] = {}
        for rank, count in enumerate(rollup.ranks if rollup else ()):
            if rollup and count:
                levels[_title(titles.get(rollup.version, []), rank)] = count
        found.append(Share(period, levels, rollup.entities if rollup else 0))
    return found


def _title(titles: Sequence[str], rank: int) -> str:
    return titles[rank] if rank < len(titles) else ""


def _periods(grain: str, since: datetime, until: datetime) -> list[datetime]:
    """The first moments of the periods from `since` until before `until`."""
    if grain not in GRAINS:
        raise ValueError(f"There is no grain {grain!r}")
    found: list[datetime] = []
    start = _start(grain, until - timedelta(microseconds=1))
    first = _start(grain, since)
    while start >= first and len(found) < MAX_PERIODS:
        found.append(start)
        start = _start(grain, start - timedelta(microseconds=1))
    return found[::-1]


def _start(grain: str, moment: datetime) -> datetime:
    """The first moment of the period of a moment; weeks begin on Mondays."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def _end_of(moment: date | datetime) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time.max, tzinfo=UTC)


def _naive(moment: datetime) -> Any:
    return moment.astimezone(UTC).replace(tzinfo=None)
