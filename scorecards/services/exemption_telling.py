"""Telling people of exemptions: who decides, who asked, and who owns what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from catalog.kernel.actors import Actor
from catalog.registry import notify
from scorecards.models import Exemption, Scorecard
from scorecards.services.audiences import TOPIC, Owners, by_person, named, owners_of, stewards_of

PAGE: Final = "/exemptions"
TOLD: Final = 20  # lines of a message


def tell_asked(scorecard: Scorecard, actor: Actor) -> None:
    """One line in the inbox of those who decide, however many requests wait."""
    if scorecard.state == Scorecard.State.DRAFT:
        return
    waiting = Exemption.objects.filter(scorecard=scorecard, status=Exemption.Status.PENDING).count()
    owners = stewards_of(scorecard)
    are = "exemption waits" if waiting == 1 else "exemptions wait"
    notify(
        f"{waiting:,} {are} for a decision: {scorecard}",
        topic=TOPIC,
        description=f"The last one was asked for by {actor.name}.",
        link=PAGE,
        scope=f"exemptions-asked:{scorecard.pk}",
        recipients=owners.people,
        teams=owners.teams,
    )


def tell_decided(rows: Sequence[Exemption], actor: Actor) -> None:
    """One message for each of those who asked."""
    by_asker: dict[str, list[Exemption]] = {}
    for one in _told_of(rows):
        if one.requested_by_kind == "user" and one.requested_by != actor.name:
            by_asker.setdefault(one.requested_by, []).append(one)
    for asker, theirs in by_asker.items():
        what = Exemption.Status(theirs[0].status).label.lower()
        why = theirs[0].decision_reason
        lines = [f"By {actor.name}{f': {why}' if why else '.'}", *_lines(theirs)]
        notify(
            f"{_counted(len(theirs))} {what}",
            topic=TOPIC,
            description="\n".join(lines),
            link=PAGE,
            recipients=[asker],
        )


def tell_owners(rows: Sequence[Exemption], one: str, many: str, scope: str) -> None:
    """Tell who asked, and who owns what it is about; one message for each."""
    rows = _told_of(rows)
    owners = owners_of([row.entity_id for row in rows])
    things = {
        row: owners.get(row.entity_id, Owners())
        | (named(row.requested_by) if row.requested_by_kind == "user" else Owners())
        for row in rows
    }
    for theirs, people in by_person(things).items():
        ordered = sorted(theirs, key=lambda row: (row.ends_at or row.requested_at, row.pk))
        notify(
            f"{_counted(len(ordered))} {one if len(ordered) == 1 else many}",
            topic=TOPIC,
            description="\n".join(_lines(ordered)),
            link=PAGE,
            scope=scope,
            recipients=people,
        )


def _told_of(rows: Sequence[Exemption]) -> list[Exemption]:
    """Drafts of scorecards are nobody's concern yet."""
    return [row for row in rows if row.scorecard.state != Scorecard.State.DRAFT]


def _lines(rows: Sequence[Exemption]) -> list[str]:
    lines = [f"{row.identifier}: {row.rule.title} ({row.scorecard}){until(row)}" for row in rows]
    more = len(lines) - TOLD
    return [*lines[:TOLD], f"and {more:,} more"] if more > 0 else lines


def until(row: Exemption) -> str:
    return f", until {row.ends_at - timedelta(days=1):%Y-%m-%d}" if row.ends_at else ""


def _counted(count: int) -> str:
    return "An exemption" if count == 1 else f"{count:,} exemptions"
