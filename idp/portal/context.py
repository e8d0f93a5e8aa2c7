"""The shell for pages whose views are not ours: log-in, password, two-factor."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from catalog.portal.shell import Crumb, shell_context

_ACCOUNT_VIEWS = ("account_", "mfa_", "socialaccount_")


def account_pages(request: HttpRequest) -> dict[str, Any]:
    """Template context of allauth's pages: the colours of the shell; its sidebar once inside."""
    match = request.resolver_match
    if match is None or not (match.url_name or "").startswith(_ACCOUNT_VIEWS):
        return {}
    if not request.user.is_authenticated:
        return {**admin.site.each_context(request), "signup_is_open": settings.IDP_SIGNUP}
    return {
        **shell_context(request),
        "trail": [Crumb("My profile", reverse("portal:me")), Crumb("Account")],
    }
