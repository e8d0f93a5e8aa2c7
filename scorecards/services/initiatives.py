"""Initiatives: made, changed, started, ended. `initiative_items` follows how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, InvalidInput, NotFound
from catalog.kernel.identifiers import is_storable
from catalog.registry import notify
from catalog.services import documents
from scorecards.models import Initiative
from scorecards.selectors.initiative_scope import targets_of
from scorecards.selectors.initiatives import is_complete, numbers_of, page_of
from scorecards.selectors.results import ladder_of, visible_scorecards
from scorecards.services.audiences import TOPIC, named, stewards_of
from scorecards.services.initiative_items import follow, refresh, write_day
from scorecards.services.initiative_reading import MAX_INTERVAL, UNITS, may_manage, read, refused

__all__ = [
    "MAX_INTERVAL",
    "UNITS",
    "cancel",
    "delete",
    "end",
    "follow",
    "get_initiative",
    "may_manage",
    "save",
    "snapshot",
    "start",
]

State = Initiative.State


def get_initiative(identifier: str, *, principal: Principal) -> Initiative:
    """One that the principal may see: drafts only who may change them. Raises NotFound."""
    found = None
    if is_storable(identifier):
        found = (
            Initiative.objects.select_related("scorecard__blueprint")
            .filter(identifier=identifier)
            .first()
        )
    if found is not None:
        visible = {one.pk for one in visible_scorecards(principal)}
        is_shown = found.state != State.DRAFT or may_manage(principal, found.scorecard)
        if found.scorecard_id in visible and is_shown:
            return found
    raise NotFound.of("Initiative", identifier)


def save(
    body: Mapping[str, Any],
    *,
    identifier: str | None = None,
    principal: Principal,
    actor: Actor,
) -> Initiative:
    """Make one, or replace all that one says. It begins at once when its day has come and it is no
    draft.

    {"title", "description"?, "scorecard", "blueprint"?, "rules"?: [identifier], "level"?: title,
    "filter"? (see `initiative_scope.entities_of`), "isFixed"?, "isDraft"?, "startsOn"?,
    "targetOn", "milestones"?: [{"title", "on", "percent"}], "reminders"?: {"isDisabled"?,
    "timeInterval"?, "timeUnit"?, "replyToEmails"?}, "owner"?}

    Raises NotFound, InvalidInput naming the field, PermissionDenied, Conflict for one that is over.
    """
    now = timezone.now()
    with transaction.atomic():
        known = None
        if identifier is not None:
            known = _locked(get_initiative(identifier, principal=principal), principal)
            if known.state in (State.ENDED, State.CANCELLED):
                raise _is_over(known)
        before = _document(known) if known is not None else None
        made = read(body, known, principal, now.date())
        documents.sign(made, actor, is_new=known is None)
        was_running = known is not None and known.started_at is not None
        made.save()
        after = _document(made)
        if before is None:
            documents.note(feed.CREATE, made, actor=actor, after=after)
        elif not documents.is_same(before, after):
            documents.note(feed.UPDATE, made, actor=actor, before=before, after=after)
        if was_running:
            refresh(made, targets_of(made, ladder_of(made.scorecard)), now)
        else:
            _begin_if_due(made, now)
    return made


def start(initiative: Initiative, *, principal: Principal, actor: Actor) -> Initiative:
    """Begin now: a draft, or one that is to begin later. Raises Conflict, PermissionDenied."""
    now = timezone.now()
    with transaction.atomic():
        one = _locked(initiative, principal)
        if one.started_at is not None or one.state not in (State.DRAFT, State.RUNNING):
            raise Conflict(
                "It has begun already" if one.state == State.RUNNING else "It is over",
                details={"resource": "Initiative", "value": one.identifier},
            )
        if one.target_on < now.date():
            raise InvalidInput.of("targetOn", one.target_on.isoformat(), "a day that is to come")
        _move(one, State.RUNNING, actor)
        one.starts_on = min(one.starts_on, now.date())
        one.save(update_fields=["starts_on"])
        _begin_if_due(one, now)
    return one


def end(initiative: Initiative, *, principal: Principal, actor: Actor) -> Initiative:
    """Close it; how it stands stays as its report. Raises Conflict, PermissionDenied."""
    with transaction.atomic():
        one = _locked(initiative, principal)
        if one.state != State.RUNNING or one.started_at is None:
            raise Conflict(
                f"It is {one.get_state_display().lower()}; expected one that runs"
                if one.state != State.RUNNING
                else f"It begins on {one.starts_on:%Y-%m-%d}; it can be cancelled",
                details={"resource": "Initiative", "value": one.identifier},
            )
        _close(one, State.ENDED, actor, timezone.now())
    return one


def cancel(initiative: Initiative, *, principal: Principal, actor: Actor) -> Initiative:
    """Give it up. Raises Conflict, PermissionDenied."""
    with transaction.atomic():
        one = _locked(initiative, principal)
        if one.state in (State.ENDED, State.CANCELLED):
            raise _is_over(one)
        _close(one, State.CANCELLED, actor, timezone.now())
    return one


def delete(initiative: Initiative, *, principal: Principal, actor: Actor) -> None:
    """With its items and its days. Raises PermissionDenied."""
    with transaction.atomic():
        one = _locked(initiative, principal)
        documents.note(feed.DELETE, one, actor=actor, before=_document(one))
        one.delete()


def snapshot(now: datetime) -> int:
    """Begin what is to begin, bring what runs in line with the scores, and write how it stands
    today; what has reached its date with nothing open ends. Returns how many run; may run twice.
    """
    today, actor = now.astimezone(UTC).date(), Actor.system("scorecards")
    due = Initiative.objects.filter(state=State.RUNNING, starts_on__lte=today).order_by("pk")
    count = 0
    for pk in due.values_list("pk", flat=True):
        with transaction.atomic():
            one = _lock(pk, skip_locked=True)
            if one is None or one.state != State.RUNNING:
                continue
            if one.started_at is None:
                _begin_if_due(one, now)
            else:
                refresh(one, targets_of(one, ladder_of(one.scorecard)), now)
                write_day(one, now)
            count += 1
            if one.target_on < today and is_complete(numbers_of([one.pk])[one.pk]):
                _close(one, State.ENDED, actor, now)
    return count


def _begin_if_due(one: Initiative, now: datetime) -> None:
    if one.state != State.RUNNING or one.starts_on > now.date():
        return
    one.started_at = now
    refresh(one, targets_of(one, ladder_of(one.scorecard)), now, is_start=True)
    numbers = numbers_of([one.pk])[one.pk]
    one.baseline = {"entities": numbers.entities, "done": numbers.done, "open": numbers.open}
    one.save(update_fields=["started_at", "baseline"])
    write_day(one, now)


def _close(one: Initiative, state: str, actor: Actor, now: datetime) -> None:
    if one.started_at is not None:
        refresh(one, targets_of(one, ladder_of(one.scorecard)), now)
        write_day(one, now)
    one.ended_at = now
    one.save(update_fields=["ended_at"])
    _move(one, state, actor)
    if state == State.ENDED:
        _tell_ended(one)


def _tell_ended(one: Initiative) -> None:
    numbers = numbers_of([one.pk])[one.pk]
    owners = named(one.owner) or stewards_of(one.scorecard)
    notify(
        f"{one.title} has ended: {numbers.done:,} of {numbers.entities:,} done",
        topic=TOPIC,
        description=f"Of the scorecard {one.scorecard}, by {one.target_on:%Y-%m-%d}.",
        link=page_of(one),
        scope=f"initiative:{one.identifier}",
        recipients=owners.people,
        teams=owners.teams,
    )


def _move(one: Initiative, state: str, actor: Actor) -> None:
    before, one.state = _document(one), state
    documents.sign(one, actor)
    one.save(update_fields=["state", "updated_at", "updated_by"])
    documents.note(feed.UPDATE, one, actor=actor, before=before, after=_document(one))


def _locked(initiative: Initiative, principal: Principal) -> Initiative:
    """Raises PermissionDenied, NotFound when it was deleted meanwhile."""
    if not may_manage(principal, initiative.scorecard):
        raise refused()
    one = _lock(initiative.pk)
    if one is None:
        raise NotFound.of("Initiative", initiative.identifier)
    return one


def _lock(pk: int, *, skip_locked: bool = False) -> Initiative | None:
    rows = Initiative.objects.select_for_update(of=("self",), skip_locked=skip_locked)
    return rows.select_related("scorecard__blueprint").filter(pk=pk).first()


def _document(one: Initiative) -> dict[str, Any]:
    """For the feed."""
    return {
        "identifier": one.identifier,
        "title": one.title,
        "description": one.description,
        "scorecard": one.scorecard.identifier,
        "state": str(one.state),
        "rules": one.rules,
        "rank": one.rank,
        "filter": one.filter,
        "isFixed": one.is_fixed,
        "startsOn": one.starts_on.isoformat(),
        "targetOn": one.target_on.isoformat(),
        "milestones": one.milestones,
        "reminders": one.reminders,
        "owner": one.owner,
    }


def _is_over(one: Initiative) -> Conflict:
    return Conflict(
        f"It is {one.get_state_display().lower()}, and stays as it is",
        details={"resource": "Initiative", "value": one.identifier},
    )
