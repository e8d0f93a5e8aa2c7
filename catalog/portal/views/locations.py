"""Where descriptors are read from: all locations, one with its files and problems, a new one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog import tasks
from catalog.ingest.locations import orphans, refresh, registering
from catalog.ingest.locations.writing import Refreshed
from catalog.kernel.errors import IdpError, PermissionDenied
from catalog.models import Entity, LocatedEntity, Location
from catalog.portal.acting import actor_for
from catalog.portal.entity_tabs import Card, Context
from catalog.portal.numbered import part_of
from catalog.portal.shell import Crumb, PortalRequest, page, portal_view
from catalog.portal.sources import Badge
from catalog.portal.values import read_number
from catalog.selectors import locations
from catalog.selectors.kinds import Kind
from catalog.selectors.teams import teams_of
from catalog.services import catalog_settings
from catalog.services.permissions import can_administer

PAGE_SIZE: Final = 50
ENTITIES: Final = 100
ORPHANS: Final = 100
READ_AT_ONCE: Final = 20  # files; a location with more is read in the background
TOO_SOON: Final = timedelta(seconds=3)  # since it was read: pressed twice, or by two people

BADGES: Final = {
    Location.State.PENDING: Badge("Not read yet", "lightGray", "hourglass_empty"),
    Location.State.READY: Badge("Good", "green", "check_circle"),
    Location.State.PARTIAL: Badge("Has problems", "yellow", "warning"),
    Location.State.FAILED: Badge("Cannot be read", "red", "error"),
}
STATES: Final = (
    ("", "All"),
    ("problems", "With problems"),
    ("own", "Problems in your descriptors"),
    ("ready", "Good"),
    ("pending", "Not read yet"),
)


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """All locations; `state` and `q` narrow them."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:1000]
    state = request.GET.get("state", "")
    known = dict(STATES)
    state = state if state in known else ""
    found = locations.listed(
        text=text,
        state="" if state == "own" else state,
        teams=teams_of(request.user.email) if state == "own" else None,
    )
    part = part_of(request, found, size=PAGE_SIZE)
    rows = locations.rows_of(part.rows)
    return page(
        request,
        "catalog/locations/index.html",
        {
            "rows": [(row, BADGES[Location.State(row.location.state)]) for row in rows],
            "text": text,
            "state": state,
            "states": STATES,
            "part": part,
            "held": [one for one in orphans.origins() if one.is_held] if _deletes() else [],
            "may_register": registering.may_register(request.user),
            "admin_url": _settings_url(request),
        },
        title="Locations",
    )


@portal_view
@require_GET
def location(request: PortalRequest, pk: UUID) -> HttpResponseBase:
    """One location: its files, its entities, and what is wrong."""
    found = _found(pk)
    tree = locations.tree_of(found)
    visible = Entity.objects.visible_to(request.user).filter(located__file__location=found)
    lost = locations.orphans_of(found.place)
    lost_count = lost.count()
    held = [one for one in orphans.origins() if one.place == found.place and one.is_held]
    return page(
        request,
        "catalog/locations/location.html",
        {
            "location": found,
            "badge": BADGES[Location.State(found.state)],
            "tree": tree,
            "entities": visible.select_related("blueprint")
            .defer("search", "descriptor", "properties", "relations", "computed")
            .order_by("blueprint__title", "identifier")[:ENTITIES],
            "orphans": lost[:ORPHANS],
            "orphan_count": lost_count,
            "held": held[0] if held and _deletes() else None,
            "deletes": _deletes(),
            "may_remove": registering.may_remove(request.user, found),
            "is_admin": can_administer(request.user),
        },
        title=found.target,
        trail=[_list(), Crumb(found.target)],
    )


@portal_view
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: PortalRequest) -> HttpResponseBase:
    """A new location: looked at first, then registered."""
    registering.require_register(request.user)
    target = request.POST.get("target", request.GET.get("target", "")).strip()
    type_ = Location.Type.FILE if target.startswith("/") else Location.Type.URL
    context: dict[str, Any] = {
        "target": target,
        "may_read_files": can_administer(request.user),
    }
    status = 200
    if request.method == "POST":
        try:
            registering.require_register(request.user, type_)
            if request.POST.get("act") == "register":
                made = registering.register(type_, target, actor=actor_for(request))
                return _registered(request, made)
            context["trial"] = registering.dry_run(type_, target, actor=actor_for(request))
        except PermissionDenied:
            raise
        except IdpError as error:
            found = error.details.get("problems")
            context |= {"error": error, "problems": _faults(found) if found else ()}
            status = error.status
    return page(
        request,
        "catalog/locations/new.html",
        context,
        title="Register a location",
        trail=[_list(), Crumb("Register")],
        status=status,
    )


@portal_view
@require_POST
def read_again(request: PortalRequest, pk: UUID) -> HttpResponseBase:
    """Read a location now: whoever is logged in may ask."""
    found = _found(pk)
    read_at = found.refreshed_at
    if read_at and read_at > timezone.now() - TOO_SOON:
        messages.info(request, "It has just been read.")
    elif found.files.count() > READ_AT_ONCE:
        tasks.start_location(found)
        messages.info(request, "It is being read. Look at the page again in a moment.")
    else:
        result = refresh.refresh(found, actor_for(request))
        messages.success(request, _told(result))
    return redirect("catalog:location", pk=pk)


@portal_view
@require_POST
def remove(request: PortalRequest, pk: UUID) -> HttpResponseBase:
    """Remove a location with all that only it holds."""
    found = _found(pk)
    registering.require_remove(request.user, found)
    count = registering.remove(found, actor_for(request))
    messages.success(
        request, f"{found.target} is no longer read; {count:,} of its entities are deleted."
    )
    return redirect("catalog:locations")


@portal_view
@require_POST
def remove_orphans(request: PortalRequest, pk: UUID) -> HttpResponseBase:
    """Delete one orphan of a location (`entity`), or all of them."""
    found = _found(pk)
    if one := request.POST.get("entity", ""):
        held = LocatedEntity.objects.filter(entity_id=read_number(one) or 0, origin=found.place)
        row = held.select_related("entity__blueprint").first()
        if row is None:
            raise Http404("There is no such orphan any more.")
        orphans.remove_orphan(row.entity, actor_for(request))
        messages.success(request, f"{row.entity.identifier} is deleted.")
    else:
        registering.require_remove(request.user, found)
        count = orphans.confirm(found.place, actor_for(request))
        messages.success(request, f"{count:,} orphans are deleted.")
    return redirect("catalog:location", pk=pk)


# --- details ----------------------------------------------------------------------------------


def _card(request: PortalRequest, entity: Entity, kind: Kind) -> Context | None:
    trouble = locations.trouble_of(entity)
    return {"trouble": trouble} if trouble else None


CARD: Final = Card("location", "catalog/locations/card.html", _card)


def _registered(request: PortalRequest, made: Location) -> HttpResponse:
    if made.state == Location.State.READY:
        messages.success(request, f"{made.target} is read from now on.")
    else:
        messages.warning(request, f"{made.target} is registered, and has problems.")
    return redirect("catalog:location", pk=made.pk)


def _told(result: Refreshed) -> str:
    if result.unchanged or not (result.created or result.updated or result.orphaned):
        return "It was read; nothing has changed."
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (result.created, "new"),
            (result.updated, "changed"),
            (result.orphaned, "gone"),
        )
        if count
    ]
    return f"It was read: {', '.join(parts)}."


def _faults(problems: list[dict[str, Any]]) -> list[locations.Fault]:
    shown = problems[: locations.MAX_PROBLEMS]
    return [locations.fault_of(one["place"], one) for one in shown]


def _deletes() -> bool:
    return catalog_settings.current().orphan_strategy == "delete"


def _settings_url(request: PortalRequest) -> str:
    is_admin = can_administer(request.user)
    return reverse("admin:catalog_catalogsettings_changelist") if is_admin else ""


def _found(pk: UUID) -> Location:
    found = Location.objects.filter(pk=pk).first()
    if found is None:
        raise Http404("There is no such location, or it was removed.")
    return found


def _list() -> Crumb:
    return Crumb("Locations", reverse("catalog:locations"))
