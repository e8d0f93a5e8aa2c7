"""Exemptions as people read them: which there are, which end soon, and which rules have many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from scorecards.models import Exemption, Rule, Scorecard
from scorecards.selectors.results import visible_scorecards

PREFIX: Final = "ex_"  # of ids in the API
SOON: Final = timedelta(days=14)

Status = Exemption.Status


@dataclass(frozen=True, slots=True)
class Asked:
    """Which exemptions; "" asks for all. entity, rule, blueprint: identifiers. by: who asked."""

    status: str = ""
    rule: str = ""
    entity: str = ""
    blueprint: str = ""
    by: str = ""

    def narrowed(self, found: QuerySet[Exemption]) -> QuerySet[Exemption]:
        wanted: dict[str, Any] = {
            "status": self.status,
            "rule__identifier": self.rule,
            "identifier": self.entity,
            "blueprint": self.blueprint,
            "requested_by": self.by,
        }
        return found.filter(**{key: value for key, value in wanted.items() if value})


@dataclass(frozen=True, slots=True)
class RuleReport:
    """How many exemptions of a rule hold, wait, and there have ever been; many say that the rule
    does not fit."""

    rule: Rule
    held: int
    waiting: int
    ever: int


def visible_exemptions(principal: Principal) -> QuerySet[Exemption]:
    """Those of the scorecards that somebody may look at."""
    pks = [one.pk for one in visible_scorecards(principal)]
    found = Exemption.objects.filter(scorecard__in=pks)
    return found.select_related("scorecard__blueprint", "rule")


def find_exemption(identifier: str, principal: Principal) -> Exemption:
    """By its id ("ex_7"). Raises NotFound."""
    number = identifier.removeprefix(PREFIX)
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    found = visible_exemptions(principal).filter(pk=int(number)).first() if is_number else None
    if found is None:
        raise NotFound.of("Exemption", identifier, field="id")
    return found


def find_rule(scorecard: Scorecard, identifier: object) -> Rule:
    """A rule that the scorecard has. Raises NotFound."""
    name = identifier if isinstance(identifier, str) else ""
    found = None
    if is_storable(name):
        found = Rule.objects.filter(scorecard=scorecard, identifier=name, removed_at=None).first()
    if found is None:
        raise NotFound.of("Rule", str(identifier))
    found.scorecard = scorecard
    return found


def ending(found: QuerySet[Exemption], now: datetime) -> QuerySet[Exemption]:
    """Those that hold, and end within two weeks."""
    return found.filter(status=Status.APPROVED, ends_at__gt=now, ends_at__lte=now + SOON)


def by_rule(scorecards: Collection[int], limit: int) -> Sequence[RuleReport]:
    """The rules with most exemptions that hold; one statement."""
    held = Q(exemptions__status=Status.APPROVED)
    waiting = Q(exemptions__status=Status.PENDING)
    rules = (
        Rule.objects.filter(scorecard__in=scorecards, removed_at=None)
        .select_related("scorecard__blueprint")
        .annotate(
            held=Count("exemptions", filter=held),
            waiting=Count("exemptions", filter=waiting),
            ever=Count("exemptions"),
        )
        .filter(ever__gt=0)
        .order_by("-held", "-waiting", "-ever", "scorecard_id", "position")[:limit]
    )
    return [RuleReport(one, one.held, one.waiting, one.ever) for one in rules]


def entities_of(rows: Collection[Exemption]) -> Mapping[int, Entity]:
    """What exemptions are about, as far as it is still there; one statement."""
    found = Entity.objects.select_related("blueprint")
    return found.in_bulk({one.entity_id for one in rows})


def exemption_document(one: Exemption) -> dict[str, Any]:
    """As the API says it; `scorecard__blueprint` and `rule` loaded."""
    return {
        "id": f"{PREFIX}{one.pk}",
        "scorecard": one.scorecard.identifier,
        "scorecardBlueprint": one.scorecard.blueprint and one.scorecard.blueprint.identifier,
        "rule": one.rule.identifier,
        "blueprint": one.blueprint,
        "entity": one.identifier,
        "status": one.status,
        "reason": one.reason,
        "ticket": one.ticket or None,
        "days": one.days,
        "requestedAt": timestamp(one.requested_at),
        "requestedBy": one.requested_by,
        "decidedAt": timestamp(one.decided_at) if one.decided_at else None,
        "decidedBy": one.decided_by or None,
        "decisionReason": one.decision_reason or None,
        "endsAt": timestamp(one.ends_at) if one.ends_at else None,
    }
