"""Pages as clients describe them, to look at."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from catalog.kernel.admin import ReadOnlyAdmin
from catalog.models import Page


@admin.register(Page)
class PageAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "identifier", "kind", "widgets", "updated_by", "updated_at"]
    search_fields = ["identifier"]
    ordering = ["identifier"]

    @display(description="Type")
    def kind(self, page: Page) -> str:
        return str(page.document.get("type") or "")

    @display(description="Widgets")
    def widgets(self, page: Page) -> int:
        return len(page.document.get("widgets") or [])
