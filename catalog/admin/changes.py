"""The change log: who changed what, when, from what to what; and the way back from a deletion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import BigIntegerField, DateTimeField, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.admin.filters import ChoiceFilter, ExactTextFilter, KindFilter, MomentFilter
from catalog.kernel import feed
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.csv_lines import csv_response
from catalog.kernel.json_text import write_json
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Blueprint, Change, Entity
from catalog.selectors.audit import OF_ENTITIES
from catalog.selectors.history import FieldChange, entity_as_of, field_changes
from catalog.services import entities

EXPORT_MAX = 100_000  # rows; a spreadsheet opens no more with grace
PATHS_SHOWN = 4
_ACTIONS = (feed.CREATE, feed.UPDATE, feed.DELETE, feed.RENAME)
_COLUMNS = (
    "at", "actor_kind", "actor", "action", "model", "blueprint", "identifier", "before", "after",
    "datasource", "request_id", "run",
)  # fmt: skip


class ActionFilter(ChoiceFilter):
    title = "action"
    parameter_name = "action"
    options = _ACTIONS


class ModelFilter(ChoiceFilter):
    title = "subject"
    parameter_name = "model"
    options = (
        Change.ENTITY,
        Change.FACT,
        Change.METRIC,
        Change.BLUEPRINT,
        Change.INTEGRATION,
        Change.SECRET,
        Change.PROXY,
        Change.LOCATION,
        Change.SETTINGS,
        Change.MIGRATION,
        "user",
        "api_client",
        "scorecard",
        "score",
        "exemption",
        "initiative",
    )


class ActorKindFilter(ChoiceFilter):
    title = "kind of author"
    parameter_name = "actor_kind"
    options = ("user", "client", "integration", "system")


class ActorFilter(ExactTextFilter):
    title = "author (whole e-mail or id)"
    parameter_name = "actor"


class ChangeKindFilter(KindFilter):
    path = "blueprint"


class WhenFilter(MomentFilter):
    title = "time (UTC)"
    parameter_name = "at"


class ObjectFilter(ChoiceFilter):
    """One object's history; set by links, and only then to be seen."""

    title = "object"
    parameter_name = "object"

    def has_output(self) -> bool:
        return bool(self.value())

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = request.GET.get(self.parameter_name, "")
        return [(value, f"Only number {value}")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return queryset.filter(object_id=int(value)) if value.isdecimal() else queryset.none()


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    keyset = Keyset(
        [Key("at", "at", DateTimeField()), Key("pk", "pk", BigIntegerField())], descending=True
    )
    list_display = ["when", "who", "what", "subject", "touched"]
    list_display_links = ["when"]
    list_filter = [
        WhenFilter,
        ActorFilter,
        ActorKindFilter,
        ActionFilter,
        ModelFilter,
        ChangeKindFilter,
        ObjectFilter,
    ]
    search_fields = ["identifier"]
    search_help_text = "Part of an identifier or an author"
    change_list_template = "admin/catalog/change/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return Change.objects.order_by()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in search_term.split():
            queryset = queryset.filter(Q(identifier__icontains=word) | Q(actor__icontains=word))
        return queryset, False

    @display(description="When")
    def when(self, change: Change) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": change.at})

    @display(description="Who")
    def who(self, change: Change) -> str:
        kind = "" if change.actor_kind == "user" else f" ({change.actor_kind})"
        return f"{change.actor}{kind}"

    @display(
        description="Did",
        label={
            feed.CREATE: "success",
            feed.UPDATE: "info",
            feed.DELETE: "danger",
            feed.RENAME: "warning",
        },
    )
    def what(self, change: Change) -> str:
        return change.action

    @display(description="To")
    def subject(self, change: Change) -> str:
        return render_to_string("admin/cells/subject.html", {"change": change})

    @display(description="Fields")
    def touched(self, change: Change) -> str:
        if change.action in (feed.CREATE, feed.DELETE) and change.model != Change.FACT:
            return ""
        paths = [one.path for one in field_changes(change)]
        more = f" and {len(paths) - PATHS_SHOWN} more" if len(paths) > PATHS_SHOWN else ""
        return ", ".join(paths[:PATHS_SHOWN]) + more

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("export/", view(require_GET(self.export_view)), name="catalog_change_export"),
            path(
                "<path:object_id>/restore/",
                view(self.restore_view),
                name="catalog_change_restore",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One change, before and after side by side."""
        change = self.load(request, object_id)
        return self.page(
            request,
            "admin/catalog/change/detail.html",
            {
                "title": "Change",
                "change": change,
                "rows": _rows(change),
                "subject_url": _subject_url(change),
                "is_document_changed": change.action == feed.UPDATE
                and "descriptor" in {**(change.before or {}), **(change.after or {})},
                "can_restore": _can_restore(change),
            },
        )

    def restore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Bring a deleted entity back, and if asked those that were deleted with it."""
        change = self.load(request, object_id)
        if not _can_restore(change):
            messages.error(request, "There is nothing to restore: it is not gone.")
            return HttpResponseRedirect(reverse("admin:catalog_change_change", args=[change.pk]))
        companions = Change.objects.filter(
            at=change.at,
            transaction=change.transaction,
            action=feed.DELETE,
            model=Change.ENTITY,
        ).exclude(pk=change.pk)
        rejected: list[Any] = []
        if request.method == "POST":
            wanted = [change]
            if "with_companions" in request.POST:
                wanted += companions.order_by("pk")[: entities.MAX_BATCH - 1]
            result = entities.restore(
                [(one.blueprint, one.identifier, one.before or {}) for one in wanted],
                actor=actor_for(request),
            )
            rejected = result.rejected
            restored = len(result.items) - len(rejected)
            if restored:
                messages.success(request, f"{restored} restored.")
            for item in rejected[:5]:
                messages.error(request, f"{item.blueprint}:{item.identifier}: {item.error}")
            if not result.items[0].error:
                return HttpResponseRedirect(
                    reverse("admin:catalog_entity_change", args=[result.items[0].pk])
                )
        return self.page(
            request,
            "admin/catalog/change/restore.html",
            {
                "title": f"Restore {change.identifier}",
                "change": change,
                "companions": companions.order_by("pk")[:10],
                "companions_count": companions.count(),
            },
            status=409 if rejected else 200,
        )

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The list, with its filters, as CSV: the newest rows first."""
        try:
            queryset = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:catalog_change_changelist"))
        rows = queryset.order_by("-at", "-pk").values_list(*_COLUMNS)[:EXPORT_MAX]
        return csv_response(f"changes-{timezone.now():%Y-%m-%d}", _COLUMNS, _cells(rows))


def _cells(rows: QuerySet[Any, Any]) -> Iterator[list[str]]:
    for row in rows.iterator(chunk_size=2000):
        yield [
            value.isoformat()
            if hasattr(value, "isoformat")
            else value
            if isinstance(value, str)
            else ""
            if value is None
            else write_json(value)
            for value in row
        ]


def _rows(change: Change) -> list[dict[str, Any]]:
    fields = field_changes(change)
    if change.action == feed.CREATE and not fields:
        fields = _as_created(change)
    return [
        {"path": one.path, "before": _text(one.before), "after": _text(one.after)} for one in fields
    ]


def _as_created(change: Change) -> list[FieldChange]:
    """What an entity was made with, worked out from its history while it exists."""
    if change.model != Change.ENTITY:
        return []
    entity = Entity.objects.select_related("blueprint").filter(pk=change.object_id or 0).first()
    if entity is None:
        return []
    content = entity_as_of(entity.blueprint.identifier, entity.identifier, change.at)
    made = Change(before=None, after={k: v for k, v in (content or {}).items() if v})
    return [one for one in field_changes(made) if one.path not in ("blueprint", "identifier")]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else write_json(value)


def _can_restore(change: Change) -> bool:
    """Whether it tells of the end of an entity that is not there again."""
    return (
        change.action == feed.DELETE
        and change.model == Change.ENTITY
        and not Entity.objects.filter(
            blueprint__identifier=change.blueprint, identifier=change.identifier
        ).exists()
    )


def _subject_url(change: Change) -> str:
    """The admin page of what was changed, if that is still there."""
    model: type[Entity] | type[Blueprint] | None = None
    if change.model in OF_ENTITIES:
        model = Entity
    elif change.model == Change.BLUEPRINT:
        model = Blueprint
    if model is None or not model._default_manager.filter(pk=change.object_id or 0).exists():
        return ""
    return reverse(f"admin:catalog_{model._meta.model_name}_change", args=[change.object_id])
