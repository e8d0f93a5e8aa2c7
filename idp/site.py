"""The one admin site: the workshop behind the portal, for admins alone."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from catalog.kernel.actors import Principal
from catalog.models import Change, Entity, Relation
from catalog.selectors.catalogue import KIND_COUNT_CAP, kind_counts
from catalog.selectors.sources import needing_attention
from idp.models import ApiClient, User

COUNT_CAP = 1_000  # "1,000+" is as good as the number, and costs the same at any size
CHANGES_SHOWN = 12


class IdpAdminSite(UnfoldAdminSite):
    """Unfold's site under our name; every app registers with it through `admin.register`."""

    site_header = "idp"
    index_title = "Build"
    enable_nav_sidebar = True

    @method_decorator(never_cache)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Nobody logs in here: one log-in page has the second factor and the rate limits.

        Raises PermissionDenied for people whose role does not open the admin.
        """
        if self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        if request.user.is_authenticated:
            raise PermissionDenied("The admin is for people with the role Admin.")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Where people log out is one page too."""
        return HttpResponseRedirect(reverse("account_logout"))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The own password is changed where everybody changes it."""
        return HttpResponseRedirect(reverse("account_change_password"))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The catalogue in figures, what needs a hand, and what has just happened."""
        principal = cast(Principal, request.user)
        kinds = kind_counts(principal)
        facts = {
            "kinds": [kind for kind in kinds if not kind.is_system],
            "kind_cap": KIND_COUNT_CAP,
            "entity_count": sum(min(kind.count, KIND_COUNT_CAP) for kind in kinds),
            "is_entity_count_capped": any(kind.count > KIND_COUNT_CAP for kind in kinds),
            "dangling": _capped(Relation.objects.filter(target__isnull=True)),
            "ownerless": _capped(
                Entity.objects.visible_to(principal).filter(team=[], blueprint__is_system=False)
            ),
            "troubled_sources": needing_attention(),
            "cap": COUNT_CAP,
            "user_count": User.objects.filter(is_active=True).count(),
            "client_count": ApiClient.objects.filter(is_active=True).count(),
            "changes": Change.objects.order_by("-at", "-pk")[:CHANGES_SHOWN],
        }
        return super().index(request, {**facts, **(extra_context or {})})


def _capped(queryset: QuerySet[Any]) -> int:
    """How many, counted no further than `COUNT_CAP` + 1."""
    return queryset.order_by()[: COUNT_CAP + 1].count()
