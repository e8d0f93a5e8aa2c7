"""Scorecards: a list of all, and the builder that shapes one."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from catalog.kernel.admin import ReadOnlyAdmin
from scorecards.models import Scorecard
from scorecards.services.definitions import levels_of


@admin.register(Scorecard)
class ScorecardAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "identifier", "blueprint", "levels", "rules"]
    list_select_related = ["blueprint"]
    search_fields = ["identifier"]
    ordering = ["blueprint", "identifier"]

    @display(description="Levels")
    def levels(self, scorecard: Scorecard) -> str:
        return " › ".join(one["title"] for one in levels_of(scorecard.document))

    @display(description="Rules")
    def rules(self, scorecard: Scorecard) -> int:
        return len(scorecard.document["rules"])
