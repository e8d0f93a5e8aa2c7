"""An entity's page and its tabs; and what is shown where an entity used to be."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import quote

import orjson
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from catalog.dialects.backstage.exports import descriptor_of
from catalog.ingest.provenance import origins_of, provenance_of, source_url
from catalog.kernel import feed
from catalog.models import TEAM, USER, Blueprint, Entity
from catalog.portal import code, graph_svg, icons, saved, teamwork
from catalog.portal.entity_page import arrange, outgoing_lines, related_tables, relation_facts
from catalog.portal.entity_tabs import cards_of, tabs_of
from catalog.portal.links import entity_url, table_url
from catalog.portal.provenance import keeper_of, marks_of, seen_run
from catalog.portal.shell import Crumb, PortalRequest, fragment, page, portal_view
from catalog.portal.sources import run_links
from catalog.portal.values import read_moment
from catalog.selectors import entity_page
from catalog.selectors.documents import document
from catalog.selectors.graph import BOTH
from catalog.selectors.history import entity_as_of, timeline
from catalog.selectors.kinds import Kind, load_kinds
from catalog.selectors.origins import events_of
from catalog.selectors.provenance import ingest_history
from catalog.selectors.tables import owner_titles
from catalog.selectors.teams import people
from catalog.services.permissions import can_administer, can_read_sources, can_write_entities

TABS: Final = ("overview", "related", "graph", "history", "ingestion", "source", "api")
HISTORY_LIMIT: Final = 100
RECENT_CHANGES: Final = 4
RUN_ROWS: Final = 10
MESSAGES: Final = 50

_DEPTHS = tuple(str(depth) for depth in range(1, graph_svg.MAX_DEPTH + 1))


@portal_view
@require_GET
def entity(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """The page of an entity; `tab` says which part of it."""
    found = entity_page.find_entity(request.user, blueprint, identifier)
    kinds = load_kinds()
    kind = kinds.get(blueprint)
    if found is None or kind is None:
        return _absent(request, blueprint, identifier)
    tab = request.GET.get("tab", "overview")
    extra_tabs = {one.name: one for one in tabs_of(found, kind)}
    extra = extra_tabs.get(tab)
    if not extra and tab not in TABS:
        tab = "overview"
    outgoing = entity_page.outgoing(request.user, found, kinds)
    incoming = entity_page.incoming(
        request.user,
        found,
        kinds,
        rows=entity_page.GROUP_ROWS if tab in ("related", "overview") else 0,
    )
    came_from = origins_of(found)
    arranged = arrange(kind, found.properties, found.computed, found.computed_errors)
    context: dict[str, Any] = {
        "entity": found,
        "kind": kind,
        "kinds": kinds,
        "tab": tab,
        "extra_tabs": extra_tabs.values(),
        "came_from": came_from,
        "keeper": keeper_of(found, kind, came_from),
        "owners": entity_page.owners_of(request.user, found),
        "values": arranged,
        "relation_facts": relation_facts(outgoing),
        "outgoing": outgoing,
        "incoming": incoming,
        "related_count": sum(group.count for group in (*outgoing, *incoming)),
        "related_cap": entity_page.INCOMING_CAP,
        "can_edit": can_write_entities(request.user, found.blueprint),
        "can_administer": can_administer(request.user),
        "is_starred": saved.is_starred(request.user, found),
        "seen": {
            "user": request.user.pk,
            "url": entity_url(blueprint, identifier),
            "title": str(found),
            "kind": kind.title,
            "icon": icons.symbol(found.icon or kind.icon, blueprint),
            "hue": icons.hue(blueprint),
        },
    }
    context |= (
        extra.context(request, found, kind)
        if extra
        else _TAB_CONTEXTS[tab](request, found, kind, context)
    )
    return page(
        request,
        extra.template if extra else f"catalog/entity/{tab}.html",
        context,
        title=str(found),
        trail=_trail(kind, str(found)),
    )


@portal_view
@require_POST
def star(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """Star an entity or take the star away."""
    found = entity_page.find_entity(request.user, blueprint, identifier)
    if found is None:
        raise Http404(f"{blueprint}:{identifier} is not in the catalogue")
    is_starred = saved.toggle_star(request.user, found)
    if request.headers.get("HX-Request"):
        context = {"entity": found, "is_starred": is_starred}
        return fragment(request, "catalog/entity/star.html", context)
    return redirect(entity_url(blueprint, identifier))


@portal_view
@require_GET
def person(request: PortalRequest) -> HttpResponseBase:
    """From an e-mail address to the person's page."""
    email = request.GET.get("email", "").replace("\x00", "")
    found = people(email).visible_to(request.user).first() if email else None
    if found is None:
        messages.info(request, f"Nobody in the catalogue has the e-mail address {email}.")
        return redirect(reverse("portal:people"))
    return redirect(entity_url(USER, found.identifier))


def _overview(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "cards": cards_of(request, found, kind),
        "show_empty": request.GET.get("empty") == "1",
        "outgoing_lines": outgoing_lines(context["outgoing"]),
        "changes": timeline(found, limit=RECENT_CHANGES),
        "graph": graph_svg.draw_neighbours(request.user, found, is_small=True),
    }
    provenance = provenance_of(found, kind, context["came_from"])
    extra["marks"] = marks_of(found, kind, provenance)
    extra["origins"] = [(one, source_url(one.source)) for one in provenance.origins]
    if kind.identifier in (TEAM, USER):
        extra["circle"] = teamwork.circle_of(
            context["outgoing"], context["incoming"], is_team=kind.identifier == TEAM
        )
        teams = (
            [found.identifier]
            if kind.identifier == TEAM
            else [row.target.identifier for row in extra["circle"].teams]
        )
        extra["owned"] = teamwork.owned(request.user, teams)
    return extra


def _related(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    groups = [*context["outgoing"], *context["incoming"]]
    teams = [row.entity.team for group in groups for row in group.rows if row.entity]
    tables = related_tables(groups, context["kinds"], owner_titles(request.user, teams))
    return {"tables": tables, "out_count": len(context["outgoing"])}


def _graph(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    depth = request.GET.get("depth", "1")
    direction = request.GET.get("direction", "")
    only = [k for k in request.GET.getlist("kind") if k]
    graph = graph_svg.draw_neighbours(
        request.user,
        found,
        depth=int(depth) if depth in _DEPTHS else 1,
        direction=direction if direction in graph_svg.DIRECTIONS else BOTH,
        kinds=only,
    )
    return {
        "kind_choices": [
            {"kind": one, "is_chosen": one.identifier in only}
            for one in sorted(context["kinds"], key=lambda one: one.title.lower())
        ],
        "chosen_kinds": len(only),
        "graph": graph,
        "depths": range(1, graph_svg.MAX_DEPTH + 1),
        "directions": graph_svg.DIRECTIONS.items(),
    }


def _history(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "changes": timeline(found, limit=HISTORY_LIMIT),
        "history_limit": HISTORY_LIMIT,
        "now": timezone.now(),
    }
    asked = request.GET.get("as_of", "")
    if not asked:
        return extra
    moment = _moment(asked)
    if moment is None:
        return {**extra, "as_of_problem": asked}
    then = entity_as_of(kind.identifier, found.identifier, moment)
    extra |= {"as_of": moment, "as_of_input": asked, "then": then}
    if then is not None:
        # Computed values are not walked back: what they were read from was another thing's.
        extra["then_values"] = arrange(
            kind, then["properties"], found.computed, found.computed_errors
        )
        extra["has_todays"] = bool(kind.computed)
        extra["then_differs"] = [
            name
            for name in {**then["properties"], **found.properties}
            if then["properties"].get(name) != found.properties.get(name)
        ]
    return extra


def _ingestion(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    origins = context["came_from"]
    name = (kind.identifier, found.identifier)
    changed = [one for one in timeline(found, limit=HISTORY_LIMIT) if one.run][:RUN_ROWS]
    runs = run_links(one.run for one in changed)
    return {
        "origins": [(one, source_url(one.source), seen_run(one)) for one in origins],
        "ingest": ingest_history(*name, limit=MESSAGES),
        "events": events_of({one.source.pk for one in origins}, *name, limit=MESSAGES),
        "runs": [(one, runs.get(one.run)) for one in changed],
        "can_read_log": can_read_sources(request.user),
    }


def _source(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    return {"descriptor": code.yaml_block(descriptor_of(found))}


def _api(
    request: PortalRequest, found: Entity, kind: Kind, context: dict[str, Any]
) -> dict[str, Any]:
    raw = document(Entity.objects.visible_to(request.user).filter(pk=found.pk))
    path = f"{quote(kind.identifier, safe='')}/entities/{quote(found.identifier, safe='')}"
    return {
        "json": code.json_block(orjson.loads(raw or b"{}")),
        "api_base": settings.IDP_URL,
        "api_url": f"{settings.IDP_URL}/v1/blueprints/{path}",
    }


_TAB_CONTEXTS = {
    "overview": _overview,
    "related": _related,
    "graph": _graph,
    "history": _history,
    "ingestion": _ingestion,
    "source": _source,
    "api": _api,
}


def _absent(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """Where nothing of this name is: what became of it, if it ever was here."""
    fate = entity_page.fate_of(request.user, blueprint, identifier)
    described = Blueprint.objects.filter(identifier=blueprint).first()
    if fate is not None and fate.entity is not None:
        now = fate.entity
        messages.info(request, f"{identifier} has been renamed to {now.identifier}.")
        return redirect(entity_url(now.blueprint.identifier, now.identifier))
    if fate is None or fate.action != feed.DELETE or described is None:
        raise Http404(f"There is no {blueprint} called “{identifier}”.")
    return page(
        request,
        "catalog/entity/deleted.html",
        {
            "blueprint": described,
            "identifier": identifier,
            "fate": fate,
            "can_restore": can_write_entities(request.user, described),
        },
        title=identifier,
        trail=[
            Crumb("Catalogue", reverse("catalog:index")),
            Crumb(described.title, table_url(blueprint)),
            Crumb(identifier),
        ],
        status=404,
    )


def _trail(kind: Kind, title: str) -> list[Crumb]:
    return [
        Crumb("Catalogue", reverse("catalog:index")),
        Crumb(kind.title, table_url(kind.identifier)),
        Crumb(title),
    ]


def _moment(text: str) -> datetime | None:
    """A moment as a date field gives it; a day means its end, and all is UTC."""
    at = read_moment(text)
    if at is not None and len(text) == len("2026-03-31"):
        return datetime.combine(at, time.max, UTC)
    return at
