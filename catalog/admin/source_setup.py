"""Setting a source up, step by step, and the same pages later: kind, settings, mapping, schedule.

A source is stored, turned off, as soon as its settings are whole; the other steps are pages of it.
So nothing is lost on the way, and who leaves comes back to where they were.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from catalog.admin.actors import actor_for
from catalog.admin.source_bench import Bench
from catalog.admin.sources_base import (
    SourcePages,
    can_sync,
    event_address,
    kind_of,
    steps,
    takes_events,
)
from catalog.forms.mapping_text import read_text
from catalog.forms.schedule import ScheduleForm
from catalog.forms.settings_schema import SettingsForm, SourceForm
from catalog.ingest import integrations, runs, webhooks
from catalog.kernel.errors import IdpError
from catalog.models import Integration
from catalog.registry import source_kinds
from catalog.services import exporters, secrets
from catalog.services.integrations import Stated, source_kind
from catalog.tasks import start_sync

_TESTED: Final = "admin/catalog/integration/tested.html"


class SetupPages(SourcePages):
    def setup_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("add/<str:kind>/", view(self.new_view), name="catalog_integration_new"),
            *(
                path(
                    f"<path:object_id>/{name}/",
                    view(getattr(self, f"{name}_view")),
                    name=f"catalog_integration_{name}",
                )
                for name in ("settings", "mapping", "schedule")
            ),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Choose a kind."""
        return self.page(
            request,
            "admin/catalog/integration/choose.html",
            {
                "title": "Add a source",
                "kinds": list(source_kinds.values()),
                "steps": steps("kind"),
            },
        )

    @method_decorator(sensitive_post_parameters())
    def new_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """Say where it is and what opens it; the source is stored, and off."""
        if kind not in source_kinds:
            raise Http404(f"There is no source kind {kind}")
        data = request.POST or None
        form = SourceForm(
            data, initial={"title": source_kinds[kind].title, "identifier": _free_name(kind)}
        )
        settings = self._settings_form(request, kind, None)
        tested: dict[str, Any] = {}
        if request.method == "POST" and "_test" in request.POST:
            tested = _tested(kind, settings, None)
            if _is_htmx(request):
                return TemplateResponse(request, _TESTED, {"settings": settings, **tested})
        elif request.method == "POST" and form.is_valid() & settings.is_valid():
            try:
                _check_settings(kind, settings, None)
                made = integrations.create_source(
                    kind=kind,
                    actor=actor_for(request),
                    settings=settings.cleaned_settings,
                    is_enabled=False,
                    **form.cleaned_data,
                )
            except IdpError as error:
                if not form.refuse(error):
                    settings.refuse(error)
            else:
                return self.go(made, "mapping", setup=1)
        return self.page(
            request,
            "admin/catalog/integration/settings.html",
            {
                "title": f"Add a source: {source_kinds[kind].title}",
                "kind": source_kinds[kind],
                "form": form,
                "settings": settings,
                "steps": steps("settings"),
                "is_setup": True,
                "is_new": True,
                **tested,
            },
        )

    @method_decorator(sensitive_post_parameters())
    def settings_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.load(request, object_id)
        if kind_of(source) is None:
            return self.framed(request, source, "settings", {"is_foreign": True})
        form = SourceForm(
            request.POST or None,
            is_new=False,
            initial={"title": source.title, "description": source.description},
        )
        settings = self._settings_form(request, source.kind, source)
        tested: dict[str, Any] = {}
        if request.method == "POST" and "_test" in request.POST:
            tested = _tested(source.kind, settings, source)
            if _is_htmx(request):
                return TemplateResponse(request, _TESTED, {"settings": settings, **tested})
        elif request.method == "POST" and form.is_valid() & settings.is_valid():
            try:
                _check_settings(source.kind, settings, source)
                integrations.update_source(
                    source,
                    actor=actor_for(request),
                    settings=settings.cleaned_settings,
                    **form.cleaned_data,
                )
            except IdpError as error:
                if not form.refuse(error):
                    settings.refuse(error)
            else:
                if "setup" in request.GET:
                    return self.go(source, "mapping", setup=1)
                messages.success(request, "The settings were saved.")
                return self.go(source, "settings")
        return self.framed(
            request, source, "settings", {"form": form, "settings": settings, **tested}
        )

    def mapping_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The mapping with its playground; POST saves it, or tries it (`_try`, `_fetch`)."""
        source = self.load(request, object_id)
        bench = Bench(source, request.POST)
        if request.method == "POST" and bench.is_try:
            if _is_htmx(request):
                return TemplateResponse(
                    request, "admin/catalog/integration/bench.html", {"bench": bench}
                )
        elif request.method == "POST" and self._save_mapping(request, source, bench):
            if "setup" in request.GET:
                return self.go(source, "schedule", setup=1)
            return self.go(source, "mapping")
        return self.framed(request, source, "mapping", {"bench": bench})

    def schedule_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """When it syncs; at the end of setting it up also whether to begin at once."""
        source = self.load(request, object_id)
        if not source.runs_here:
            raise Http404("It runs elsewhere and keeps its own schedule")
        form = ScheduleForm(request.POST or None, schedule=source.schedule)
        if request.method == "POST" and (not can_sync(source) or form.is_valid()):
            is_setup = "setup" in request.GET
            schedule = form.cleaned_data["schedule"] if can_sync(source) else ""
            stated: Stated = {"schedule": schedule}
            if is_setup and "_preview" not in request.POST:
                stated["is_enabled"] = True
            try:
                integrations.update_source(source, actor=actor_for(request), **stated)
                return self._begun(request, self.load(request, object_id), is_setup=is_setup)
            except IdpError as error:
                form.add_error(
                    "own" if error.details.get("field") == "schedule" else None, str(error)
                )
        return self.framed(
            request,
            source,
            "schedule",
            {
                "form": form,
                "address": event_address(source) if takes_events(source) else "",
                "webhook_secret": "webhookSecret"
                in source_kind(source.kind).settings_schema["properties"]
                if kind_of(source)
                else False,
            },
        )

    def _begun(self, request: HttpRequest, source: Integration, *, is_setup: bool) -> HttpResponse:
        is_dry = "_preview" in request.POST
        if is_dry or "_sync" in request.POST:
            run = runs.request_sync(source, requested_by=actor_for(request).name, is_dry_run=is_dry)
            start_sync(run)
            return HttpResponseRedirect(reverse("admin:catalog_syncrun_change", args=[run.pk]))
        words = f"{source} is set up and on." if is_setup else "The schedule was saved."
        messages.success(request, words)
        return self.go(source, "change" if is_setup else "schedule")

    def _settings_form(
        self, request: HttpRequest, kind: str, source: Integration | None
    ) -> SettingsForm:
        values = secrets.masked_settings(source.settings, source.sealed) if source else None
        return SettingsForm(
            request.POST or None,
            kind=kind,
            schema=source_kind(kind).settings_schema,
            values=values,
            owner=str(request.user.pk),
        )

    def _save_mapping(self, request: HttpRequest, source: Integration, bench: Bench) -> bool:
        actor = actor_for(request)
        try:
            document = read_text(bench.text)
            if source.runs_here:
                integrations.update_source(source, actor=actor, mapping=document)
            else:
                integrations.check_mapping(document, kind="")
                exporters.update(source, {"config": document}, actor=actor)
            made = integrations.create_blueprints(
                source.kind if source.runs_here else "", document, actor=actor, only=bench.picked
            )
        except IdpError as error:
            bench.refuse(error)
            return False
        words = "The mapping was saved."
        if made:
            words += f" Created: {', '.join(made)}."
        messages.success(request, words)
        return True


def _tested(kind: str, form: SettingsForm, source: Integration | None) -> dict[str, Any]:
    """Try the settings in a form; nothing is stored. Returns what the page shows of it."""
    if not form.is_valid():
        return {"is_tested": True}
    try:
        sentences = integrations.try_connection(kind, form.cleaned_settings, integration=source)
    except IdpError as error:
        return {"is_tested": True, "error": error}
    return {"is_tested": True, "sentences": sentences}


def _check_settings(kind: str, form: SettingsForm, source: Integration | None) -> None:
    """What the schema of a webhook's settings cannot say. Raises InvalidMapping."""
    if kind != Integration.WEBHOOK:
        return
    values = form.cleaned_settings
    has_secret = bool(values.get("secret")) if source or "secret" in values else False
    webhooks.check_security(values, has_secret=has_secret)


def _free_name(kind: str) -> str:
    """The kind's own name, with a number where it is taken."""
    taken = set(
        Integration.objects.filter(identifier__startswith=kind).values_list("identifier", flat=True)
    )
    number, name = 1, kind
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    return name


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
