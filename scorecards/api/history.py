"""/v1/scorecards/{scorecard}/history, …/trend and …/changes: what was so when."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import BigIntegerField, DateTimeField
from django.utils import timezone
from django.utils.dateparse import parse_date
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import Schema, documented, envelope, list_of, query
from catalog.kernel.errors import NotFound, PermissionDenied
from catalog.kernel.keyset import AFTER, Key, Keyset
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from catalog.selectors.teams import teams_of
from scorecards.api.asked import OF_BLUEPRINT, asked_scorecard, before
from scorecards.api.versions import VERSION, version_document
from scorecards.models import Rollup, Rule, Scorecard, ScoreChange
from scorecards.selectors import history
from scorecards.selectors.results import shows_all_teams
from scorecards.statuses import ABSENT, STATUSES, status_at

TAG: Final = "Scorecards"
PAGE, MAX_PAGE = 100, 1000
WEEKS_SHOWN: Final = 26
_MAX_COLONS: Final = 5  # of a name that are tried as the end of a blueprint

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
_WHOLE: Schema = {"type": "integer"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_STATUS: Schema = {"type": "string", "enum": [one.name for one in STATUSES.values()]}
_RULES: Schema = {
    "type": "object",
    "additionalProperties": _STATUS,
    "description": "Statuses by identifier of the rule.",
}
_CAUSE: Schema = {"type": "string", "enum": list(ScoreChange.Cause.values)}
_VERSIONS = list_of(VERSION, description="Versions of the scorecard that began in this time.")
_POINT: Schema = {
    "type": "object",
    "properties": {
        "at": _MOMENT,
        "version": _WHOLE,
        "cause": _CAUSE,
        "isThere": {"type": "boolean", "description": "False where it left the scorecard."},
        "level": {**_TEXT_OR_NULL, "description": "Null for no level yet."},
        "points": _NUMBER_OR_NULL,
        "total": _NUMBER_OR_NULL,
        "rules": _RULES,
    },
}
_SHARE: Schema = {
    "type": "object",
    "properties": {
        "at": {**_MOMENT, "description": "The first moment of the period."},
        "levels": list_of(
            {"type": "object", "properties": {"level": _TEXT_OR_NULL, "entities": _WHOLE}}
        ),
        "total": _WHOLE,
    },
}
_SIDE: Schema = {
    "type": ["object", "null"],
    "properties": {"level": _TEXT_OR_NULL, "rules": _RULES},
    "description": "Null where it was not in the scorecard.",
}
_CHANGE: Schema = {
    "type": "object",
    "properties": {
        "at": _MOMENT,
        "version": _WHOLE,
        "cause": _CAUSE,
        "blueprint": _TEXT,
        "entity": _TEXT,
        "direction": {"type": ["string", "null"], "enum": ["up", "down", None]},
        "before": _SIDE,
        "after": _SIDE,
    },
}

_ENTITY = "Its identifier; `blueprint:identifier` where the scorecard is about several blueprints."
_NEWEST_FIRST: Final = Keyset(
    [Key("at", "at", DateTimeField()), Key("pk", "pk", BigIntegerField())], descending=True
)
_GROUPS: Final = (Rollup.Kind.TEAM, Rollup.Kind.BLUEPRINT, Rollup.Kind.DOMAIN)


class EntityHistory(ApiView):
    @documented(
        "get_scorecard_history",
        "Get how an entity did on a scorecard over time",
        tag=TAG,
        path=["scorecard"],
        params=[
            query("entity", _ENTITY, required=True),
            query("on", "Only what held at the end of this day (UTC), or at this moment."),
            OF_BLUEPRINT,
        ],
        answers={200: envelope(history=list_of(_POINT), versions=_VERSIONS)},
        errors=[400, 404],
        description="Oldest first; each holds until the next one. Of entities that are gone, too.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = asked_scorecard(self, scorecard)
        pk = _entity_pk(self, found, _required(request, "entity"))
        on = _day_or_moment(request, "on")
        if on is None:
            changes = history.series_of(found, pk)
        else:
            state = history.state_on(found, pk, on)
            changes = [state] if state else []
        rules = list(found.rules.all())
        since = changes[0].at if changes else timezone.now()
        until = None if on is None else since
        return ok(
            history=[_point(one, rules) for one in changes],
            versions=[version_document(one) for one in history.boundaries(found, since, until)],
        )


class Trend(ApiView):
    @documented(
        "get_scorecard_trend",
        "Get how many entities were at each level over time",
        tag=TAG,
        path=["scorecard"],
        params=[
            query("grain", "`day`, `week` or `month`; `week` if not given."),
            query("from", "A day or a moment; 26 weeks ago if not given."),
            query("to", "A day or a moment; now if not given."),
            query(
                "group",
                "`blueprint:<identifier>`, `team:<identifier>` or `domain:<identifier>`; all "
                "entities if not given. `team:` is what nobody owns.",
            ),
            OF_BLUEPRINT,
        ],
        answers={200: envelope(trend=list_of(_SHARE), versions=_VERSIONS)},
        errors=[400, 403, 404],
        description="At the end of each period (UTC), of the last one until now. Teams and domains "
        f"are as daily roll-ups kept them. At most the newest {history.MAX_PERIODS} periods.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = asked_scorecard(self, scorecard)
        grain = params.choice(request, "grain", history.GRAINS) or "week"
        until = params.moment(request, "to") or timezone.now()
        since = params.moment(request, "from") or before(until, timedelta(weeks=WEEKS_SHOWN), "to")
        if since >= until:
            raise params.wrong("from", timestamp(since), f"a moment before {timestamp(until)}")
        kind, group = self._group(request, found)
        told = history.shares(found, grain=grain, since=since, until=until, kind=kind, group=group)
        return ok(
            trend=[_share(one) for one in told],
            versions=[version_document(one) for one in history.boundaries(found, since, until)],
        )

    def _group(self, request: Request, scorecard: Scorecard) -> tuple[str, str | None]:
        group = params.text(request, "group", limit=1100)
        if not group:
            return Rollup.Kind.ALL, None
        kind, colon, name = group.partition(":")
        if not colon or kind not in _GROUPS:
            raise params.wrong("group", group, "team:…, blueprint:… or domain:…")
        if kind == Rollup.Kind.TEAM and not self._may_see(scorecard, name):
            raise PermissionDenied(
                "You may not look at how other teams do on this scorecard",
                details={"field": "group", "value": group, "expected": "a team of yours"},
            )
        return kind, name

    def _may_see(self, scorecard: Scorecard, team: str) -> bool:
        email = getattr(self.principal, "email", "") or ""
        return shows_all_teams(scorecard, self.principal) or team in teams_of(email)


class ChangeList(ApiView):
    @documented(
        "list_scorecard_changes",
        "List what changed on a scorecard, newest first",
        tag=TAG,
        path=["scorecard"],
        params=[
            query("entity", _ENTITY),
            query(
                "direction", "Only entities that came to a higher (`up`) or lower (`down`) level."
            ),
            query("since", "A day or a moment."),
            query("until", "A day or a moment."),
            query("limit", f"How many, 1 to {MAX_PAGE}; {PAGE} if not given.", kind=int),
            query("from", "`next` of the page before."),
            OF_BLUEPRINT,
        ],
        answers={200: envelope(changes=list_of(_CHANGE), next=_TEXT_OR_NULL)},
        errors=[400, 404],
        description="Each says what was before and after: the level, and the rules that differ.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = asked_scorecard(self, scorecard)
        direction = params.choice(request, "direction", history.DIRECTIONS)
        entity = params.text(request, "entity", limit=1100)
        page = _NEWEST_FIRST.page(
            history.changes_of(
                found,
                entity_pk=_entity_pk(self, found, entity) if entity else None,
                direction=direction,
                since=params.moment(request, "since"),
                until=params.moment(request, "until"),
            ),
            {AFTER: params.text(request, "from", limit=2000)},
            size=params.whole(request, "limit", default=PAGE, high=MAX_PAGE),
        )
        rules = list(found.rules.all())
        return ok(changes=[_change(one, rules) for one in page.rows], next=page.after)


def _entity_pk(view: ApiView, scorecard: Scorecard, name: str) -> int:
    """The entity of this name that is there, or else the one that last had it on the scorecard."""
    visible = Entity.objects.visible_to(view.principal)
    for blueprint, identifier in _readings(scorecard, name):
        found = visible.filter(blueprint__identifier=blueprint, identifier=identifier)
        pk = found.values_list("pk", flat=True).first() or history.pk_of(
            scorecard, blueprint, identifier
        )
        if pk is not None:
            return pk
    raise NotFound.of("Entity", name)


def _readings(scorecard: Scorecard, name: str) -> list[tuple[str, str]]:
    """What a name may mean; identifiers may hold colons themselves."""
    if scorecard.blueprint:
        return [(scorecard.blueprint.identifier, name)]
    places = [n for n, letter in enumerate(name) if letter == ":"][:_MAX_COLONS]
    return [(name[:n], name[n + 1 :]) for n in places]


def _point(change: ScoreChange, rules: Collection[Rule]) -> dict[str, Any]:
    statuses = history.statuses_of(change, rules)
    return {
        "at": timestamp(change.at),
        "version": change.version,
        "cause": change.cause,
        "isThere": change.statuses is not None,
        "level": change.level or None,
        "points": None if change.points is None else float(change.points),
        "total": None if change.total is None else float(change.total),
        "rules": {name: status.name for name, status in statuses.items()},
    }


def _share(share: history.Share) -> dict[str, Any]:
    return {
        "at": timestamp(share.at),
        "levels": [
            {"level": title or None, "entities": count} for title, count in share.levels.items()
        ],
        "total": share.total,
    }


def _change(change: ScoreChange, rules: Collection[Rule]) -> dict[str, Any]:
    sides: list[dict[str, str]] = [{}, {}]
    for rule in rules:
        pair = [status_at(one, rule.slot) for one in (change.was_statuses, change.statuses)]
        if pair[0] is not pair[1]:
            for side, status in zip(sides, pair, strict=True):
                side |= {} if status is ABSENT else {rule.identifier: status.name}
    before, after = (
        None if statuses is None else {"level": level or None, "rules": side}
        for statuses, level, side in (
            (change.was_statuses, change.was_level, sides[0]),
            (change.statuses, change.level, sides[1]),
        )
    )
    return {
        "at": timestamp(change.at),
        "version": change.version,
        "cause": change.cause,
        "blueprint": change.blueprint,
        "entity": change.identifier,
        "direction": history.direction_of(change) or None,
        "before": before,
        "after": after,
    }


def _day_or_moment(request: Request, name: str) -> date | datetime | None:
    """A day means its end, where other parameters mean its beginning."""
    moment = params.moment(request, name)
    if moment is None:
        return None
    text = request.query_params[name]
    return moment.date() if parse_date(text.strip()) else moment


def _required(request: Request, name: str) -> str:
    value = params.text(request, name, limit=1100)
    if not value:
        raise params.wrong(name, "", "the name of an entity")
    return value
