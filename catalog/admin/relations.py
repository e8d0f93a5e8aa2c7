"""Relations: every edge of the catalogue, and those that lead nowhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from catalog.admin.filters import ExactTextFilter, SourceKindFilter
from catalog.kernel.admin import ReadOnlyAdmin
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Relation


class DanglingFilter(DropdownFilter):
    title = "target"
    parameter_name = "dangling"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Missing from the catalogue"), ("no", "In the catalogue")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(target__isnull=self.value() == "yes")
        return queryset


class TargetFilter(ExactTextFilter):
    title = "identifier of the target"
    parameter_name = "target_identifier"


class NameFilter(ExactTextFilter):
    title = "relation"
    parameter_name = "definition__identifier"


@admin.register(Relation)
class RelationAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())])
    list_display = ["from_", "relation", "to"]
    list_display_links = ["from_"]
    list_filter = [DanglingFilter, SourceKindFilter, NameFilter, TargetFilter]
    list_select_related = ["source__blueprint", "definition", "target__blueprint"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        unneeded = ("properties", "relations", "computed", "descriptor", "search", "label")
        return (
            super()
            .get_queryset(request)
            .defer(*(f"{end}__{name}" for end in ("source", "target") for name in unneeded))
        )

    @display(description="From")
    def from_(self, relation: Relation) -> str:
        return render_to_string("admin/cells/entity.html", {"entity": relation.source})

    @display(description="Relation")
    def relation(self, relation: Relation) -> str:
        return relation.definition.title or relation.definition.identifier

    @display(description="To")
    def to(self, relation: Relation) -> str:
        if relation.target is None:
            return render_to_string("admin/cells/missing.html", {"relation": relation})
        return render_to_string(
            "admin/cells/entity.html", {"entity": relation.target, "linked": True}
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """An edge is edited where it begins."""
        relation = self.load(request, object_id)
        return HttpResponseRedirect(
            reverse("admin:catalog_entity_change", args=[relation.source_id])
        )
