"""Sync runs: how far one is, what it did, what it held back, and the way back."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import BigIntegerField, Count, Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.admin.filters import ChoiceFilter
from catalog.admin.sources_base import kind_of
from catalog.ingest import ownership, runs
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.errors import IdpError
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Integration, SyncMessage, SyncRun
from catalog.selectors.stale import count_stale, pass_of, stale_entities

_LINES: Final = 20
_GROUPS: Final = 8
_STALE: Final = 100


class SourceFilter(DropdownFilter):
    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        sources = Integration.objects.only("identifier", "title").order_by("title", "identifier")
        return [(str(one.pk), str(one)) for one in sources]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        known = value.isascii() and value.isdigit() and len(value) < 19
        return queryset.filter(integration=int(value)) if known else queryset


class RunStateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = SyncRun.State.values


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = ["name", "state_of", "counts", "trigger_of", "began", "took"]
    list_filter = [SourceFilter, RunStateFilter]
    list_select_related = ["integration"]
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "Sync runs", **(extra_context or {})})

    @display(description="Run")
    def name(self, run: SyncRun) -> str:
        return self._cell("name", run)

    @display(description="State")
    def state_of(self, run: SyncRun) -> str:
        return self._cell("state", run)

    @display(description="What it did")
    def counts(self, run: SyncRun) -> str:
        return self._cell("counts", run)

    @display(description="Asked for by")
    def trigger_of(self, run: SyncRun) -> str:
        return run.requested_by or str(run.get_trigger_display())

    @display(description="Asked for")
    def began(self, run: SyncRun) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": run.created_at})

    @display(description="Took")
    def took(self, run: SyncRun) -> str:
        return self._cell("took", run)

    def _cell(self, which: str, run: SyncRun) -> str:
        return render_to_string("admin/catalog/syncrun/cell.html", {"which": which, "run": run})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/progress/",
                view(self.progress_view),
                name="catalog_syncrun_progress",
            ),
            path(
                "<path:object_id>/do/<str:what>/",
                view(require_POST(self.do_view)),
                name="catalog_syncrun_do",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self.load(request, object_id)
        words = "Preview" if run.is_dry_run else "Sync"
        return self.page(
            request,
            "admin/catalog/syncrun/run.html",
            {"title": f"{words} of {run.integration}", **self._told(run)},
            original=run,
        )

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The part of the page that a run changes; pages ask for it until the run is over."""
        run = self.load(request, object_id)
        return TemplateResponse(request, "admin/catalog/syncrun/progress.html", self._told(run))

    def do_view(self, request: HttpRequest, object_id: str, what: str) -> HttpResponse:
        """Cancel; delete or keep what is held; bring back what was deleted."""
        run = self.load(request, object_id)
        actor = actor_for(request)
        try:
            match what:
                case "cancel":
                    runs.cancel(run)
                    messages.success(request, "The run was cancelled.")
                case "delete-held":
                    count = ownership.delete_held(run, actor=actor)
                    messages.success(request, f"Deleted: {count:,}. They can be brought back.")
                case "keep-held":
                    ownership.ignore_held(run, actor=actor)
                    messages.success(request, "They stay where they are.")
                case "undo":
                    count = ownership.undo_deletions(run, actor=actor)
                    messages.success(request, f"Brought back: {count:,}.")
                case _:
                    raise Http404(f"Nothing is called {what}")
        except IdpError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:catalog_syncrun_change", args=[run.pk]))

    def _told(self, run: SyncRun) -> dict[str, Any]:
        lines = SyncMessage.objects.filter(run=run).defer("item").order_by("-pk")
        log = list(lines.exclude(stage="preview")[: _LINES + 1])
        foretold = lines.filter(stage="preview")[:_STALE] if run.is_dry_run else []
        stale: dict[str, Any] = run.stale or {}
        is_held = stale.get("state") == "held"
        listed, total = stale.get("sample", []), stale.get("found", 0)
        if is_held and (passed := pass_of(run)):
            listed, total = stale_entities(passed, limit=_STALE), count_stale(passed)
        return {
            "run": run,
            "source": run.integration,
            "kind": kind_of(run.integration),
            "totals": run.totals,
            "log": log[:_LINES],
            "troubles": _troubles(run),
            "foretold": list(foretold),
            "has_more": len(log) > _LINES,
            "stale": stale,
            "is_held": is_held,
            "listed": listed,
            "listed_total": total,
            "can_undo": run.is_finished
            and stale.get("deleted", 0) > stale.get("restored", 0)
            and not run.is_dry_run,
            "is_exporters": run.trigger == SyncRun.Trigger.EXPORTER,
        }


def _troubles(run: SyncRun) -> list[dict[str, Any]]:
    """What was said most often of items, with how often and the `last` line that says it."""
    lines = SyncMessage.objects.filter(
        run=run, level__in=[SyncMessage.Level.ERROR, SyncMessage.Level.WARNING]
    )
    groups = lines.order_by().values("level", "kind", "field", "message")
    counted = groups.annotate(count=Count("pk"), last=Max("pk")).order_by("-count", "last")
    return [dict(one) for one in counted[:_GROUPS]]
