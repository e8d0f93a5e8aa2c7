"""Initiatives of all scorecards, to look at; they are made and changed in the portal."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import display

from catalog.admin.filters import ChoiceFilter
from catalog.kernel.admin import ReadOnlyAdmin
from scorecards.models import Initiative

_COLOURS: Final = {
    Initiative.State.RUNNING.label: "info",
    Initiative.State.ENDED.label: "success",
}


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = tuple(Initiative.State.values)


@admin.register(Initiative)
class InitiativeAdmin(ReadOnlyAdmin):
    list_display = ["title", "scorecard", "state_of", "starts_on", "target_on", "owner"]
    list_filter = [StateFilter]
    list_select_related = ["scorecard"]
    search_fields = ["title", "identifier"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Initiative]:
        return Initiative.objects.order_by("-target_on", "pk")

    @display(description="State", label=_COLOURS)
    def state_of(self, initiative: Initiative) -> str:
        return str(initiative.get_state_display())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Its page in the portal."""
        found: Initiative = self.load(request, object_id)
        return HttpResponseRedirect(reverse("scorecards:initiative", args=[found.identifier]))
