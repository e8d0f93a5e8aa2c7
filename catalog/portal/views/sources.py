"""The sources of the catalogue, their runs, and why something is missing: to read alone."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from catalog.ingest.provenance import source_url
from catalog.kernel.identifiers import is_storable
from catalog.models import InboundEvent, Integration, SyncRun
from catalog.portal import sources
from catalog.portal.shell import Crumb, PortalRequest, fragment, page, portal_view
from catalog.portal.values import read_number
from catalog.selectors.kinds import load_kinds
from catalog.selectors.missing import findings
from catalog.selectors.sources import owned_by_kind, stale_of, states_of
from catalog.services.permissions import can_administer, can_read_sources

RUNS: Final = 25
EVENTS: Final = 25
STALE: Final = 25
MAX_TEXT: Final = 1000


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """Every source: how it is doing, and what it last did."""
    found = Integration.objects.defer("sealed", "mapping", "attributes").order_by("identifier")
    rows = [sources.source_row(state, timezone.now()) for state in states_of(found)]
    return page(
        request,
        "catalog/sources/index.html",
        {
            "rows": sorted(rows, key=lambda row: (not row.problem, str(row.source).lower())),
            "troubled": sum(bool(row.problem) for row in rows),
            "admin_url": sources.admin_url(Integration) if can_administer(request.user) else "",
        },
        title="Sources",
    )


@portal_view
@require_GET
def source(
    request: PortalRequest, identifier: str, *, is_webhook: bool = False
) -> HttpResponseBase:
    """One source: its kinds, its runs, its live events, and what it no longer has."""
    found = _source(identifier, is_webhook=is_webhook)
    now = timezone.now()
    [state] = states_of([found])
    stale_count, stale = stale_of(found, limit=STALE)
    runs = found.runs.order_by("-pk")[:RUNS]
    events = InboundEvent.objects.filter(integration=found).defer("body", "headers")
    is_admin = can_administer(request.user)
    return page(
        request,
        "catalog/sources/source.html",
        {
            "row": sources.source_row(state, now),
            "source": found,
            "kinds": owned_by_kind(found),
            "runs": [sources.run_row(run, found, now) for run in runs],
            "events": events.order_by("-pk")[:EVENTS] if can_read_sources(request.user) else [],
            "stale": stale,
            "stale_count": stale_count,
            "admin_url": sources.admin_url(Integration, found.pk) if is_admin else "",
        },
        title=str(found),
        trail=[_list(), Crumb(str(found))],
    )


@portal_view
@require_GET
def run(request: PortalRequest, identifier: str, pk: int) -> HttpResponseBase:
    """A run: how far it is, what it came to, and its log. A script asks for the progress alone."""
    found = _source(identifier)
    one = found.runs.filter(pk=pk).first()
    if one is None:
        raise Http404(f"{found} has no run {pk}, or it was so long ago that it is not kept.")
    row = sources.run_row(one, found, timezone.now())
    context: dict[str, Any] = {"source": found, "run": one, "row": row}
    if request.GET.get("part") == "progress":
        context["was_live"] = True
        return fragment(request, "catalog/sources/progress.html", context)
    is_admin = can_administer(request.user)
    context["can_read_log"] = can_read_sources(request.user)
    context["admin_url"] = sources.admin_url(SyncRun, one.pk) if is_admin else ""
    if context["can_read_log"]:
        level, text = request.GET.get("level", ""), _text(request, "q")
        lines, more = sources.log_of(
            one,
            level=level,
            text=text,
            before=read_number(request.GET.get("before", "")),
        )
        context |= {"lines": lines, "more": more, "level": level, "text": text}
        context["levels"] = sources.LEVELS
    return page(
        request,
        "catalog/sources/run.html",
        context,
        title=f"Sync {one.pk} of {found}",
        trail=[_list(), Crumb(str(found), source_url(found)), Crumb(f"Sync {one.pk}")],
    )


@portal_view
@require_GET
def missing(request: PortalRequest) -> HttpResponseBase:
    """Why something is not in the catalogue: what is known of an identifier."""
    identifier, blueprint = _text(request, "q"), _text(request, "kind")
    kinds = load_kinds()
    context: dict[str, Any] = {
        "text": identifier,
        "blueprint": blueprint,
        "kinds": sorted(kinds, key=lambda one: one.title.lower()),
        "can_read_log": can_read_sources(request.user),
    }
    if identifier:
        found = findings(
            request.user, identifier, kinds, blueprint=blueprint if kinds.get(blueprint) else ""
        )
        context["found"] = found
        runs = sources.run_links(act.run for act in found.acts)
        context["acts"] = [(act, runs.get(act.run)) for act in found.acts]
    return page(
        request,
        "catalog/sources/missing.html",
        context,
        title="Why is it missing?",
        trail=[_list(), Crumb("Why is it missing?")],
    )


def _list() -> Crumb:
    return Crumb("Sources", reverse("catalog:sources"))


def _source(identifier: str, *, is_webhook: bool = False) -> Integration:
    named = Integration.objects.filter(identifier=identifier) if is_storable(identifier) else None
    found = None
    if named is not None:
        hooks = named.filter(kind=Integration.WEBHOOK)
        found = (hooks if is_webhook else named.exclude(kind=Integration.WEBHOOK)).first()
    if found is None:
        raise Http404(f"There is no source called “{identifier}”.")
    return found


def _text(request: PortalRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\x00", "")[:MAX_TEXT].strip()
