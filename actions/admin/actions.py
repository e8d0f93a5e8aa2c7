"""Actions: a list of all, and the builder that shapes one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import (
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, reverse
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from actions.admin.bench import BenchPages
from actions.admin.builder import ActionDocumentForm, builder_data, categories
from actions.admin.importing import ImportPages
from actions.admin.versions import VersionPages
from actions.admin.words import method_in_words, trigger_in_words
from actions.models import Action, Run
from actions.portal.methods import sentence_of
from actions.portal.words import STATUSES
from actions.services.action_spec import OPERATIONS
from actions.services.definitions import delete_action
from actions.services.triggers import event_titles
from catalog.admin.actors import actor_for
from catalog.forms.widgets import EntityPicker
from catalog.kernel.errors import IdpError
from catalog.models import TEAM, USER

LATELY: Final = timedelta(days=30)
_LIST: Final = "admin:actions_action_changelist"
_PAGES: Final = "admin/actions/action/"
_MEDIA: Final = EntityPicker(url="").media + Media(
    js=["actions/form.js"], css={"all": ["actions/form.css", "actions/admin/builder.css"]}
)


class TriggerFilter(DropdownFilter):
    title = "trigger"
    parameter_name = "trigger"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        events = [(name, title) for name, title in event_titles().items()]
        return [("self-service", "People"), ("automation", "Any event"), *events]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        if value in ("self-service", "automation"):
            return queryset.alias(said=KT("document__trigger__type")).filter(said=value)
        return queryset.alias(said=KT("document__trigger__event__type")).filter(said=value)


class OperationFilter(DropdownFilter):
    title = "operation"
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one, one.capitalize()) for one in OPERATIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.alias(done=KT("document__trigger__operation")).filter(done=self.value())


class PublishedFilter(DropdownFilter):
    title = "published"
    parameter_name = "published"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Published"), ("no", "Not published")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        off = Q(shown="false")
        held = queryset.alias(shown=KT("document__publish"))
        return held.filter(off) if self.value() == "no" else held.filter(~off | Q(shown=None))


class CategoryFilter(DropdownFilter):
    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one, one) for one in categories()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.alias(group=KT("document__category")).filter(group=self.value())


@admin.register(Action)
class ActionAdmin(BenchPages, ImportPages, VersionPages):
    list_display = ["name", "trigger_of", "does", "about", "is_on", "last_run"]
    list_select_related = ["blueprint", "template"]
    list_filter = [TriggerFilter, OperationFilter, PublishedFilter, CategoryFilter]
    search_fields = ["identifier", "document__title"]
    search_help_text = "Title or identifier"
    ordering = ["identifier"]
    change_list_template = f"{_PAGES}list.html"
    feed_model = "action"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        runs = Run.objects.filter(action=OuterRef("pk"), is_test=False).order_by("-pk")
        lately = runs.filter(created_at__gt=timezone.now() - LATELY).order_by().values("action")
        return (
            super()
            .get_queryset(request)
            .annotate(
                name_of=Coalesce(KT("document__title"), F("identifier"), output_field=TextField()),
                last_status=Subquery(runs.values("status")[:1]),
                last_run_id=Subquery(runs.values("identifier")[:1]),
                last_at=Subquery(runs.values("created_at")[:1]),
                run_total=Subquery(
                    lately.annotate(total=Count("pk")).values("total"),
                    output_field=IntegerField(),
                ),
            )
        )

    @display(description="Action", ordering="name_of")
    def name(self, action: Action) -> str:
        return render_to_string(f"{_PAGES}name.html", {"action": action})

    @display(description="Trigger")
    def trigger_of(self, action: Action) -> str:
        what, which = trigger_in_words(action)
        return render_to_string(
            f"{_PAGES}trigger.html", {"action": action, "what": what, "which": which}
        )

    @display(description="What it does")
    def does(self, action: Action) -> str:
        return render_to_string(
            f"{_PAGES}does.html",
            {"method": method_in_words(action.invocation), "sentence": sentence_of(action)},
        )

    @display(description="Blueprint", ordering="blueprint__title")
    def about(self, action: Action) -> str:
        return action.blueprint.title if action.blueprint else ""

    @display(description="Published", boolean=True)
    def is_on(self, action: Action) -> bool:
        return action.is_published

    @display(description="Last run", ordering="last_at")
    def last_run(self, action: Any) -> str:
        badge = STATUSES[action.last_status] if action.last_status else None
        return render_to_string(f"{_PAGES}last_run.html", {"action": action, "badge": badge})

    def get_urls(self) -> list[URLPattern]:
        return [
            *self.bench_urls(),
            *self.import_urls(),
            *self.version_urls(),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._builder(request, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._builder(request, self.load(request, object_id))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        action: Action = self.load(request, object_id)
        error: IdpError | None = None
        if request.method == "POST":
            try:
                delete_action(action.identifier, actor=actor_for(request))
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'Action "{action.title}" was deleted; its runs stay.')
                return HttpResponseRedirect(reverse(_LIST))
        runs = Run.objects.filter(action=action)
        return self.page(
            request,
            f"{_PAGES}delete.html",
            {
                "title": f"Delete {action.title}",
                "action": action,
                "run_count": runs.count(),
                "open_count": runs.filter(status__in=Run.OPEN).count(),
                "error": error,
            },
            original=action,
            status=error.status if error else 200,
        )

    def _builder(self, request: HttpRequest, action: Action | None) -> HttpResponse:
        form = ActionDocumentForm(request.POST or None, action=action)
        if request.method == "POST" and form.is_valid():
            saved = form.save(actor=actor_for(request))
            if saved is not None:
                messages.success(request, _said(action, saved))
                if "_continue" in request.POST:
                    return HttpResponseRedirect(
                        reverse("admin:actions_action_change", args=[saved.pk])
                    )
                return HttpResponseRedirect(reverse(_LIST))
        people, teams = (f"{reverse('pick-entities')}?kind={kind}" for kind in (USER, TEAM))
        return self.page(
            request,
            f"{_PAGES}builder.html",
            {
                "title": action.title if action else "Add an action",
                "action": action,
                "tab": "builder",
                "form": form,
                "media": self.media + _MEDIA,
                "categories": categories(),
                "pickers": {
                    f"{grant}_{what}": EntityPicker(url=url, many=True, is_free=True).render(
                        f"{grant}_{what}", [], {"id": f"id_{grant}_{what}"}
                    )
                    for grant in ("execute", "approve")
                    for what, url in (("users", people), ("teams", teams))
                },
                "builder": builder_data(action, form),
            },
            original=action,
        )


def _said(before: Action | None, saved: Action) -> str:
    if before is None:
        return f'Action "{saved.title}" was created.'
    if saved.version == before.version:
        return f'Action "{saved.title}" was saved; what it says is the same.'
    return f'Action "{saved.title}" was saved as version {saved.version}.'
