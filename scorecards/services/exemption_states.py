"""From one state of an exemption to another: told to the feed, and in effect at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import shorten
from catalog.selectors.documents import timestamp
from scorecards.models import Exemption, ScoreChange
from scorecards.services.evaluating import evaluate_soon

MODEL: Final = "exemption"  # in the feed
WARNINGS: Final = (3, 14)  # days before the end


def lock(pks: Collection[int]) -> list[Exemption]:
    return list(
        Exemption.objects.select_for_update(of=("self",))
        .select_related("scorecard__blueprint", "rule")
        .filter(pk__in=pks)
        .order_by("pk")
    )


def move(
    rows: Sequence[Exemption],
    status: str,
    reason: str,
    actor: Actor,
    now: datetime,
    *,
    keeps_decision: bool = False,
) -> None:
    """Give them another state, and tell the feed. keeps_decision: who approved them stays named."""
    before = [_document(one) for one in rows]
    for one in rows:
        one.status = status
        if not keeps_decision:
            one.decided_at, one.decided_by, one.decided_by_kind = now, actor.name, actor.kind
            one.decision_reason = reason
        if status == Exemption.Status.APPROVED:
            one.ends_at = _end(now, one.days)
            # one that is shorter than a warning's time is not warned of as it begins
            one.warned_days = next(
                (days for days in WARNINGS if one.days and one.days <= days), None
            )
    Exemption.objects.bulk_update(
        rows,
        [
            "status",
            "decided_at",
            "decided_by",
            "decided_by_kind",
            "decision_reason",
            "ends_at",
            "warned_days",
        ],
    )
    record(feed.UPDATE, rows, before, actor, now)


def evaluate_all(rows: Sequence[Exemption], by: str) -> None:
    for scorecard, entities in sorted(_by_scorecard(rows).items()):
        evaluate_soon(
            scorecard, cause=ScoreChange.Cause.EXEMPTION, by=by, entities=sorted(entities)
        )


def record(
    action: str,
    rows: Sequence[Exemption],
    before: Sequence[dict[str, Any] | None],
    actor: Actor,
    now: datetime,
) -> None:
    records = []
    for one, was in zip(rows, before, strict=True):
        after = _document(one)
        if was is not None:
            differing = [key for key in after if was[key] != after[key]]
            was = {key: was[key] for key in differing}
            after = {key: after[key] for key in differing}
        name = shorten(one.identifier, 1000)
        records.append(feed.Record(action, MODEL, name, one.blueprint, one.pk, was, after))
    feed.record(records, actor=actor, at=now)


def _document(one: Exemption) -> dict[str, Any]:
    return {
        "scorecard": one.scorecard.identifier,
        "rule": one.rule.identifier,
        "status": str(one.status),
        "reason": one.reason,
        "ticket": one.ticket,
        "days": one.days,
        "decisionReason": one.decision_reason,
        "endsAt": timestamp(one.ends_at) if one.ends_at else None,
    }


def _by_scorecard(rows: Iterable[Exemption]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for one in rows:
        found.setdefault(one.scorecard_id, set()).add(one.entity_id)
    return found


def _end(now: datetime, days: int | None) -> datetime | None:
    """The midnight (UTC) after the last of so many days; None for good."""
    if not days:
        return None
    return datetime.combine(
        now.astimezone(UTC).date() + timedelta(days=days + 1), time(), tzinfo=UTC
    )
