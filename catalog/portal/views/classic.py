"""Addresses of Backstage's own pages, as readmes and chats of a company name them, lead to ours."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import EntityRef, RefError, parse_ref
from catalog.models import Blueprint, Entity
from catalog.portal.links import entity_url, table_url
from catalog.portal.shell import PortalRequest, portal_view

_TABS: Final = {
    "api": "definition",
    "definition": "definition",
    "dependencies": "related",
    "docs": "docs",
    "kubernetes": "kubernetes",
}


@portal_view
@require_GET
def entity(
    request: PortalRequest, namespace: str, kind: str, name: str, tab: str = ""
) -> HttpResponseRedirect:
    """`/catalog/:namespace/:kind/:name[/<tab>]`."""
    return redirect(_url(request, EntityRef(kind, namespace, name), _TABS.get(tab, "")))


@portal_view
@require_GET
def graph(request: PortalRequest) -> HttpResponseRedirect:
    """`/catalog-graph?rootEntityRefs[]=…`: the graph of the first of them."""
    given = [*request.GET.getlist("rootEntityRefs[]"), *request.GET.getlist("rootEntityRefs[0]")]
    try:
        return redirect(_url(request, parse_ref(given[0] if given else ""), "graph"))
    except RefError:
        return redirect(reverse("catalog:index"))


@portal_view
@require_GET
def apis(request: PortalRequest) -> HttpResponseRedirect:
    """`/api-docs`."""
    return redirect(_table("api"))


@portal_view
@require_GET
def settings(request: PortalRequest) -> HttpResponseRedirect:
    """`/settings`."""
    return redirect(reverse("portal:me"))


@portal_view
@require_GET
def registration(request: PortalRequest) -> HttpResponseRedirect:
    """`/catalog-import`: where descriptors are read from."""
    return redirect(reverse("catalog:locations"))


def _table(blueprint: str) -> str:
    exists = Blueprint.objects.filter(identifier=blueprint).exists()
    return table_url(blueprint) if exists else reverse("catalog:index")


def _url(request: PortalRequest, ref: EntityRef, tab: str) -> str:
    entities = Entity.objects.visible_to(request.user)
    key = key_of_ref(ref)
    if not entities.filter(blueprint__identifier=key[0], identifier=key[1]).exists():
        # one whose identifier is no name of Backstage is known there by another
        rows = entities.filter(document__ref=str(ref))
        found = rows.values_list("blueprint__identifier", "identifier").first()
        if found is None:
            raise Http404(f"{ref} is not in the catalogue")
        key = found
    return entity_url(*key, tab=tab)
