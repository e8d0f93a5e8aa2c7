"""Entities made, changed, deleted and brought back by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from catalog.forms import entity_form_class
from catalog.ingest.provenance import Origin, locks_of, origins_of, source_url
from catalog.kernel import feed
from catalog.kernel.errors import HasDependents, IdpError, NotFound
from catalog.models import Blueprint, Change, Entity
from catalog.portal.acting import actor_for
from catalog.portal.links import entity_url, table_url
from catalog.portal.shell import Crumb, PortalRequest, page, portal_view
from catalog.portal.values import read_number
from catalog.selectors import entity_page
from catalog.selectors.kinds import load_kinds
from catalog.services import entities
from catalog.services.permissions import require_entity_write

MAX_PREFILL = 50


@portal_view
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """A new entity. The query string may fill fields in beforehand (`?r-system=shop`)."""
    described = _writable(request, blueprint)
    form_class = entity_form_class(described, request.user)
    form = form_class(request.POST or None, initial=dict(list(request.GET.items())[:MAX_PREFILL]))
    if request.method == "POST" and form.is_valid():
        saved = form.save(actor=actor_for(request))
        if saved is not None:
            messages.success(request, f"{saved.identifier} is in the catalogue.")
            return redirect(entity_url(blueprint, saved.identifier))
    title = f"New {described.title}"
    return _form_page(request, described, form, title=title, trail=[Crumb(title)])


@portal_view
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """An entity changed. A form that is older than what is stored is refused, not merged."""
    described = _writable(request, blueprint)
    found = _found(request, blueprint, identifier)
    origins = origins_of(found)
    form = entity_form_class(described, request.user)(
        request.POST or None, entity=found, locks=locks_of(found, origins)
    )
    if request.method == "POST" and form.is_valid():
        saved = form.save(actor=actor_for(request))
        if saved is not None:
            if saved.status is entities.Status.UNCHANGED:
                messages.info(request, "Nothing was changed.")
            else:
                messages.success(request, f"{found} is saved.")
            return redirect(entity_url(blueprint, identifier))
    return _form_page(
        request,
        described,
        form,
        title=f"Edit {found}",
        trail=[Crumb(str(found), entity_url(blueprint, identifier)), Crumb("Edit")],
        entity=found,
        origins=origins,
    )


@portal_view
@require_http_methods(["GET", "POST"])
def delete(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """First what would go, and what would dangle; then, on POST, the deletion."""
    described = _writable(request, blueprint)
    found = _found(request, blueprint, identifier)
    problem = ""
    if request.method == "POST":
        try:
            entities.delete([(blueprint, identifier)], actor=actor_for(request))
        except HasDependents as error:
            problem = str(error)
        else:
            messages.success(request, f"{found} is deleted. Its page can bring it back.")
            return redirect(table_url(blueprint))
    return page(
        request,
        "catalog/entity/delete.html",
        {
            "entity": found,
            "blueprint": described,
            "incoming": entity_page.incoming(request.user, found, load_kinds()),
            "problem": problem,
            "origins": [
                (one, source_url(one.source)) for one in origins_of(found) if one.gone is None
            ],
        },
        title=f"Delete {found}",
        trail=[
            *_trail(described),
            Crumb(str(found), entity_url(blueprint, identifier)),
            Crumb("Delete"),
        ],
        status=409 if problem else 200,
    )


@portal_view
@require_POST
def restore(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponseBase:
    """Bring back what a deletion took, as it was."""
    _writable(request, blueprint)
    pk = request.POST.get("change", "")
    change = Change.objects.filter(
        pk=read_number(pk) or 0,
        model=Change.ENTITY,
        action=feed.DELETE,
        blueprint=blueprint,
        identifier=identifier,
    ).first()
    if change is None:
        raise NotFound.of("Deletion", pk, field="id")
    result = entities.restore(
        [(blueprint, identifier, change.before or {})], actor=actor_for(request)
    )
    error: IdpError | None = result.items[0].error
    if error is not None:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{identifier} is back.")
    return redirect(entity_url(blueprint, identifier))


def _form_page(
    request: PortalRequest,
    blueprint: Blueprint,
    form: Any,
    *,
    title: str,
    trail: list[Crumb],
    entity: Entity | None = None,
    origins: Sequence[Origin] = (),
) -> HttpResponseBase:
    return page(
        request,
        "catalog/entity/form.html",
        {
            "form": form,
            "blueprint": blueprint,
            "entity": entity,
            "origins": [(one, source_url(one.source)) for one in origins],
        },
        title=title,
        trail=[*_trail(blueprint), *trail],
        status=422 if form.is_bound and form.errors else 200,
    )


def _writable(request: PortalRequest, identifier: str) -> Blueprint:
    blueprint = Blueprint.objects.filter(identifier=identifier).first()
    if blueprint is None:
        raise NotFound.of("Kind", identifier)
    require_entity_write(request.user, blueprint)
    return blueprint


def _found(request: PortalRequest, blueprint: str, identifier: str) -> Entity:
    found = entity_page.find_entity(request.user, blueprint, identifier)
    if found is None:
        raise Http404(f"There is no {blueprint} called “{identifier}”.")
    return found


def _trail(blueprint: Blueprint) -> list[Crumb]:
    return [
        Crumb("Catalogue", reverse("catalog:index")),
        Crumb(blueprint.title, table_url(blueprint.identifier)),
    ]
