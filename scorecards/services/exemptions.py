"""Exemptions: asked for, decided on, revoked, ended. Whatever takes effect is evaluated at once, in
the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Substr
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    PermissionDenied,
    shorten,
)
from catalog.models import Entity
from catalog.selectors.search import search
from catalog.services.permissions import WRITERS, Standing
from scorecards.formats import definition_of
from scorecards.models import Exemption, Rule, Score, Scorecard
from scorecards.selectors.results.visibility import may_edit
from scorecards.services.exemption_checks import checked_days, checked_text, checked_ticket
from scorecards.services.exemption_states import WARNINGS, evaluate_all, lock, move, record
from scorecards.services.exemption_telling import tell_asked, tell_decided, tell_owners, until
from scorecards.statuses import ANNOUNCED_FAIL, ANNOUNCED_NO_DATA, BLOCKING

MAX_AT_ONCE: Final = 1000

Status = Exemption.Status
OPEN: Final = (Status.PENDING, Status.APPROVED)
# What an exemption would change; who passes needs none.
_WORTH_EXEMPTING: Final = BLOCKING + ANNOUNCED_FAIL.letter + ANNOUNCED_NO_DATA.letter


@dataclass(frozen=True, slots=True)
class Requested:
    """What came of a request for many. passed_over: entities that need none, or have one."""

    made: Sequence[Exemption]
    passed_over: int


@dataclass(frozen=True, slots=True)
class _Request:
    rule: Rule
    reason: str
    days: int | None
    ticket: str
    is_approved: bool
    actor: Actor
    now: datetime


def may_request(principal: Principal) -> bool:
    """Anybody but those who only look on."""
    return Standing(principal).role in WRITERS


def require_request(principal: Principal) -> None:
    """Raises PermissionDenied."""
    if not may_request(principal):
        raise _refused("ask for")


def may_approve(principal: Principal, scorecard: Scorecard) -> bool:
    """Admins and the scorecard's owner; `blueprint` loaded."""
    return may_edit(principal, scorecard)


def is_by(exemption: Exemption, actor: Actor) -> bool:
    """Whether somebody asked for it themselves."""
    return (exemption.requested_by_kind, exemption.requested_by.lower()) == (
        actor.kind,
        actor.name.lower(),
    )


def may_decide(exemption: Exemption, principal: Principal, actor: Actor) -> bool:
    """As `may_approve`; a person may not decide on what they asked for themselves where four eyes
    are wanted.
    """
    return may_approve(principal, exemption.scorecard) and not _is_own(exemption, actor)


def request(
    rule: Rule,
    entity: Entity,
    *,
    reason: object,
    days: object = None,
    ticket: object = "",
    principal: Principal,
    actor: Actor,
) -> Exemption:
    """Ask that a rule does not count for an entity. rule: its scorecard and that one's blueprint
    loaded. days: None or 0 until it is revoked.

    It holds at once where the scorecard says so, or who asks may approve it without a second pair
    of eyes. Raises PermissionDenied, InvalidInput, Conflict when there is one already.
    """
    asked = _asked(rule, reason, days, ticket, principal, actor)
    with transaction.atomic():
        known = Exemption.objects.filter(rule=rule, entity_id=entity.pk, status__in=OPEN).first()
        if known is not None:
            raise _there_is_one(known)
        if not Score.objects.filter(scorecard=rule.scorecard, entity=entity).exists():
            raise InvalidInput.of(
                "entity", entity.identifier, f"an entity that {rule.scorecard} is about"
            )
        [made] = _make(asked, [entity])
        return made


def request_many(
    rule: Rule,
    query: Mapping[str, Any] | None,
    *,
    reason: object,
    days: object = None,
    ticket: object = "",
    principal: Principal,
    actor: Actor,
) -> Requested:
    """As `request`, for those of the entities that a search finds which do not pass the rule.

    Raises InvalidQuery, LimitExceeded for more than `MAX_AT_ONCE`, too.
    """
    asked = _asked(rule, reason, days, ticket, principal, actor)
    found = search(query, principal=principal, blueprint=rule.scorecard.blueprint)
    with transaction.atomic():
        scores = (
            Score.objects.filter(scorecard=rule.scorecard, entity__in=found.values("pk"))
            .annotate(letter=Substr("statuses", rule.slot + 1, 1))
            .order_by()
        )
        open_ones = Exemption.objects.filter(
            rule=rule, entity_id=OuterRef("entity_id"), status__in=OPEN
        )
        wanted = list(
            scores.filter(~Exists(open_ones), letter__in=list(_WORTH_EXEMPTING)).values_list(
                "entity_id", flat=True
            )[: MAX_AT_ONCE + 1]
        )
        if len(wanted) > MAX_AT_ONCE:
            raise LimitExceeded(
                f"The search finds more than {MAX_AT_ONCE} entities that do not pass",
                hint="Narrow it down, or give the rule a filter.",
                details={"field": "query", "expected": f"at most {MAX_AT_ONCE} entities"},
            )
        entities = Entity.objects.select_related("blueprint").filter(pk__in=wanted).order_by("pk")
        made = _make(asked, list(entities)) if wanted else []
        return Requested(made, scores.count() - len(made))


def decide(
    exemption: Exemption, *, status: str, reason: str = "", principal: Principal, actor: Actor
) -> Exemption:
    """Approve or deny (a `Status`) what somebody asked for; of two at once, the first one wins.

    Raises PermissionDenied, InvalidInput for a refusal without a reason, Conflict when it is
    decided on.
    """
    with transaction.atomic():
        [locked] = lock([exemption.pk])
        if locked.status != Status.PENDING:
            raise Conflict(
                f"It is {Status(locked.status).label.lower()} already"
                + (f", by {locked.decided_by}" if locked.decided_by else ""),
                details={"resource": "Exemption", "value": locked.status},
            )
        _decide([locked], status, reason, principal, actor)
    return locked


def decide_many(
    pks: Collection[int], *, status: str, reason: str = "", principal: Principal, actor: Actor
) -> list[Exemption]:
    """As `decide`; those that somebody else has decided on meanwhile are left as they are."""
    with transaction.atomic():
        waiting = [one for one in lock(pks) if one.status == Status.PENDING]
        _decide(waiting, status, reason, principal, actor)
    return waiting


def revoke(
    exemption: Exemption, *, reason: str = "", principal: Principal, actor: Actor
) -> Exemption:
    """End one that holds, or take a request back; who asked for it may do so, too.

    Raises PermissionDenied, InvalidInput where somebody else's ends without a reason, Conflict.
    """
    with transaction.atomic():
        [locked] = lock([exemption.pk])
        is_own = is_by(locked, actor)
        if not is_own and not may_approve(principal, locked.scorecard):
            raise _refused("revoke")
        if locked.status not in OPEN:
            raise Conflict(
                f"It is {Status(locked.status).label.lower()} already",
                details={"resource": "Exemption", "value": locked.status},
            )
        text = checked_text(reason, "reason", is_needed=not is_own)
        held = locked.status == Status.APPROVED
        move([locked], Status.REVOKED, text, actor, timezone.now())
        if held:
            evaluate_all([locked], actor.name)
        if not is_own:
            tell_decided([locked], actor)
    return locked


def end_due(now: datetime) -> int:
    """End what has run out, and what is about entities and rules that are gone; tell whom it
    concerns. Returns how many that were; may run twice.
    """
    actor = Actor.system("scorecards")
    is_there = Entity.objects.filter(pk=OuterRef("entity_id"))
    due = Q(status=Status.APPROVED, ends_at__lte=now) | Q(rule__removed_at__isnull=False)
    pks = list(
        Exemption.objects.filter(due | ~Exists(is_there), status__in=OPEN)
        .order_by("scorecard_id", "pk")
        .values_list("scorecard_id", "pk")
    )
    ended = 0
    for _, group in groupby(pks, key=lambda pair: pair[0]):
        with transaction.atomic():
            over = [one for one in lock([pk for _, pk in group]) if one.status in OPEN]
            held = [one for one in over if one.status == Status.APPROVED]
            move(over, Status.EXPIRED, "", actor, now, keeps_decision=True)
            evaluate_all(held, actor.name)
            ran_out = [one for one in held if one.ends_at and one.ends_at <= now]
            tell_owners(ran_out, "has ended", "have ended", "exemptions-ended")
        ended += len(over)
    return ended


def warn(now: datetime) -> int:
    """Tell those whom it concerns 14 and 3 days before an exemption ends, once each time; one
    message per person. Returns how many exemptions end soon; may run twice.
    """
    with transaction.atomic():
        ending = list(
            Exemption.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("scorecard__blueprint", "rule")
            .filter(
                status=Status.APPROVED,
                ends_at__gt=now,
                ends_at__lte=now + timedelta(days=max(WARNINGS)),
            )
            .order_by("ends_at", "pk")
        )
        warned = []
        for one in ending:
            days = _threshold(one, now)
            if one.warned_days is None or one.warned_days > days:
                one.warned_days = days
                warned.append(one)
        Exemption.objects.bulk_update(warned, ["warned_days"])
        tell_owners(warned, "ends soon", "end soon", "exemptions-ending")
    return len(warned)


def _asked(
    rule: Rule, reason: object, days: object, ticket: object, principal: Principal, actor: Actor
) -> _Request:
    require_request(principal)
    scorecard = rule.scorecard
    definition = definition_of(scorecard)
    if scorecard.state == Scorecard.State.ARCHIVED or not definition.exemptions_enabled:
        raise Conflict(
            f"{scorecard} grants no exemptions",
            hint="Its owner, or an admin, can switch them on.",
            details={"field": "scorecard", "value": scorecard.identifier},
        )
    if rule.removed_at is not None:
        raise InvalidInput.of("rule", rule.identifier, "a rule that the scorecard has")
    # An API client is made by an admin for a purpose: nobody sits in front of it.
    is_alone = not settings.IDP_EXEMPTION_FOUR_EYES or actor.kind != "user"
    return _Request(
        rule=rule,
        reason=checked_text(reason, "reason", is_needed=True),
        days=checked_days(days, definition.longest_exemption_days),
        ticket=checked_ticket(ticket),
        is_approved=definition.exemptions_auto_approved
        or (is_alone and may_approve(principal, scorecard)),
        actor=actor,
        now=timezone.now(),
    )


def _make(asked: _Request, entities: Sequence[Entity]) -> list[Exemption]:
    """Raises Conflict when somebody asked for one of them just now."""
    actor, is_automatic = asked.actor, definition_of(asked.rule.scorecard).exemptions_auto_approved
    rows = [
        Exemption(
            scorecard=asked.rule.scorecard,
            rule=asked.rule,
            entity_id=entity.pk,
            blueprint=entity.blueprint.identifier,
            identifier=entity.identifier,
            reason=asked.reason,
            ticket=asked.ticket,
            days=asked.days,
            requested_at=asked.now,
            requested_by=actor.name,
            requested_by_kind=actor.kind,
        )
        for entity in entities
    ]
    try:
        with transaction.atomic():
            Exemption.objects.bulk_create(rows)
    except IntegrityError:
        raise Conflict("Somebody asked for this exemption just now") from None
    record(feed.CREATE, rows, [None] * len(rows), actor, asked.now)
    if asked.is_approved:
        by = Actor.system("scorecards") if is_automatic else actor
        text = "Approved without asking, as the scorecard says" if is_automatic else ""
        move(rows, Status.APPROVED, text, by, asked.now)
        evaluate_all(rows, actor.name)
    else:
        tell_asked(asked.rule.scorecard, actor)
    return rows


def _decide(
    rows: Sequence[Exemption], status: str, reason: str, principal: Principal, actor: Actor
) -> None:
    if status not in (Status.APPROVED, Status.DENIED):
        raise InvalidInput.of("status", status, f"{Status.APPROVED} or {Status.DENIED}")
    text = checked_text(reason, "reason", is_needed=status == Status.DENIED)
    allowed = {one.pk: may_approve(principal, one) for one in {row.scorecard for row in rows}}
    for row in rows:
        if not allowed[row.scorecard_id]:
            raise _refused("decide on")
        if _is_own(row, actor):
            raise PermissionDenied(
                "Somebody else decides on what you asked for",
                hint="Another admin, or the owner of the scorecard, can approve it.",
                details={"resource": "Exemption", "value": shorten(row.identifier)},
            )
    move(rows, status, text, actor, timezone.now())
    if status == Status.APPROVED:
        evaluate_all(rows, actor.name)
    tell_decided(rows, actor)


def _threshold(one: Exemption, now: datetime) -> int:
    assert one.ends_at is not None  # noqa: S101 - selected by it
    return next(days for days in WARNINGS if one.ends_at <= now + timedelta(days=days))


def _is_own(exemption: Exemption, actor: Actor) -> bool:
    """Whether a second pair of eyes is missing."""
    is_wanted = settings.IDP_EXEMPTION_FOUR_EYES and actor.kind == "user"
    return is_wanted and is_by(exemption, actor)


def _there_is_one(known: Exemption) -> Conflict:
    if known.status == Status.PENDING:
        words = f"{known.requested_by} has asked for it already; it waits for a decision"
    else:
        words = f"It is exempt already{until(known)}"
    return Conflict(words, details={"resource": "Exemption", "value": f"ex_{known.pk}"})


def _refused(what: str) -> PermissionDenied:
    who = "members" if what == "ask for" else "admins and the owner of the scorecard"
    return PermissionDenied(
        f"You may not {what} exemptions",
        hint=f"That is for {who}.",
        details={"resource": "Exemption"},
    )
