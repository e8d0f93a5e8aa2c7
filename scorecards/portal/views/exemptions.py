"""Exemptions: what waits, what holds, and asking for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db.models import BigAutoField
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.kernel.errors import Conflict, IdpError, InvalidInput, NotFound
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Entity
from catalog.portal.acting import actor_for
from catalog.portal.links import entity_url
from catalog.portal.paging import neighbours
from catalog.portal.shell import Crumb, PortalRequest, page, portal_view
from catalog.portal.sources import Badge
from catalog.portal.values import read_number
from scorecards.formats import definition_of
from scorecards.models import Exemption, Rule, Score, Scorecard
from scorecards.portal.goal_words import EXEMPTIONS
from scorecards.portal.links import scorecard_url
from scorecards.selectors.exemptions import (
    RuleReport,
    by_rule,
    ending,
    entities_of,
    find_exemption,
    find_rule,
    visible_exemptions,
)
from scorecards.selectors.results import visible_scorecards
from scorecards.services import exemptions as services
from scorecards.statuses import status_at

ROWS: Final = 50
RULES: Final = 10
VIEWS: Final = {
    "waiting": "Waiting",
    "mine": "Mine",
    "ending": "Ending soon",
    "held": "In effect",
    "all": "All",
}
DAYS: Final = (14, 30, 90, 180, 365)
_NEWEST: Final = Keyset([Key("id", "pk", BigAutoField())], descending=True)

Status = Exemption.Status


@dataclass(frozen=True, slots=True)
class Row:
    """entity: None when it is gone. last_day: the last one on which it holds."""

    exemption: Exemption
    badge: Badge
    entity: Entity | None
    scorecard_url: str
    last_day: date | None
    may_decide: bool
    is_own: bool
    may_revoke: bool


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """What waits for a decision first; `?show=` what else there is, `?scorecard=` of which one."""
    scorecards = visible_scorecards(request.user)
    chosen = _chosen(request, scorecards)
    approving = {one.pk for one in scorecards if services.may_approve(request.user, one)}
    found = visible_exemptions(request.user)
    if chosen:
        found = found.filter(scorecard=chosen)
    actor = actor_for(request)
    mine = found.filter(requested_by__iexact=actor.name, requested_by_kind=actor.kind)
    waiting = found.filter(status=Status.PENDING)
    is_approver = bool(approving & ({chosen.pk} if chosen else approving))
    show = request.GET.get("show", "")
    if show not in VIEWS:
        show = "waiting" if is_approver else "mine"
    shown = {
        "waiting": waiting,
        "mine": mine,
        "ending": ending(found, timezone.now()),
        "held": found.filter(status=Status.APPROVED),
        "all": found,
    }[show]
    found_page = _NEWEST.page(shown, request.GET, size=ROWS)
    return page(
        request,
        "scorecards/exemptions/index.html",
        {
            "rows": _rows(request, found_page.rows, approving),
            "show": show,
            "views": VIEWS,
            "chosen": chosen,
            "scorecards": scorecards,
            "counts": {"waiting": waiting.count(), "ending": ending(found, timezone.now()).count()},
            "may_decide_any": show == "waiting" and is_approver,
            "four_eyes": settings.IDP_EXEMPTION_FOUR_EYES,
            "rules": _reports(chosen, scorecards),
            "here": request.get_full_path(),
            **neighbours(request, found_page),
        },
        title="Exemptions",
        trail=[Crumb("Scorecards", reverse("scorecards:index")), Crumb("Exemptions")],
    )


@portal_view
@require_POST
def decide(request: PortalRequest) -> HttpResponseBase:
    """Approve, deny or revoke one, or approve and deny those that are ticked."""
    reason = request.POST.get("reason", "")
    who: dict[str, Any] = {"principal": request.user, "actor": actor_for(request)}
    verb, _, identifier = request.POST.get("do", "").partition(":")
    try:
        if identifier and verb == "revoke":
            services.revoke(find_exemption(identifier, request.user), reason=reason, **who)
            messages.success(request, "It does not hold any more.")
        elif identifier and verb in _VERDICTS:
            one = find_exemption(identifier, request.user)
            services.decide(one, status=_VERDICTS[verb], reason=reason, **who)
            messages.success(request, f"The exemption is {_VERDICTS[verb].label.lower()}.")
        elif verb in _VERDICTS:
            pks = [pk for text in request.POST.getlist("one") if (pk := read_number(text))]
            visible = visible_exemptions(request.user).filter(pk__in=pks[: services.MAX_AT_ONCE])
            decided = services.decide_many(
                list(visible.values_list("pk", flat=True)),
                status=_VERDICTS[verb],
                reason=reason,
                **who,
            )
            messages.success(request, f"{_VERDICTS[verb].label}: {len(decided):,}.")
        else:
            raise InvalidInput.of("do", verb, "approve, deny or revoke")
    except (Conflict, InvalidInput) as error:  # somebody was faster, or no reason was given
        messages.warning(request, str(error))
    return redirect(_next(request))


@portal_view
@require_http_methods(["GET", "POST"])
def ask(request: PortalRequest) -> HttpResponseBase:
    """The form that asks for one, for the rule and the entity of the address."""
    rule, entity, score = _about(request)
    services.require_request(request.user)
    scorecard = rule.scorecard
    definition = definition_of(scorecard)
    back = f"{entity_url(entity.blueprint.identifier, entity.identifier, 'scorecards')}"
    error: IdpError | None = None
    if request.method == "POST":
        try:
            made = services.request(
                rule,
                entity,
                reason=request.POST.get("reason", ""),
                days=_days(request.POST.get("days", "")),
                ticket=request.POST.get("ticket", ""),
                principal=request.user,
                actor=actor_for(request),
            )
        except (InvalidInput, Conflict) as refused:
            error = refused
        else:
            is_held = made.status == Status.APPROVED
            words = "is exempt from it now" if is_held else "is asked for; somebody decides on it"
            messages.success(request, f"{entity} {words}: {rule.title}.")
            return redirect(back)
    longest = definition.longest_exemption_days
    choices = [days for days in DAYS if not longest or days < longest]
    spec = next((one for one in definition.rules if one.identifier == rule.identifier), None)
    return page(
        request,
        "scorecards/exemptions/ask.html",
        {
            "rule": rule,
            "spec": spec,
            "entity": entity,
            "scorecard": scorecard,
            "scorecard_url": scorecard_url(scorecard),
            "status": status_at(score.statuses, rule.slot),
            "longest": longest,
            "choices": [*choices, longest] if longest else choices,
            "sent": request.POST,
            "error": error,
            "back": back,
            "is_automatic": definition.exemptions_auto_approved,
        },
        title="Ask for an exemption",
        trail=[Crumb("Exemptions", reverse("scorecards:exemptions")), Crumb("Ask for one")],
        status=error.status if error else 200,
    )


_VERDICTS: Final = {"approve": Status.APPROVED, "deny": Status.DENIED}


def _about(request: PortalRequest) -> tuple[Rule, Entity, Score]:
    """What the address names: `scorecard` (pk), `rule`, `blueprint`, `entity`. Raises NotFound."""
    scorecard = _chosen(request, visible_scorecards(request.user))
    if scorecard is None:
        raise NotFound.of("Scorecard", request.GET.get("scorecard", ""))
    rule = find_rule(scorecard, request.GET.get("rule", ""))
    name, kind = request.GET.get("entity", ""), request.GET.get("blueprint", "")
    score = None
    if "\x00" not in name + kind:
        score = (
            Score.objects.select_related("entity__blueprint")
            .filter(
                scorecard=scorecard,
                entity__in=Entity.objects.visible_to(request.user),
                entity__identifier=name,
                entity__blueprint__identifier=kind,
            )
            .first()
        )
    if score is None:
        raise NotFound.of("Entity", name)
    return rule, score.entity, score


def _rows(request: PortalRequest, found: list[Exemption], approving: set[int]) -> list[Row]:
    entities = entities_of(found)
    actor = actor_for(request)
    rows = []
    for one in found:
        is_own = services.is_by(one, actor)
        may_approve = one.scorecard_id in approving
        is_open = one.status in services.OPEN
        rows.append(
            Row(
                exemption=one,
                badge=EXEMPTIONS[one.status],
                entity=entities.get(one.entity_id),
                scorecard_url=scorecard_url(one.scorecard),
                last_day=(one.ends_at - timedelta(days=1)).date() if one.ends_at else None,
                may_decide=one.status == Status.PENDING
                and may_approve
                and not (is_own and settings.IDP_EXEMPTION_FOUR_EYES),
                is_own=is_own,
                may_revoke=is_open and (is_own or (may_approve and one.status == Status.APPROVED)),
            )
        )
    return rows


def _reports(chosen: Scorecard | None, scorecards: list[Scorecard]) -> list[tuple[RuleReport, str]]:
    """The rules with most exemptions, and the page of the scorecard of each."""
    pks = [chosen.pk] if chosen else [one.pk for one in scorecards]
    return [(one, scorecard_url(one.rule.scorecard)) for one in by_rule(pks, RULES)]


def _chosen(request: PortalRequest, scorecards: list[Scorecard]) -> Scorecard | None:
    pk = read_number(request.GET.get("scorecard", ""))
    return next((one for one in scorecards if one.pk == pk), None)


def _days(text: str) -> Any:
    """What is no number is refused by the service, with the field."""
    found = read_number(text)
    return (found or 0) if not text or found is not None else text


def _next(request: PortalRequest) -> str:
    """Where the person came from, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_ours and wanted.startswith("/") else reverse("scorecards:exemptions")
