"""Facts of entities: what is known, by whom, since when; added, corrected, deleted by hand."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import orjson
from django.contrib import admin, messages
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display

from catalog.admin.actors import actor_for
from catalog.admin.filters import ChoiceFilter, ExactTextFilter, KindFilter
from catalog.forms.fact import FactForm
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, NotFound, shorten
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Change, Fact
from catalog.services.facts import FactDraft, delete_fact, put_facts

_LIST: Final = "admin:catalog_fact_changelist"
_FORM: Final = "admin/catalog/fact/form.html"


class OfKindFilter(KindFilter):
    path = "entity__blueprint__identifier"


class OfEntityFilter(TextFilter):
    title = "identifier of the entity"
    parameter_name = "entity"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        text = (self.value() or "").strip()
        return queryset.filter(entity__identifier=text) if text else queryset


class KeyFilter(ExactTextFilter):
    title = "key"
    parameter_name = "key"


class OriginFilter(ChoiceFilter):
    title = "origin"
    parameter_name = "origin"
    options = ("API", "YAML", "INTEGRATION")


@admin.register(Fact)
class FactAdmin(IdpModelAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["key", "of", "said", "origin", "collected"]
    list_filter = [KeyFilter, OfKindFilter, OfEntityFilter, OriginFilter]
    list_select_related = ["entity__blueprint"]
    change_list_template = "admin/catalog/fact/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        unneeded = ("properties", "relations", "computed", "descriptor", "search", "label")
        return super().get_queryset(request).defer(*(f"entity__{name}" for name in unneeded))

    @display(description="Entity")
    def of(self, fact: Fact) -> str:
        return render_to_string("admin/cells/entity.html", {"entity": fact.entity, "linked": True})

    @display(description="Value")
    def said(self, fact: Fact) -> str:
        return shorten(orjson.dumps(fact.value).decode(), 80)

    @display(description="Collected")
    def collected(self, fact: Fact) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": fact.collected_at})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        given = {name: request.GET[name] for name in ("blueprint", "entity") if name in request.GET}
        form = FactForm(request.POST or None, initial=given)
        if request.method == "POST" and form.is_valid() and self._put(request, form, {}):
            return HttpResponseRedirect(reverse(_LIST))
        return self.page(request, _FORM, {"title": "Add a fact", "form": form})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        fact = self.load(request, object_id)
        form = FactForm(request.POST or None, fact=fact)
        if request.method == "POST" and form.is_valid() and self._put(request, form, _name(fact)):
            return HttpResponseRedirect(request.path)
        title = f"{fact.key} of {fact.entity}"
        return self.page(
            request, _FORM, {"title": title, "form": form, "fact": fact}, original=fact
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        fact = self.load(request, object_id)
        if request.method == "POST":
            try:
                delete_fact(**_name(fact), actor=actor_for(request))
            except NotFound:
                messages.warning(request, f"{fact.key} was gone already.")
            else:
                messages.success(request, f"{fact.key} of {fact.entity} was deleted.")
            return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request,
            "admin/catalog/fact/delete.html",
            {"title": f"Delete {fact.key}", "fact": fact},
            original=fact,
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The change feed knows facts by their entity."""
        fact = self.load(request, object_id)
        query = urlencode({"model": Change.FACT, "object": fact.entity_id})
        return HttpResponseRedirect(f"{reverse('admin:catalog_change_changelist')}?{query}")

    def _put(self, request: HttpRequest, form: FactForm, name: dict[str, str]) -> bool:
        """Whether it was written; else the form says why not."""
        draft = FactDraft(**{**form.cleaned_data, **name})
        try:
            [result] = put_facts([draft], actor=actor_for(request))
            if result.error:
                raise result.error
        except IdpError as error:
            form.refuse(error)
            return False
        messages.success(request, f"{draft.key} of {draft.entity} was saved.")
        return True


def _name(fact: Fact) -> dict[str, str]:
    return {
        "blueprint": fact.entity.blueprint.identifier,
        "entity": fact.entity.identifier,
        "key": fact.key,
    }
