"""The entities of a scorecard in a list, narrowed and in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import BooleanField, F, IntegerField, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Lower

from catalog.kernel.keyset import Key, Keyset
from catalog.selectors.sql import Sql, like_pattern
from scorecards.models import Score
from scorecards.statuses import BLOCKING, STATUSES

_NAME: Final = Lower(Coalesce("entity__title", "entity__identifier", output_field=TextField()))

BY_NAME: Final = Keyset([Key("title", _NAME, TextField()), Key("pk", "pk", IntegerField())])
HIGHEST_FIRST: Final = Keyset(
    [Key("rank", "rank", IntegerField()), Key("pk", "pk", IntegerField())], descending=True
)
LOWEST_FIRST: Final = Keyset(HIGHEST_FIRST.keys)
# Whoever does not care: on the primary key, so that new results do not move the pages.
BY_KEY: Final = Keyset([Key("pk", "pk", IntegerField())])

OPEN: Final = "open"  # whichever status keeps an entity from a level


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which results: those that fit all that is said. slot: of a rule. status: the name of one, of
    that rule or else of any, or "open"; a rule alone means where it is open. team: an identifier.
    text: part of the identifier or title of the entity.
    """

    rank: int | None = None
    slot: int | None = None
    status: str = ""
    team: str = ""
    text: str = ""


def narrowed(scores: QuerySet[Score], by: Narrowing) -> QuerySet[Score]:
    if by.rank is not None:
        scores = scores.filter(rank=by.rank)
    if by.slot is not None or by.status:
        scores = scores.filter(_has_status(by.slot, by.status or OPEN))
    if by.team:
        scores = scores.filter(entity__team__contains=[by.team])
    if by.text:
        pattern = Value(f"%{like_pattern(by.text.lower())}%")
        scores = scores.filter(Sql("{} LIKE {}", F("entity__label"), pattern))
    return scores


def scores_in_order(scores: QuerySet[Score]) -> QuerySet[Score]:
    """With what lists show of their entities."""
    return scores.select_related("entity__blueprint").only(
        "statuses",
        "rank",
        "level",
        "points",
        "total",
        "version",
        "evaluated_at",
        "data_as_of",
        "since",
        "entity__identifier",
        "entity__title",
        "entity__icon",
        "entity__team",
        "entity__blueprint__identifier",
        "entity__blueprint__title",
        "entity__blueprint__icon",
    )


def _has_status(slot: int | None, status: str) -> Sql:
    letters = (
        BLOCKING
        if status == OPEN
        else "".join(one.letter for one in STATUSES.values() if one.name == status)
    )
    if slot is None:
        return Sql(
            "translate({}, {}, '') <> {}",
            F("statuses"),
            Value(letters),
            F("statuses"),
            output_field=BooleanField(),
        )
    return Sql(
        "strpos({}, nullif(substr({}, {}::int, 1), '')) > 0",
        Value(letters),
        F("statuses"),
        Value(slot + 1),
    )
