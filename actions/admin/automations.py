"""What automations did: which events they answered to, and what became of it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from actions.models import Action, Firing
from catalog.admin.filters import ChoiceFilter
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.keyset import Key, Keyset

_COLOURS: Final = {
    Firing.Outcome.STARTED.label: "success",
    Firing.Outcome.FAILED.label: "danger",
    Firing.Outcome.STOPPED.label: "warning",
}


class AutomationFilter(DropdownFilter):
    """Only automations that have fired can be chosen."""

    title = "automation"
    parameter_name = "automation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        fired = Action.objects.filter(pk__in=Firing.objects.values("action"))
        return sorted(((str(one.pk), one.title) for one in fired), key=lambda pair: pair[1].lower())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        known = value.isascii() and value.isdigit() and len(value) < 19
        return queryset.filter(action=int(value)) if known else queryset


class OutcomeFilter(ChoiceFilter):
    title = "outcome"
    parameter_name = "outcome"
    options = tuple(Firing.Outcome.values)


@admin.register(Firing)
class FiringAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["when", "automation", "event_of", "outcome_of", "run_of", "reason"]
    list_display_links = ["when"]
    list_filter = [AutomationFilter, OutcomeFilter]
    list_select_related = ["action", "run"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Firing]:
        return Firing.objects.order_by()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(
            request, {"title": "What automations did", **(extra_context or {})}
        )

    @display(description="When")
    def when(self, firing: Firing) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": firing.at})

    @display(description="Automation")
    def automation(self, firing: Firing) -> str:
        return firing.action.title

    @display(description="Event")
    def event_of(self, firing: Firing) -> str:
        return event_in_words(firing)

    @display(description="Outcome", label=_COLOURS)
    def outcome_of(self, firing: Firing) -> str:
        return str(firing.get_outcome_display())

    @display(description="Run")
    def run_of(self, firing: Firing) -> str:
        return render_to_string("admin/actions/firing/run.html", {"run": firing.run})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        firing = self.load(request, object_id)
        return self.page(
            request,
            "admin/actions/firing/detail.html",
            {
                "title": firing.action.title,
                "firing": firing,
                "what": event_in_words(firing),
            },
            original=firing,
        )


def event_in_words(firing: Firing) -> str:
    """ "update service pay", "expired service pay: lease", "schedule 0 6 * * 1"."""
    event: dict[str, Any] = firing.event
    context = event.get("context") or {}
    if run := context.get("runId"):
        return f"{str(event['action']).lower()} run {run} of {context.get('actionIdentifier')}"
    if cron := context.get("cron"):
        return f"schedule {cron}"
    verb = str(event.get("action", "")).lower().replace("_", " ")
    words = [verb, context.get("blueprintIdentifier"), context.get("entityIdentifier")]
    text = " ".join(str(one) for one in words if one)
    name = context.get("propertyIdentifier")
    return f"{text}: {name}" if name else text
