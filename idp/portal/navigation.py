"""The sidebar of portal and admin: one list for both, so that nobody gets lost between them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import escape

from actions.portal.approvals import MAX_COUNTED, count_waiting
from catalog.models import Blueprint, Entity
from catalog.portal.icons import symbol
from catalog.portal.links import table_url

MAX_KINDS = 15

# (title, icon, app label and model) of what admins build with
_ADMIN_MODELS = [
    ("Blueprints", "schema", "catalog.Blueprint"),
    ("Entities", "deployed_code", "catalog.Entity"),
    ("Relations", "account_tree", "catalog.Relation"),
    ("Facts", "fact_check", "catalog.Fact"),
    ("Set up sources", "sync", "catalog.Integration"),
    ("Sync runs", "history_toggle_off", "catalog.SyncRun"),
    ("Descriptors", "rule", "catalog.CatalogSettings"),
    ("Pages", "dashboard", "catalog.Page"),
    ("Actions", "bolt", "actions.Action"),
    ("Runs", "play_circle", "actions.Run"),
    ("Automations", "electric_bolt", "actions.Firing"),
    ("Channels", "campaign", "actions.Channel"),
    ("Scorecards", "grading", "scorecards.Scorecard"),
    ("Proxy", "swap_horiz", "catalog.ProxyEndpoint"),
    ("Secrets", "lock", "catalog.Secret"),
    ("Signing key", "key", "actions.SigningKey"),
    ("Change log", "history", "catalog.Change"),
    ("Users", "manage_accounts", "idp.User"),
    ("API clients", "key", "idp.ApiClient"),
]


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the sidebar, as Unfold wants them."""
    groups: list[dict[str, Any]] = [
        {
            "items": [
                _item(request, "Home", "home", reverse("portal:home"), exact=True),
                _item(request, "Catalogue", "category", reverse("catalog:index"), exact=True),
                _item(request, "Self-service", "bolt", reverse("actions:index")),
                _item(request, "Runs", "play_circle", reverse("actions:runs")),
                _approvals(request),
                _item(request, "Scorecards", "grading", reverse("scorecards:index")),
                _item(request, "Docs", "menu_book", reverse("catalog:docs")),
                _item(request, "Teams", "groups", reverse("portal:teams")),
                _item(request, "People", "person", reverse("portal:people")),
                _item(request, "Sources", "sync", reverse("catalog:sources")),
                _item(request, "Locations", "find_in_page", reverse("catalog:locations")),
                _item(request, "API reference", "terminal", reverse("docs")),
            ]
        },
        {"title": "Catalogue", "items": _kinds(request)},
    ]
    if request.user.is_staff:
        groups.append({"title": "Build", "items": _admin(request)})
    return groups


def account_links(_request: HttpRequest) -> list[dict[str, Any]]:
    """The menu under the person's name."""
    return [
        {"title": "My profile", "link": reverse("portal:me")},
        {"title": "Change password", "link": reverse("account_change_password")},
        {"title": "Two-factor log-in", "link": reverse("mfa_index")},
    ]


def _approvals(request: HttpRequest) -> dict[str, Any]:
    item = _item(request, "Approvals", "approval", reverse("actions:approvals"))
    waiting = count_waiting(request.user) if request.user.is_authenticated else 0
    shown = f"{MAX_COUNTED}+" if waiting > MAX_COUNTED else waiting
    return {**item, "badge": shown, "badge_variant": "primary"}


def _kinds(request: HttpRequest) -> list[dict[str, Any]]:
    """The kinds that have something to show; the catalogue page lists them all."""
    used = (
        Blueprint.objects.filter(Exists(Entity.objects.filter(blueprint=OuterRef("pk"))))
        .exclude(is_system=True)
        .order_by("title")
        .values_list("identifier", "title", "icon")
    )
    items = [
        _item(request, title, symbol(icon, identifier), table_url(identifier))
        for identifier, title, icon in used[: MAX_KINDS + 1]
    ]
    if len(items) > MAX_KINDS:
        items[MAX_KINDS:] = [_item(request, "All kinds", "more_horiz", reverse("catalog:index"))]
    return items


def _admin(request: HttpRequest) -> list[dict[str, Any]]:
    items = []
    for title, icon, label in _ADMIN_MODELS:
        model = apps.get_model(label)
        if admin.site.is_registered(model):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            items.append(_item(request, title, icon, url))
    return items


def _item(
    request: HttpRequest, title: str, icon: str, link: str, *, exact: bool = False
) -> dict[str, Any]:
    path = request.path
    active = path == link or (not exact and path.startswith(f"{link.rstrip('/')}/"))
    # Unfold puts titles into its sidebar unescaped; those of kinds are people's words.
    return {"title": escape(title), "icon": icon, "link": link, "active": active}
