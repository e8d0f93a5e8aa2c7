"""Initiatives: made, changed, started, ended. `initiative_items` follows how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from secrets import token_hex
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from catalog.kernel.identifiers import is_storable
from catalog.registry import notify
from catalog.selectors.memberships import team_called
from catalog.services import documents
from scorecards.models import Initiative, Scorecard
from scorecards.selectors.initiative_scope import entities_of, targets_of
from scorecards.selectors.initiatives import is_complete, numbers_of, page_of
from scorecards.selectors.results import (
    Ladder,
    find_scorecard,
    ladder_of,
    visible_scorecards,
)
from scorecards.services.access import may_edit
from scorecards.services.audiences import TOPIC, named, stewards_of
from scorecards.services.initiative_items import follow, refresh, write_day

__all__ = [
    "cancel",
    "check",
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

MAX_RULES: Final = 500
MAX_MILESTONES: Final = 20
MAX_REPLY_TO: Final = 20
MAX_INTERVAL: Final = 365
UNITS: Final[Mapping[str, int]] = {"DAY": 1, "WEEK": 7}  # days

_TEXT: Final = {"type": ["string", "null"], "maxLength": 10_000}
_NAME: Final = {"type": ["string", "null"], "maxLength": 300}
_DAY: Final = {"type": "string", "minLength": 10, "maxLength": 10}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 300},
        "description": _TEXT,
        "scorecard": {"type": "string", "minLength": 1, "maxLength": 100},
        "blueprint": {"type": ["string", "null"], "maxLength": 100},
        "rules": {
            "type": ["array", "null"],
            "maxItems": MAX_RULES,
            "items": {"type": "string", "maxLength": 100},
        },
        "level": _NAME,
        "filter": {"type": ["object", "null"]},
        "isFixed": {"type": "boolean"},
        "isDraft": {"type": "boolean"},
        "startsOn": {**_DAY, "type": ["string", "null"]},
        "targetOn": _DAY,
        "milestones": {
            "type": ["array", "null"],
            "maxItems": MAX_MILESTONES,
            "items": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "minLength": 1, "maxLength": 300},
                    "on": _DAY,
                    "percent": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                "required": ["title", "on", "percent"],
                "additionalProperties": False,
            },
        },
        "reminders": {
            "type": ["object", "null"],
            "properties": {
                "isDisabled": {"type": "boolean"},
                "timeInterval": {"type": "integer", "minimum": 1, "maximum": MAX_INTERVAL},
                "timeUnit": {"enum": list(UNITS)},
                "replyToEmails": {
                    "type": ["array", "null"],
                    "maxItems": MAX_REPLY_TO,
                    "items": {"type": "string", "maxLength": 300, "pattern": "^[^@\\s]+@[^@\\s]+$"},
                },
            },
            "additionalProperties": False,
        },
        "owner": _NAME,
    },
    "required": ["title", "scorecard", "targetOn"],
    "additionalProperties": False,
}
# What an answer of ours has beside that, so that it can be sent back as it came.
ANSWERED: Final = (
    "identifier",
    "state",
    "progress",
    "baseline",
    "report",
    "daysLeft",
    "startedAt",
    "endedAt",
)


def may_manage(principal: Principal, scorecard: Scorecard) -> bool:
    """Admins and the scorecard's owner; `blueprint` loaded."""
    return may_edit(principal, scorecard)


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
        made = _read(body, known, principal, now.date())
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


def check(body: Mapping[str, Any], *, principal: Principal) -> Initiative:
    """What `save` would make of it, not saved. Raises what it raises."""
    return _read(body, None, principal, timezone.now().date())


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
        raise _refused()
    one = _lock(initiative.pk)
    if one is None:
        raise NotFound.of("Initiative", initiative.identifier)
    return one


def _lock(pk: int, *, skip_locked: bool = False) -> Initiative | None:
    rows = Initiative.objects.select_for_update(of=("self",), skip_locked=skip_locked)
    return rows.select_related("scorecard__blueprint").filter(pk=pk).first()


def _read(
    body: Mapping[str, Any], known: Initiative | None, principal: Principal, today: date
) -> Initiative:
    sent = documents.checked_document(body, _SCHEMA, without=ANSWERED)
    scorecard = find_scorecard(principal, sent["scorecard"], sent.get("blueprint"))
    if not may_manage(principal, scorecard):
        raise _refused()
    if known is not None and known.scorecard_id != scorecard.pk:
        raise InvalidInput.of("scorecard", sent["scorecard"], "the same scorecard as before")
    starts_on = known.starts_on if known else today
    if told := sent.get("startsOn"):
        starts_on = _date(told, "startsOn")
    target_on = _date(sent["targetOn"], "targetOn")
    is_begun = known is not None and known.started_at is not None
    if known is not None and is_begun and starts_on != known.starts_on:
        raise InvalidInput.of("startsOn", starts_on.isoformat(), "as it is: it has begun")
    if target_on < starts_on:
        raise InvalidInput.of(
            "targetOn", sent["targetOn"], f"a day from {starts_on.isoformat()} on"
        )
    if known is None and target_on < today:
        raise InvalidInput.of("targetOn", sent["targetOn"], "a day that is to come")
    ladder = ladder_of(scorecard)
    rank = _rank(sent.get("level"), ladder)
    rules = _rules(sent.get("rules") or [], ladder)
    if not rules and rank is None:
        raise InvalidInput.of("rules", [], "at least a rule, or a level to reach")
    filter = sent.get("filter") or None
    entities_of(filter)
    is_fixed = bool(sent.get("isFixed", False))
    is_list_kept = is_fixed and (known is None or documents.is_same(filter, known.filter))
    if known is not None and is_begun and known.is_fixed and not is_list_kept:
        field = "filter" if is_fixed else "isFixed"
        raise InvalidInput.of(field, sent.get(field), "as it is: the list is fixed since then")
    one = known or Initiative(scorecard=scorecard, identifier=f"in{token_hex(8)}")
    one.title = sent["title"]
    one.description = sent.get("description") or ""
    if not is_begun:
        one.state = State.DRAFT if sent.get("isDraft") else State.RUNNING
    elif sent.get("isDraft"):
        raise InvalidInput.of("isDraft", True, "false: it has begun")
    one.rules, one.rank, one.filter, one.is_fixed = rules, rank, filter, is_fixed
    one.starts_on, one.target_on = starts_on, target_on
    one.milestones = _milestones(sent.get("milestones") or [], starts_on, target_on)
    one.reminders = sent.get("reminders") or {}
    one.owner = _owner(sent.get("owner") or "")
    return one


def _rank(level: str | None, ladder: Ladder) -> int | None:
    if not level:
        return None
    rank = ladder.definition.rank_of(level)
    if not rank:  # everybody is at the first one
        titles = ", ".join(one.title for one in ladder.definition.levels[1:]) or "none: it has none"
        raise InvalidInput.of("level", level, f"one of {titles}")
    return rank


def _rules(wanted: Sequence[str], ladder: Ladder) -> list[str]:
    known = ladder.slots
    for index, one in enumerate(wanted):
        if one not in known:
            names = ", ".join(list(known)[:20]) or "none: it has none"
            raise InvalidInput.of(f"rules.{index}", one, f"a rule of the scorecard ({names})")
    return list(dict.fromkeys(wanted))


def _milestones(
    sent: Sequence[Mapping[str, Any]], starts_on: date, target_on: date
) -> list[dict[str, Any]]:
    found = []
    for index, one in enumerate(sent):
        day = _date(one["on"], f"milestones.{index}.on")
        if not starts_on <= day <= target_on:
            raise InvalidInput.of(
                f"milestones.{index}.on",
                one["on"],
                f"a day from {starts_on.isoformat()} to {target_on.isoformat()}",
            )
        found.append({"title": one["title"], "on": day.isoformat(), "percent": one["percent"]})
    return sorted(found, key=lambda one: str(one["on"]))


def _owner(name: str) -> str:
    if not name or "@" in name:
        return name
    team = team_called(name)
    if team is None:
        raise InvalidInput.of("owner", name, "an e-mail address, or the identifier of a team")
    return team.identifier


def _date(value: str, field: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidInput.of(field, value, "a day like 2026-03-31") from None


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


def _refused() -> PermissionDenied:
    return PermissionDenied(
        "You may not change initiatives of this scorecard",
        hint="That is for admins and the owner of the scorecard.",
        details={"resource": "Initiative"},
    )
