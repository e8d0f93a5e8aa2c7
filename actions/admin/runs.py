"""Actions and their runs, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.decorators import display

from actions.models import Action, Run
from catalog.admin.filters import ChoiceFilter
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.keyset import Key, Keyset

_COLOURS = {
    "SUCCESS": "success",
    "FAILURE": "danger",
    "DECLINED": "danger",
    "IN_PROGRESS": "info",
    "WAITING_FOR_APPROVAL": "warning",
    "CANCELLED": "",
}


@admin.register(Action)
class ActionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "identifier", "kind", "operation", "blueprint", "is_on"]
    list_select_related = ["blueprint"]
    search_fields = ["identifier"]
    ordering = ["identifier"]

    @display(description="Trigger")
    def kind(self, action: Action) -> str:
        return str(action.trigger.get("type", ""))

    @display(description="Operation")
    def operation(self, action: Action) -> str:
        return str(action.trigger.get("operation") or "")

    @display(description="Published", boolean=True)
    def is_on(self, action: Action) -> bool:
        return action.is_published


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    options = tuple(Run.Status.values)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["identifier", "of", "state", "who", "when", "summary"]
    list_filter = [StatusFilter]
    search_fields = ["identifier", "external_run_id"]
    search_help_text = "Part of an id"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return Run.objects.order_by()

    @display(description="Action")
    def of(self, run: Run) -> str:
        return str(run.about.get("title") or run.about["identifier"])

    @display(description="Status", label=_COLOURS)
    def state(self, run: Run) -> str:
        return run.status

    @display(description="Started by")
    def who(self, run: Run) -> str:
        return run.created_by

    @display(description="When")
    def when(self, run: Run) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": run.created_at})
