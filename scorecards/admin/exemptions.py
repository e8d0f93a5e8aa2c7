"""Exemptions of all scorecards, to look at; they are decided on in the portal."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from unfold.decorators import display

from catalog.admin.filters import ChoiceFilter, ExactTextFilter
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.keyset import Key, Keyset
from scorecards.models import Exemption

_COLOURS: Final = {
    Exemption.Status.PENDING.label: "warning",
    Exemption.Status.APPROVED.label: "success",
    Exemption.Status.DENIED.label: "danger",
}


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    options = tuple(Exemption.Status.values)


class EntityFilter(ExactTextFilter):
    title = "entity"
    parameter_name = "identifier"


class AskerFilter(ExactTextFilter):
    title = "who asked"
    parameter_name = "requested_by"


@admin.register(Exemption)
class ExemptionAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["entity", "rule_of", "state", "asked", "decided", "ends", "why"]
    list_filter = [StatusFilter, EntityFilter, AskerFilter]
    list_select_related = ["scorecard", "rule"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Exemption]:
        return Exemption.objects.order_by()

    @display(description="Entity")
    def entity(self, exemption: Exemption) -> str:
        return f"{exemption.blueprint}:{exemption.identifier}"

    @display(description="Rule")
    def rule_of(self, exemption: Exemption) -> str:
        return f"{exemption.rule} ({exemption.scorecard})"

    @display(description="Status", label=_COLOURS)
    def state(self, exemption: Exemption) -> str:
        return str(exemption.get_status_display())

    @display(description="Asked for")
    def asked(self, exemption: Exemption) -> str:
        return f"{exemption.requested_by}, {exemption.requested_at:%Y-%m-%d}"

    @display(description="Decided on")
    def decided(self, exemption: Exemption) -> str:
        if exemption.decided_at is None:
            return "–"
        return f"{exemption.decided_by}, {exemption.decided_at:%Y-%m-%d}"

    @display(description="Ends")
    def ends(self, exemption: Exemption) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": exemption.ends_at})

    @display(description="Reason")
    def why(self, exemption: Exemption) -> str:
        text = exemption.reason
        return text if len(text) <= 120 else f"{text[:120]}…"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """All of them of its scorecard, in the portal."""
        found: Exemption = self.load(request, object_id)
        query = urlencode({"show": "all", "scorecard": str(found.scorecard_id)})
        return HttpResponseRedirect(f"{reverse('scorecards:exemptions')}?{query}")
