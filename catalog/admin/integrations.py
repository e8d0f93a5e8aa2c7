"""Sources: how each is doing, what it brought in and said, what one may do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.admin.configuration import ConfigurationPages
from catalog.admin.source_setup import SetupPages
from catalog.admin.sources_base import event_address, kind_of, takes_events
from catalog.ingest import integrations, live, runs
from catalog.kernel.admin import IdpChangeList
from catalog.kernel.errors import IdpError
from catalog.models import Entity, InboundEvent, Integration, Owned, SyncMessage, SyncRun
from catalog.registry import source_kinds
from catalog.selectors.sources import owned_by_kind, stale_of, states_of
from catalog.services import exporters
from catalog.services.integrations import set_enabled
from catalog.tasks import start_events, start_sync

_LIST: Final = "admin:catalog_integration_changelist"
_ROWS: Final = 50
_SPARK: Final = 30


class SourceList(IdpChangeList):
    """The list of sources, each row with how it is doing (`row.doing`)."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        for row, state in zip(rows, states_of(rows), strict=True):
            row.doing = state
        self.result_list = rows


class SourceKindFilter(DropdownFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        used = Integration.objects.order_by("kind").values_list("kind", flat=True).distinct()
        return [(name, source_kinds[name].title if name in source_kinds else name) for name in used]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("on", "On"),
            ("off", "Off"),
            ("elsewhere", "Runs elsewhere"),
            ("working", "At work now"),
            ("trouble", "Failed, or with errors, last time"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "on":
                return queryset.filter(is_enabled=True)
            case "off":
                return queryset.filter(is_enabled=False)
            case "elsewhere":
                return queryset.filter(runs_here=False)
            case "working":
                own = SyncRun.objects.unfinished().filter(integration=OuterRef("pk"))
                return queryset.filter(Exists(own))
            case "trouble":
                begun = SyncRun.objects.filter(integration=OuterRef("pk"), is_dry_run=False)
                last = begun.exclude(state=SyncRun.State.QUEUED).order_by("-pk").values("state")[:1]
                return queryset.alias(last_state=Subquery(last)).filter(
                    last_state__in=[SyncRun.State.FAILED, SyncRun.State.PARTIAL]
                )
        return queryset


@admin.register(Integration)
class IntegrationAdmin(ConfigurationPages, SetupPages):
    list_display = ["name", "health", "last_run", "next_run", "owned_entities"]
    list_filter = [SourceKindFilter, StateFilter]
    search_fields = ["identifier", "title", "kind"]
    ordering = ["title", "identifier"]
    change_list_template = "admin/catalog/integration/list.html"
    feed_model = "integration"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DjangoChangeList]:
        return SourceList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("attributes", "cursors", "resync_state")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "Sources", **(extra_context or {})})

    @display(description="Source")
    def name(self, source: Integration) -> str:
        return self._cell("name", source)

    @display(description="State")
    def health(self, source: Integration) -> str:
        return self._cell("health", source)

    @display(description="Last run")
    def last_run(self, source: Integration) -> str:
        return self._cell("run", source)

    @display(description="Next run", ordering="next_run_at")
    def next_run(self, source: Integration) -> str:
        return self._cell("next", source)

    @display(description="Entities")
    def owned_entities(self, source: Any) -> str:
        return f"{source.doing.owned:,}"

    def _cell(self, which: str, source: Any) -> str:
        return render_to_string(
            "admin/catalog/integration/cell.html",
            {"which": which, "source": source, "state": source.doing, "kind": kind_of(source)},
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        pages = ("runs", "log", "events", "entities")
        return [
            *self.setup_urls(),
            *self.configuration_urls(),
            *(
                path(
                    f"<path:object_id>/{name}/",
                    view(getattr(self, f"{name}_view")),
                    name=f"catalog_integration_{name}",
                )
                for name in pages
            ),
            path(
                "<path:object_id>/do/<str:what>/",
                view(require_POST(self.do_view)),
                name="catalog_integration_do",
            ),
            path(
                "<path:object_id>/log/<int:pk>/",
                view(self.message_view),
                name="catalog_integration_message",
            ),
            path(
                "<path:object_id>/events/<int:pk>/",
                view(self.event_view),
                name="catalog_integration_event",
            ),
            path(
                "<path:object_id>/events/<int:pk>/again/",
                view(require_POST(self.event_again_view)),
                name="catalog_integration_event_again",
            ),
            *super().get_urls(),
        ]

    # --- pages

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        source = self.load(request, object_id)
        recent = list(
            SyncRun.objects.filter(integration=source, is_dry_run=False)
            .exclude(state=SyncRun.State.QUEUED)
            .order_by("-pk")[:_SPARK]
        )
        by_blueprint = (
            Owned.objects.filter(integration=source)
            .values("entity__blueprint__identifier", "entity__blueprint__title")
            .annotate(count=Count("entity", distinct=True))
            .order_by("-count", "entity__blueprint__title")
        )
        stale, some_stale = stale_of(source, limit=5)
        return self.framed(
            request,
            source,
            "change",
            {
                "recent": recent,
                "last_runs": recent[:6],
                "by_blueprint": list(by_blueprint),
                "stale": stale,
                "some_stale": some_stale,
                "is_set_up": source.is_enabled or not source.runs_here or bool(recent),
                "resources": [
                    str(one.get("kind", ""))
                    for one in source.mapping.get("resources") or ()
                    if isinstance(one, dict)
                ],
                "troubles": SyncMessage.objects.filter(
                    integration=source, level=SyncMessage.Level.ERROR
                )
                .defer("item")
                .order_by("-pk")[:5],
            },
        )

    def runs_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.load(request, object_id)
        rows, older = _page(SyncRun.objects.filter(integration=source), request)
        return self.framed(request, source, "runs", {"rows": rows, "older": older})

    def log_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What happened to which item; by level, kind, run and identifier."""
        source = self.load(request, object_id)
        lines = SyncMessage.objects.filter(integration=source).defer("item")
        chosen = {name: request.GET.get(name, "").strip() for name in _LOG_FILTERS}
        for name, text in chosen.items():
            if text:
                lines = lines.filter(**_LOG_FILTERS[name](text))
        kinds = (
            SyncMessage.objects.filter(integration=source)
            .exclude(kind="")
            .order_by("kind")
            .values_list("kind", flat=True)
            .distinct()[:100]
        )
        rows, older = _page(lines, request)
        return self.framed(
            request,
            source,
            "log",
            {
                "rows": rows,
                "older": older,
                "chosen": chosen,
                "is_filtered": any(chosen.values()),
                "kinds": list(kinds),
                "levels": SyncMessage.Level.values,
            },
        )

    def message_view(self, request: HttpRequest, object_id: str, pk: int) -> HttpResponse:
        """A line with all that was kept of it, the raw object too; in place, or as a page."""
        source = self.load(request, object_id)
        line = SyncMessage.objects.filter(integration=source, pk=pk).first()
        if line is None:
            raise Http404("There is no such line")
        if request.headers.get("HX-Request") == "true":
            return TemplateResponse(
                request, "admin/catalog/integration/line_more.html", {"line": line}
            )
        return self.framed(request, source, "log", {"rows": [line], "only": line})

    def events_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.load(request, object_id)
        if not takes_events(source):
            raise Http404("It takes no live events")
        events = InboundEvent.objects.filter(integration=source)
        counts = dict(events.order_by().values_list("state").annotate(count=Count("pk")))
        state = request.GET.get("state", "")
        if state in InboundEvent.State.values:
            events = events.filter(state=state)
        rows, older = _page(events.defer("body", "headers"), request)
        return self.framed(
            request,
            source,
            "events",
            {
                "rows": rows,
                "older": older,
                "states": [(one, counts.get(one, 0)) for one in InboundEvent.State.values],
                "chosen": state,
                "address": event_address(source),
            },
        )

    def event_view(self, request: HttpRequest, object_id: str, pk: int) -> HttpResponse:
        """An event as it came in; in place, or as a page."""
        source = self.load(request, object_id)
        event = InboundEvent.objects.filter(integration=source, pk=pk).first()
        if event is None or not takes_events(source):
            raise Http404("There is no such event")
        context = {"event": event, "body": bytes(event.body)[:20_000].decode(errors="replace")}
        if request.headers.get("HX-Request") == "true":
            return TemplateResponse(request, "admin/catalog/integration/event_more.html", context)
        context |= {"rows": [event], "only": event, "address": event_address(source)}
        return self.framed(request, source, "events", context)

    def event_again_view(self, request: HttpRequest, object_id: str, pk: int) -> HttpResponse:
        source = self.load(request, object_id)
        event = InboundEvent.objects.filter(integration=source, pk=pk).first()
        if event is None:
            raise Http404("There is no such event")
        try:
            live.retry(event)
        except IdpError as error:
            messages.error(request, str(error))
        else:
            start_events(source)
            messages.success(request, f"{event.delivery} will be processed again.")
        return self.go(source, "events")

    def entities_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What it answers for, and what its newest pass did not find."""
        source = self.load(request, object_id)
        kind = request.GET.get("kind", "")
        owned = Owned.objects.filter(integration=source)
        if kind:
            owned = owned.filter(kind=kind)
        rows, older = _page(owned.select_related("entity__blueprint"), request)
        after = request.GET.get("stale_after", "")
        count, some = stale_of(
            source,
            after=int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0,
        )
        [state] = states_of([source])
        return self.framed(
            request,
            source,
            "entities",
            {
                "rows": rows,
                "older": older,
                "kinds": owned_by_kind(source),
                "chosen": kind,
                "stale": count,
                "some_stale": some,
                "stale_after": some[-1].pk if len(some) == 100 else 0,
                "held": state.held,
            },
        )

    # --- deeds

    def do_view(self, request: HttpRequest, object_id: str, what: str) -> HttpResponse:
        """Sync, preview, turn on or off, ask an exporter for a resync."""
        source = self.load(request, object_id)
        actor = actor_for(request)
        try:
            match what:
                case "sync" | "preview" | "start":
                    if what == "start":
                        source = set_enabled(source, True, actor=actor)
                    run = runs.request_sync(
                        source,
                        requested_by=actor.name,
                        only_kinds=request.POST.getlist("kind"),
                        is_dry_run=what == "preview",
                    )
                    start_sync(run)
                    return HttpResponseRedirect(
                        reverse("admin:catalog_syncrun_change", args=[run.pk])
                    )
                case "enable" | "disable":
                    set_enabled(source, what == "enable", actor=actor)
                    words = "on" if what == "enable" else "off. What it wrote stays"
                    messages.success(request, f"{source} is {words}.")
                case "resync":
                    if source.runs_here:
                        raise Http404("It runs here")
                    exporters.request_resync(source, actor=actor)
                    messages.success(
                        request, f"{source} was asked for a resync; it begins when it asks next."
                    )
                case _:
                    raise Http404(f"Nothing is called {what}")
        except IdpError as error:
            messages.error(request, str(error))
        return self.go(source)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        source = self.load(request, object_id)
        error: IdpError | None = None
        if request.method == "POST":
            choice = request.POST.get("entities", "")
            if choice in ("keep", "delete"):
                try:
                    return self._deleted(request, source, with_entities=choice == "delete")
                except IdpError as refusal:
                    error = refusal
        own = Owned.objects.filter(integration=source)
        others = Owned.objects.filter(entity=OuterRef("pk")).exclude(integration=source)
        entities = Entity.objects.filter(Exists(own.filter(entity=OuterRef("pk"))))
        made = entities.filter(Exists(own.filter(entity=OuterRef("pk"), is_creator=True)))
        return self.page(
            request,
            "admin/catalog/integration/delete.html",
            {
                "title": f"Delete {source}",
                "source": source,
                "owned": entities.count(),
                "deletable": made.filter(~Exists(others)).count(),
                "is_running": SyncRun.objects.unfinished().filter(integration=source).exists(),
                "error": error,
                "nothing_chosen": request.method == "POST" and error is None,
            },
            original=source,
            status=error.status if error else 200,
        )

    def _deleted(
        self, request: HttpRequest, source: Integration, *, with_entities: bool
    ) -> HttpResponse:
        gone, left = integrations.delete_source(
            source, actor=actor_for(request), delete_entities=with_entities
        )
        words = f"{source} was deleted; "
        if not with_entities:
            words += "its entities stay."
        else:
            words += f"{gone:,} entit{'y' if gone == 1 else 'ies'} went with it."
            if left:
                words += f" {left:,} stay, since other entities need them."
        messages.success(request, words)
        return HttpResponseRedirect(reverse(_LIST))


_LOG_FILTERS: Final = {
    "level": lambda text: {"level": text},
    "kind": lambda text: {"kind": text},
    "run": lambda text: {
        "run": text if text.isascii() and text.isdigit() and len(text) < 19 else 0
    },
    "identifier": lambda text: {"identifier": text.replace("\0", "")},
}


def _page(queryset: QuerySet[Any], request: HttpRequest) -> tuple[Sequence[Any], int]:
    """The newest rows, or those before `?before=`; and the key to go on with, 0 at the end."""
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        queryset = queryset.filter(pk__lt=int(before))
    rows = list(queryset.order_by("-pk")[: _ROWS + 1])
    return rows[:_ROWS], rows[_ROWS - 1].pk if len(rows) > _ROWS else 0
