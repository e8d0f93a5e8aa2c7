"""How initiatives stand: their numbers, who and what is still open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connection
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Substr

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.services.permissions import Standing
from scorecards.models import Initiative, InitiativeItem, Score
from scorecards.selectors.initiative_scope import Targets
from scorecards.selectors.results import Rung, is_owner, visible_scorecards
from scorecards.statuses import EXEMPT, WANTING, status_at

SCHEDULED: Final = "scheduled"
LATE: Final = "late"
# As people read them: those that need somebody first.
STATES: Final[Mapping[str, str]] = {
    "late": "Late",
    "running": "Running",
    "scheduled": "Scheduled",
    "draft": "Draft",
    "ended": "Ended",
    "cancelled": "Cancelled",
}
OVER: Final = (Initiative.State.ENDED, Initiative.State.CANCELLED)

OPEN, DONE, IS_EXEMPT, REGRESSED, LEFT = "open", "done", "exempt", "regressed", "left"
ITEM_STATES: Final[Mapping[str, str]] = {
    OPEN: "Open",
    REGRESSED: "Open again",
    DONE: "Done",
    IS_EXEMPT: "Exempt",
    LEFT: "Has left",
}

_BY_TEAM: Final = """
SELECT t.team, coalesce(x.title, t.team), count(*), count(*) FILTER (WHERE i.open = 0), sum(i.open)
FROM scorecards_initiativeitem i
LEFT JOIN catalog_entity e ON e.id = i.entity_id
CROSS JOIN LATERAL unnest(CASE WHEN cardinality(e.team) > 0 THEN e.team ELSE ARRAY[''] END)
    AS t(team)
LEFT JOIN catalog_entity x ON x.identifier = t.team
    AND x.blueprint_id = (SELECT id FROM catalog_blueprint WHERE identifier = '_team')
WHERE i.initiative_id = %s AND i.left_at IS NULL
GROUP BY 1, 2 ORDER BY sum(i.open) DESC, 2
"""

_BY_RULE: Final = """
SELECT x.slot, count(*) FILTER (WHERE strpos(%(open)s, x.letter) > 0),
       count(*) FILTER (WHERE x.letter = %(exempt)s)
FROM scorecards_initiativeitem i
JOIN scorecards_score s ON s.scorecard_id = %(scorecard)s AND s.entity_id = i.entity_id
CROSS JOIN LATERAL (
    SELECT slot, substr(s.statuses, slot + 1, 1) AS letter FROM unnest(%(slots)s::int[]) AS slot
) AS x
WHERE i.initiative_id = %(initiative)s AND i.left_at IS NULL AND x.letter <> ''
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of the entities that are in it: done, exempt (done only by exemptions), regressed (open
    again). open: missing targets of all together. joined, left: since it began.
    """

    entities: int = 0
    done: int = 0
    open: int = 0
    exempt: int = 0
    regressed: int = 0
    joined: int = 0
    left: int = 0

    @property
    def waiting(self) -> int:
        return self.entities - self.done

    @property
    def percentage(self) -> float | None:
        """None while it is about nothing."""
        return 100 * self.done / self.entities if self.entities else None


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the work. name: identifier of a team ("" for nobody's) or of a rule."""

    name: str
    title: str
    entities: int
    done: int
    open: int
    exempt: int = 0


@dataclass(frozen=True, slots=True)
class Milestone:
    """percent: to be done by then. reached: percent now. is_due: its day is over."""

    title: str
    on: date
    percent: int
    reached: float
    is_due: bool

    @property
    def is_met(self) -> bool:
        return self.reached >= self.percent


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An entity in it. entity: None when it is gone. open_rules: those missing, nearest first."""

    item: InitiativeItem
    state: str
    entity: Entity | None
    open_rules: Sequence[Rung]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which items of an initiative; "" asks for all. team: identifier; rule: identifier."""

    state: str = ""
    team: str = ""
    rule: str = ""
    text: str = ""

    @property
    def is_narrowed(self) -> bool:
        return self != Asked()


def visible_initiatives(principal: Principal) -> QuerySet[Initiative]:
    """Those of the scorecards that somebody may look at; drafts for who may change them."""
    standing = Standing(principal)
    scorecards = visible_scorecards(principal)
    own = [one.pk for one in scorecards if standing.is_admin or is_owner(one, standing)]
    return Initiative.objects.select_related("scorecard__blueprint").filter(
        ~Q(state=Initiative.State.DRAFT) | Q(scorecard__in=own),
        scorecard__in=[one.pk for one in scorecards],
    )


def numbers_of(pks: Collection[int]) -> dict[int, Numbers]:
    """Of many at once; one statement."""
    here = Q(left_at=None)
    is_later = Q(joined_at__gt=F("initiative__started_at"))
    found = (
        InitiativeItem.objects.filter(initiative__in=pks)
        .order_by()
        .values("initiative_id")
        .annotate(
            entities=Count("pk", filter=here),
            done=Count("pk", filter=here & Q(open=0)),
            missing=Coalesce(Sum("open", filter=here), 0),
            exempt=Count("pk", filter=here & Q(is_exempt=True)),
            regressed=Count("pk", filter=here & Q(is_regressed=True)),
            joined=Count("pk", filter=here & is_later),
            gone=Count("pk", filter=~here),
        )
    )
    numbers = {
        row["initiative_id"]: Numbers(
            entities=row["entities"],
            done=row["done"],
            open=row["missing"],
            exempt=row["exempt"],
            regressed=row["regressed"],
            joined=row["joined"],
            left=row["gone"],
        )
        for row in found
    }
    return {pk: numbers.get(pk, Numbers()) for pk in pks}


def is_complete(numbers: Numbers) -> bool:
    """Whether there is something it is about, and all of it is done."""
    return numbers.entities > 0 and numbers.waiting == 0


def state_of(initiative: Initiative, numbers: Numbers, today: date) -> str:
    """One of `STATES`: a running one is late once its day is over and something is open."""
    if initiative.state != Initiative.State.RUNNING:
        return str(initiative.state)
    if initiative.started_at is None:
        return SCHEDULED
    is_late = initiative.target_on < today and not is_complete(numbers)
    return LATE if is_late else str(initiative.state)


def page_of(initiative: Initiative) -> str:
    """The path of its page in the portal."""
    return f"/initiatives/{initiative.identifier}"


def by_team(initiative: Initiative) -> list[Part]:
    """An entity of several teams counts for each; "" are those of nobody. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_TEAM, [initiative.pk])
        return [
            Part(team, title or "Nobody's", entities, done, open)
            for team, title, entities, done, open in cursor.fetchall()
        ]


def by_rule(initiative: Initiative, targets: Targets, numbers: Numbers) -> list[Part]:
    """The rules that most entities miss first; as scores are now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            _BY_RULE,
            {
                "initiative": initiative.pk,
                "scorecard": initiative.scorecard_id,
                "slots": targets.slots,
                "open": WANTING,
                "exempt": EXEMPT.letter,
            },
        )
        counts = {slot: (open, exempt) for slot, open, exempt in cursor.fetchall()}
    parts = []
    for rung in targets.rungs:
        open, exempt = counts.get(rung.slot, (0, 0))
        parts.append(
            Part(
                rung.spec.identifier,
                rung.spec.title or rung.spec.identifier,
                numbers.entities,
                numbers.entities - open,
                open,
                exempt,
            )
        )
    return sorted(parts, key=lambda part: -part.open)


def milestones_of(initiative: Initiative, numbers: Numbers, today: date) -> list[Milestone]:
    return [
        Milestone(
            title=one["title"],
            on=(on := date.fromisoformat(one["on"])),
            percent=one["percent"],
            reached=numbers.percentage or 0.0,
            is_due=on < today,
        )
        for one in initiative.milestones
    ]


def items_of(
    initiative: Initiative, targets: Targets, asked: Asked | None = None
) -> QuerySet[InitiativeItem]:
    """Its items; those that have left only where they are asked for."""
    asked = asked or Asked()
    found = InitiativeItem.objects.filter(initiative=initiative)
    found = found.filter(left_at__isnull=asked.state != LEFT)
    if asked.state == OPEN:
        found = found.filter(open__gt=0)
    elif asked.state == DONE:
        found = found.filter(open=0)
    elif asked.state == IS_EXEMPT:
        found = found.filter(is_exempt=True)
    elif asked.state == REGRESSED:
        found = found.filter(is_regressed=True)
    if asked.team:
        owned = Entity.objects.owned_by([asked.team])
        found = found.filter(entity_id__in=owned.values("pk"))
    if asked.rule:
        slots = [one.slot for one in targets.rungs if one.spec.identifier == asked.rule]
        missing = Score.objects.none()
        if slots:
            missing = Score.objects.alias(letter=Substr("statuses", slots[0] + 1, 1)).filter(
                scorecard=initiative.scorecard_id, letter__in=list(WANTING)
            )
        found = found.filter(entity_id__in=missing.values("entity_id"))
    if asked.text:
        found = found.filter(identifier__icontains=asked.text)
    return found


def rows_of(
    initiative: Initiative, targets: Targets, items: Sequence[InitiativeItem]
) -> list[ItemRow]:
    """Items with what is missing of each; two statements, however many they are."""
    pks = [one.entity_id for one in items]
    entities = Entity.objects.select_related("blueprint").in_bulk(pks)
    scores = Score.objects.filter(scorecard=initiative.scorecard_id, entity__in=pks)
    statuses = dict(scores.values_list("entity_id", "statuses"))
    return [
        ItemRow(
            item=one,
            state=state_of_item(one),
            entity=entities.get(one.entity_id),
            open_rules=open_rules(targets, statuses.get(one.entity_id, "")) if one.open else [],
        )
        for one in items
    ]


def nearest_items(initiative: Initiative, targets: Targets, limit: int) -> list[ItemRow]:
    """Of the open ones, those that the fewest targets are missing of."""
    items = items_of(initiative, targets, Asked(state=OPEN)).order_by("open", "pk")[:limit]
    return rows_of(initiative, targets, list(items))


def open_rules(targets: Targets, statuses: str) -> list[Rung]:
    """The easiest first: most weight for the least effort."""
    missing = [rung for rung in targets.rungs if status_at(statuses, rung.slot).letter in WANTING]
    return sorted(missing, key=lambda rung: -rung.spec.ease)


def state_of_item(item: InitiativeItem) -> str:
    """One of `ITEM_STATES`."""
    if item.left_at is not None:
        return LEFT
    if item.open:
        return REGRESSED if item.is_regressed else OPEN
    return IS_EXEMPT if item.is_exempt else DONE


def moves_of(
    initiative: Initiative, limit: int
) -> tuple[list[InitiativeItem], list[InitiativeItem]]:
    """Who joined after the start, and who has left, the latest first."""
    items = InitiativeItem.objects.filter(initiative=initiative)
    joined = items.filter(left_at=None, joined_at__gt=initiative.started_at)
    left = items.filter(left_at__isnull=False)
    return (
        list(joined.order_by("-joined_at", "pk")[:limit]),
        list(left.order_by("-left_at", "pk")[:limit]),
    )


def level_title(initiative: Initiative, levels: Sequence[Any]) -> str:
    """Of the level to reach; "" for none. levels: of the scorecard's definition."""
    if initiative.rank is None:
        return ""
    return str(levels[initiative.rank].title) if initiative.rank < len(levels) else ""
