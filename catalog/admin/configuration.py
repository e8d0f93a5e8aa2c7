"""Importing configuration files in the admin: choose, see what becomes of each line, import.

Between the two steps the files wait in the cache, sealed, for the one who chose them.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from catalog.admin.actors import actor_for
from catalog.dialects.backstage.config import FilesGiven
from catalog.forms.configuration import ConfigurationForm
from catalog.ingest.configuration import Report, import_configuration
from catalog.kernel import crypto
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError

WAITS_S: Final = 30 * 60

_PAGE: Final = "admin/catalog/configuration/"


class ConfigurationPages(IdpModelAdmin):
    def configuration_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [path("configuration/", view(self.configuration_view), name="catalog_configuration")]

    @method_decorator(sensitive_post_parameters())
    def configuration_view(self, request: HttpRequest) -> HttpResponse:
        """Choose files; POST shows what would become of them, and POST of that imports them."""
        if request.method == "POST" and "_import" in request.POST:
            return self._import(request)
        form = ConfigurationForm(*((request.POST, request.FILES) if request.POST else ()))
        if request.method == "POST" and form.is_valid():
            if not form.names:
                form.add_error("chosen", "None of these is YAML or JSON.")
            else:
                try:
                    return self._preview(request, form)
                except IdpError as error:
                    form.add_error("chosen", str(error))
                except UnicodeDecodeError:
                    form.add_error("chosen", "One of these is no text.")
        return self.page(
            request, f"{_PAGE}choose.html", {"title": "Import configuration", "form": form}
        )

    @sensitive_variables()
    def _preview(self, request: HttpRequest, form: ConfigurationForm) -> HttpResponse:
        given = {
            "names": form.names,
            "files": {name: text.decode() for name, text in form.cleaned_data["chosen"].items()},
            "variables": form.cleaned_data["variables"],
            "prune": False,
        }
        report = _run(request, given, is_dry_run=True)
        token = secrets.token_urlsafe(18)
        cache.set(_key(request, token), crypto.seal(given), WAITS_S)
        return self._show(request, report, token=token)

    @sensitive_variables()
    def _import(self, request: HttpRequest) -> HttpResponse:
        key = _key(request, request.POST["_import"])
        sealed = cache.get(key)
        if sealed is None:
            self.message_user(request, "That took too long: choose the files again.", "WARNING")
            return HttpResponseRedirect(reverse("admin:catalog_configuration"))
        given = {**crypto.open_(sealed), "prune": "prune" in request.POST}
        try:
            report = _run(request, given)
        except IdpError as error:
            self.message_user(request, str(error), "ERROR")
            return HttpResponseRedirect(reverse("admin:catalog_configuration"))
        if report.is_stored:
            cache.delete(key)
        return self._show(
            request, report, token="" if report.is_stored else request.POST["_import"]
        )

    def _show(self, request: HttpRequest, report: Report, *, token: str) -> HttpResponse:
        files: dict[str, list[Any]] = {}
        for one in report.lines:
            files.setdefault(one.file if one.line else "Environment", []).append(one)
        return self.page(
            request,
            f"{_PAGE}report.html",
            {
                "title": "Configuration was imported" if report.is_stored else "What it becomes",
                "report": report,
                "files": files.items(),
                "token": token,
            },
        )


def _run(request: HttpRequest, given: dict[str, Any], *, is_dry_run: bool = False) -> Report:
    """Never with the server's own environment: that holds secrets which are nobody's to take."""
    return import_configuration(
        given["names"],
        files=FilesGiven({name: text.encode() for name, text in given["files"].items()}),
        environ=given["variables"],
        actor=actor_for(request),
        is_dry_run=is_dry_run,
        prune=given["prune"],
    )


def _key(request: HttpRequest, token: str) -> str:
    return f"configuration:{request.user.pk}:{token[:64]}"
