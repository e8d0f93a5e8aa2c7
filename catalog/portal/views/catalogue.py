"""All kinds; and the table of one kind, with what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound
from catalog.models import Blueprint, Entity, EntityQuerySet, Integration
from catalog.portal import export, saved
from catalog.portal.links import table_url
from catalog.portal.shell import Crumb, PortalRequest, fragment, page, portal_view, wants_fragment
from catalog.portal.sources import admin_url
from catalog.portal.tables import SIZES, TableState, all_operators, operators_of
from catalog.portal.values import column_cell, is_empty
from catalog.selectors import tables
from catalog.selectors.catalogue import KIND_COUNT_CAP, kind_counts
from catalog.selectors.kinds import Kind, load_kinds
from catalog.selectors.origins import stale_among
from catalog.selectors.pick import titles_of
from catalog.selectors.teams import teams_of
from catalog.services.permissions import can_administer, can_write_entities

MAX_NAME = 80
MAX_QUERY = 4000


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """Every kind as a card."""
    kinds = kind_counts(request.user)
    return page(
        request,
        "catalog/index.html",
        {
            "kinds": kinds,
            "is_empty": not any(kind.count for kind in kinds if not kind.is_system),
            "count_cap": KIND_COUNT_CAP,
            "can_administer": can_administer(request.user),
        },
        title="Catalogue",
    )


@portal_view
@require_GET
@vary_on_headers("HX-Request")
def table(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """The entities of a kind. `format=csv` downloads all that the filters keep."""
    described, kind = _kind(blueprint)
    views = saved.views_of(request.user, described)
    state = TableState.read(kind, request.GET, saved.remembered_columns(request.user, views))
    rows = _rows(request, described, state)
    if request.GET.get("format") == "csv":
        return export.table_csv(rows, state)
    found = tables.keyset_of(state.sort_column, descending=state.descending).page(
        rows, state.place, size=state.size
    )
    is_whole = not found.after and not found.before
    labels = titles_of(request.user, state.named_entities())
    context = {
        "kind": kind,
        "blueprint": described,
        "state": state,
        "heads": state.heads(),
        "rows": _shown(request.user, found.rows, state),
        "count": len(found.rows) if is_whole else tables.count_capped(rows),
        "count_cap": tables.COUNT_CAP,
        "chips": state.chips({identifier: title for (_, identifier), title in labels.items()}),
        "facets": state.facets(),
        "sizes": [(size, state.href(size=str(size))) for size in SIZES],
        "before": found.before and f"{state.href()}&before={found.before}",
        "after": found.after and f"{state.href()}&after={found.after}",
        "mine_href": state.href(mine="" if state.mine else "1"),
        "clear_href": state.href(f=[], q="", mine=""),
        "csv_href": f"{state.href()}&format=csv",
        "api_url": f"{settings.IDP_URL}/v1/blueprints/{quote(kind.identifier, safe='')}/entities",
        "can_write": can_write_entities(request.user, described),
        "sources_url": admin_url(Integration) if can_administer(request.user) else "",
    }
    if wants_fragment(request):
        return fragment(request, "catalog/table_region.html", context)
    return page(
        request,
        "catalog/table.html",
        {
            **context,
            "views": [view for view in views if view.name],
            "unshown": [c for key, c in state.columns.items() if key not in state.shown],
            "all_operators": all_operators(),
        },
        title=kind.title,
        trail=[Crumb("Catalogue", reverse("catalog:index")), Crumb(kind.title)],
    )


@portal_view
@require_GET
def values(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """The operators of a column, and the values it has under the other filters: for the panel."""
    _, column, found = _values(request, blueprint)
    return fragment(
        request,
        "catalog/filter_values.html",
        {
            "column": column,
            "operators": operators_of(column),
            "values": found[: tables.MAX_VALUES],
            "is_cut": len(found) >= tables.MAX_VALUES,
        },
    )


@portal_view
@require_GET
def facet(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """The values of a column as a menu: what is inside a facet that was just opened."""
    state, column, found = _values(request, blueprint)
    choices = [state.choice(column, one.value, one.label, one.count) for one in found]
    return fragment(request, "catalog/facet.html", {"choices": choices})


@portal_view
@require_GET
def add_filter(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """Turn what the filter panel sends into the table's own address."""
    _, kind = _kind(blueprint)
    state = TableState.read(kind, _query(request.GET))
    column = state.columns.get(request.GET.get("column", ""))
    operator = request.GET.get("operator", "")
    if column is None or operator not in operators_of(column):
        return redirect(f"{table_url(blueprint)}?{state.params()}")
    given = [value.strip() for value in request.GET.getlist("value") if value.strip()]
    if not given or operator in ("empty", "filled"):
        given = [""]
    return redirect(f"{table_url(blueprint)}?{state.with_filter(column, operator, given)}")


@portal_view
@require_POST
def choose_columns(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """Show these columns, in this order, now and from now on."""
    described, kind = _kind(blueprint)
    known = tables.columns_of(kind)
    chosen = [key for key in request.POST.getlist("column") if key in known]
    if "reset" in request.POST:
        chosen = []
    saved.remember_columns(request.user, described, list(dict.fromkeys(chosen)))
    rest = TableState.read(kind, _query(request.POST))
    return redirect(f"{table_url(blueprint)}?{rest.params(columns='')}")


@portal_view
@require_POST
def save_view(request: PortalRequest, blueprint: str) -> HttpResponseBase:
    """Keep the table as it is now under a name."""
    described, kind = _kind(blueprint)
    name = request.POST.get("name", "").strip()[:MAX_NAME]
    query = _query(request.POST)
    state = TableState.read(
        kind, query, saved.remembered_columns(request.user, saved.views_of(request.user, described))
    )
    # a view names its columns, so that it shows the same to everybody
    kept = state.params(columns=",".join(state.shown))
    if name:
        saved.save_view(request.user, described, name, kept, is_shared="shared" in request.POST)
        messages.success(request, f"The view “{name}” is saved.")
    else:
        messages.error(request, "A view needs a name.")
    return redirect(f"{table_url(blueprint)}?{kept}")


@portal_view
@require_POST
def delete_view(request: PortalRequest, blueprint: str, pk: int) -> HttpResponseBase:
    if not saved.delete_view(request.user, pk):
        raise NotFound.of("View", str(pk), field="id")
    messages.success(request, "The view is deleted.")
    return redirect(table_url(blueprint))


def _kind(identifier: str) -> tuple[Blueprint, Kind]:
    blueprint = Blueprint.objects.filter(identifier=identifier).first()
    kind = load_kinds().get(identifier)
    if blueprint is None or kind is None:
        raise NotFound.of("Kind", identifier)
    return blueprint, kind


def _rows(
    request: PortalRequest, blueprint: Blueprint, state: TableState, *, without: str = ""
) -> EntityQuerySet:
    return tables.rows_matching(
        request.user,
        blueprint,
        query=state.query(without=without),
        text=state.text,
        teams=teams_of(request.user.email) if state.mine else None,
    )


def _values(
    request: PortalRequest, blueprint: str
) -> tuple[TableState, tables.Column, list[tables.ValueCount]]:
    """The table that asks, the column it asks about, and what stands there in rows that match the
    other filters."""
    described, kind = _kind(blueprint)
    state = TableState.read(kind, _query(request.GET))
    name = request.GET.get("column", "")
    column = state.columns.get(name)
    if column is None:
        raise NotFound.of("Column", name)
    rows = _rows(request, described, state, without=column.key)
    return state, column, tables.values_of(request.user, rows, column)


def _shown(user: Principal, entities: Sequence[Entity], state: TableState) -> list[dict[str, Any]]:
    """Rows as the template wants them: each column with its rendered cell.

    gone: of one that its source no longer lists, when that was noticed and why it is still here.
    """
    columns = state.shown_columns
    gone = stale_among([one.pk for one in entities])
    return [
        {
            "entity": row.entity,
            "gone": gone.get(row.entity.pk),
            "icon": row.entity.icon or state.kind.icon,
            "cells": [
                (c, column_cell(c, row.values[c.key]), is_empty(row.values[c.key])) for c in columns
            ],
        }
        for row in tables.with_targets(user, entities, columns)
    ]


def _query(sent: QueryDict) -> QueryDict:
    """The query string of the table that a form was sent from."""
    return QueryDict(sent.get("query", "")[:MAX_QUERY].removeprefix("?"))
