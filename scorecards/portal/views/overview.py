"""The list of scorecards, a scorecard's overview and its history, and "evaluate now"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.contrib import messages
from django.db import DatabaseError
from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from catalog.kernel.actors import Principal
from catalog.kernel.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from catalog.kernel.html import markdown
from catalog.kernel.markdown import plain_text
from catalog.portal.acting import actor_for
from catalog.portal.shell import PortalRequest, page, portal_view
from catalog.portal.sources import admin_url
from catalog.portal.values import read_number
from catalog.selectors.tables import owner_titles
from catalog.services.permissions import can_administer
from scorecards.definition import Definition, percentage_of
from scorecards.formats import definition_of
from scorecards.models import Rollup, Scorecard
from scorecards.portal.frame import asked_ladder, scorecard_page
from scorecards.portal.links import scorecard_url
from scorecards.portal.rule_rows import rule_rows
from scorecards.portal.trend import trend_of
from scorecards.portal.words import Look, looks_of
from scorecards.selectors.results import (
    Ladder,
    LevelCounts,
    counts_by_level,
    distribution,
    find_scorecard,
    may_edit,
    visible_scorecards,
)
from scorecards.selectors.rule_history import (
    Broken,
    Course,
    RuleCourse,
    course_of,
    newest_broken,
)
from scorecards.selectors.versions import differences
from scorecards.services import evaluating

EVALUATIONS: Final = 30
VERSIONS: Final = 50
TREND_DAYS: Final = 7
MIN_MOVE: Final = 0.5  # percentage points; less is drawn as no change


@dataclass(frozen=True, slots=True)
class Card:
    """about: its description as plain text. move: percentage points since a week ago; None where
    nobody knows."""

    scorecard: Scorecard
    definition: Definition
    url: str
    looks: list[Look]
    counts: LevelCounts
    owner: str
    about: str
    move: float | None

    @property
    def direction(self) -> str:
        if self.move is None or abs(self.move) < MIN_MOVE:
            return "same"
        return "up" if self.move > 0 else "down"


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """All scorecards as cards."""
    scorecards = visible_scorecards(request.user)
    can_build = can_administer(request.user)
    return page(
        request,
        "scorecards/index.html",
        {
            "cards": _cards(request, scorecards),
            "builder_url": admin_url(Scorecard) if can_build else "",
        },
        title="Scorecards",
    )


@portal_view
@require_GET
def detail(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """How the entities do: by level, over time, by rule."""
    if not blueprint and (elsewhere := _elsewhere(request, scorecard)):
        return redirect(elsewhere)
    ladder = asked_ladder(request, scorecard, blueprint)
    tally = distribution(ladder.scorecard, request.user)
    counting, announced = rule_rows(ladder, tally)
    return scorecard_page(
        request,
        ladder,
        "detail",
        {
            "tally": tally,
            "rules": counting,
            "announced": announced,
            "trend": trend_of(ladder, tally),
        },
    )


@portal_view
@require_GET
def history(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """How its rules fared lately, its versions with what each changed, and its evaluations."""
    ladder = asked_ladder(request, scorecard, blueprint)
    versions = list(
        ladder.scorecard.versions.defer("document", "levels").order_by("-version")[:VERSIONS]
    )
    asked = read_number(request.GET.get("version", ""))
    known = [one.version for one in versions]
    shown = asked if asked in known else max(known, default=ladder.scorecard.version)
    course = course_of(ladder)
    pair = {
        one.version: one for one in ladder.scorecard.versions.filter(version__in=[shown - 1, shown])
    }
    return scorecard_page(
        request,
        ladder,
        "history",
        {
            "versions": versions,
            "shown": shown,
            "is_first": shown - 1 not in pair,
            "differences": differences(pair[shown - 1], pair[shown]) if len(pair) > 1 else [],
            "evaluations": ladder.scorecard.evaluations.order_by("-pk")[:EVALUATIONS],
            "course": course,
            "courses": _courses(ladder, course, request.user),
        },
    )


@portal_view
@require_POST
def evaluate(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """Evaluate all its entities now."""
    found = find_scorecard(request.user, scorecard, blueprint)
    if not may_edit(request.user, found):
        raise PermissionDenied("Only its owner and admins may evaluate a scorecard")
    try:
        done = evaluating.evaluate_now(found, actor=actor_for(request))
    except Conflict as error:
        messages.warning(request, str(error))
    except DatabaseError:
        messages.error(request, "It could not be evaluated; the reason stands below.")
    else:
        messages.success(
            request,
            f"Evaluated {done.entities:,} entit{'y' if done.entities == 1 else 'ies'}: "
            f"{done.raised:,} rose, {done.lowered:,} fell.",
        )
    return redirect(scorecard_url(found))


def _courses(
    ladder: Ladder, course: Course, principal: Principal
) -> list[tuple[RuleCourse, list[Broken]]]:
    """The rules of which something changed, most often first, and who last ceased to pass them."""
    newest = newest_broken(ladder, course, principal)
    changed = [one for one in course.rules if one.flips or one.mean is not None]
    changed.sort(key=lambda one: -one.flips)
    return [(one, newest.get(one.rung.slot, [])) for one in changed]


def _elsewhere(request: PortalRequest, scorecard: str) -> str:
    """The address of the one scorecard of this name, where that belongs to a blueprint; ""
    otherwise."""
    try:
        found = find_scorecard(request.user, scorecard)
    except InvalidRequest as error:
        raise Http404(f"{error.message}: {error.details['expected']}") from error
    except NotFound:
        return ""
    return scorecard_url(found) if found.blueprint else ""


def _cards(request: PortalRequest, scorecards: list[Scorecard]) -> list[Card]:
    counts = counts_by_level(scorecards, request.user)
    before = _percentages_before(one.pk for one in scorecards)
    owners = [definition_of(one).owner for one in scorecards]
    teams = owner_titles(request.user, [[one for one in owners if one and "@" not in one]])
    cards = []
    for one in scorecards:
        definition = definition_of(one)
        team = teams.get(definition.owner)
        own = counts.get(one.pk, LevelCounts())
        was = before.get(one.pk)
        cards.append(
            Card(
                scorecard=one,
                definition=definition,
                url=scorecard_url(one),
                looks=list(looks_of(definition)),
                counts=own,
                owner=team.label if team else definition.owner,
                about=plain_text(markdown(definition.description)),
                move=None if was is None or own.percentage is None else own.percentage - was,
            )
        )
    return cards


def _percentages_before(scorecards: Iterable[int]) -> dict[int, float]:
    """The share of points a week ago, by pk of the scorecard; one statement."""
    day = timezone.now().date() - timedelta(days=TREND_DAYS)
    rows = (
        Rollup.objects.filter(scorecard__in=list(scorecards), kind=Rollup.Kind.ALL, day__lte=day)
        .order_by("scorecard_id", "-day")
        .distinct("scorecard_id")
        .values_list("scorecard_id", "points", "total")
    )
    return {
        pk: share
        for pk, points, total in rows
        if (share := percentage_of(points, total)) is not None
    }
