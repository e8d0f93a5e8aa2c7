"""Runs, to look at: the list, and one with its attempts and all that is kept of it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from actions.admin.trying import readable
from actions.models import Action, Run
from actions.portal.run_page import MAX_DELIVERIES
from actions.portal.words import DELIVERIES, STATUSES
from actions.selectors.run_documents import run_document
from catalog.admin.filters import ChoiceFilter, ExactTextFilter, MomentFilter
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.json_text import write_json
from catalog.kernel.keyset import Key, Keyset

_COLOURS: Final = {
    "SUCCESS": "success",
    "FAILURE": "danger",
    "DECLINED": "danger",
    "TIMED_OUT": "danger",
    "IN_PROGRESS": "info",
    "WAITING_FOR_APPROVAL": "warning",
    "CANCELLED": "",
}


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    options = tuple(Run.Status.values)


class SourceFilter(DropdownFilter):
    title = "started by"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("UI", "People"), ("API", "The API"), ("AUTOMATION", "Automations")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(source=self.value()) if self.value() else queryset


class ActionFilter(DropdownFilter):
    """By one that still is."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = [(str(one.pk), one.title) for one in Action.objects.all()]
        return sorted(found, key=lambda pair: pair[1].lower())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        known = value.isascii() and value.isdigit() and len(value) < 19
        return queryset.filter(action=int(value)) if known else queryset


class StarterFilter(ExactTextFilter):
    title = "who started it"
    parameter_name = "created_by"


class TimeFilter(MomentFilter):
    title = "time"
    parameter_name = "created_at"


class TestFilter(DropdownFilter):
    title = "tests"
    parameter_name = "test"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Without tests"), ("yes", "Tests alone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(is_test=self.value() == "yes")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["identifier", "of", "state", "who", "when", "outcome"]
    list_filter = [
        StatusFilter,
        ActionFilter,
        SourceFilter,
        TestFilter,
        StarterFilter,
        TimeFilter,
    ]
    search_fields = ["identifier", "external_run_id"]
    search_help_text = "Part of an id"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return Run.objects.order_by()

    @display(description="Action")
    def of(self, run: Run) -> str:
        return render_to_string("admin/actions/run/about.html", {"run": run})

    @display(description="Status", label=_COLOURS)
    def state(self, run: Run) -> str:
        return run.status

    @display(description="Started by")
    def who(self, run: Run) -> str:
        return run.created_by

    @display(description="When")
    def when(self, run: Run) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": run.created_at})

    @display(description="Outcome")
    def outcome(self, run: Run) -> str:
        text = run.summary or ""
        return text if len(text) <= 160 else f"{text[:160]}…"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What was sent and answered, and the run as it is kept; secrets are masked there."""
        run: Run = self.load(request, object_id)
        found = run.deliveries.order_by("-pk")[:MAX_DELIVERIES]
        return self.page(
            request,
            "admin/actions/run/run.html",
            {
                "title": f"Run {run.identifier}",
                "run": run,
                "badge": STATUSES[Run.Status(run.status)],
                "deliveries": [
                    {
                        "one": one,
                        "tone": DELIVERIES[one.state].tone,
                        "request": readable(one.request_body),
                        "response": readable(one.response_body),
                    }
                    for one in found
                ],
                "facts": _facts(run),
                "document": write_json(run_document(run)),
            },
            original=run,
        )


def _facts(run: Run) -> list[tuple[str, Any]]:
    """What the document does not tell: how the work is being done. Moments are UTC."""
    facts = [
        ("Attempts", run.attempts),
        ("Version of the action", run.version),
        ("Done by", run.installation),
        ("Idempotency key", run.idempotency_key),
        ("Runs behind it", run.depth),
        ("Test", "nothing is called" if run.is_test else ""),
        ("Due", run.due_at),
        ("A worker has it until", run.leased_until),
        ("An agent has it until", run.claimed_until),
        ("Given up at", run.expires_at),
    ]
    return [(name, value) for name, value in facts if value]
