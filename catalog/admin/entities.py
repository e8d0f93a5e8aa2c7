"""Entities: a list over all kinds, and a form made from the schema of each."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import BigIntegerField, QuerySet, TextField
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from unfold.decorators import display

from catalog.admin.actors import actor_for, principal_of
from catalog.admin.filters import (
    PROPERTY_PARAMETER,
    KindFilter,
    OwnedFilter,
    TeamFilter,
    property_filters,
)
from catalog.forms import EntityForm, entity_form_class
from catalog.ingest.provenance import locks_of, origins_of
from catalog.kernel.admin import IdpModelAdmin, KeysetChangeList
from catalog.kernel.errors import HasDependents, IdpError
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Blueprint, Entity, EntityQuerySet, Relation, name_in_order
from catalog.selectors.dependents import dependents_of
from catalog.selectors.pick import matching
from catalog.services import entities

NEIGHBOURS = 25  # shown on an entity's page each way


class EntityChangeList(KeysetChangeList):
    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Filters by properties of another kind than the chosen one mean nothing."""
        known = {
            name
            for one in self.list_filter
            for name in (
                one.parameter_name,
                f"{one.parameter_name}_from",
                f"{one.parameter_name}_to",
            )
        }
        return {
            key: value
            for key, value in super().get_filters_params(params).items()
            if key in known or not key.startswith(PROPERTY_PARAMETER)
        }


@admin.register(Entity)
class EntityAdmin(IdpModelAdmin):
    # The columns of the index `entity_title`: pages at any depth cost the same.
    keyset = Keyset(
        [
            Key("blueprint", "blueprint_id", BigIntegerField()),
            Key("name", name_in_order(), TextField()),
            Key("pk", "pk", BigIntegerField()),
        ]
    )
    list_display = ["name", "kind", "teams", "changed", "written_by"]
    list_select_related = ["blueprint"]
    search_fields = ["label"]
    search_help_text = "Title or identifier"
    feed_model = "entity"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("search", "label", "descriptor")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[EntityChangeList]:
        return EntityChangeList

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        kind = request.GET.get(KindFilter.parameter_name)
        blueprint = Blueprint.objects.filter(identifier=kind).first() if kind else None
        return [
            KindFilter,
            TeamFilter,
            OwnedFilter,
            *(property_filters(blueprint) if blueprint else []),
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return matching(cast(EntityQuerySet, queryset), search_term), False

    @display(description="Entity")
    def name(self, entity: Entity) -> str:
        return render_to_string("admin/cells/entity.html", {"entity": entity})

    @display(description="Kind")
    def kind(self, entity: Entity) -> str:
        return entity.blueprint.title

    @display(description="Teams")
    def teams(self, entity: Entity) -> str:
        return ", ".join(entity.team)

    @display(description="Changed")
    def changed(self, entity: Entity) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": entity.updated_at})

    @display(description="Written by")
    def written_by(self, entity: Entity) -> str:
        return entity.updated_by

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/rename/", view(self.rename_view), name="catalog_entity_rename"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        kind = request.GET.get("kind")
        if not kind:
            return self._choose_kind(request)
        blueprint = get_object_or_404(Blueprint, identifier=kind)
        form_class = entity_form_class(blueprint, principal_of(request))
        initial = {key: value for key, value in request.GET.items() if key != "kind"}
        form = form_class(request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            item = form.save(actor=actor_for(request))
            if item:
                messages.success(request, f'{blueprint.title} "{item.identifier}" was created.')
                if "_addanother" in request.POST:
                    return HttpResponseRedirect(request.get_full_path())
                return self._after(request, item.pk, kind)
        return self._form_page(request, blueprint, form, f"Add {blueprint.title}")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        entity = self.load(request, object_id)
        blueprint = entity.blueprint
        form = entity_form_class(blueprint, principal_of(request))(
            request.POST or None, entity=entity, locks=locks_of(entity, origins_of(entity))
        )
        if request.method == "POST" and form.is_valid():
            item = form.save(actor=actor_for(request))
            if item:
                changed = "was saved" if item.status == "updated" else "is unchanged"
                messages.success(request, f'{blueprint.title} "{entity.identifier}" {changed}.')
                return self._after(request, entity.pk, blueprint.identifier)
        return self._form_page(request, blueprint, form, str(entity), entity)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        entity = self.load(request, object_id)
        key = (entity.blueprint.identifier, entity.identifier)
        error: IdpError | None = None
        if request.method == "POST":
            try:
                gone = entities.delete(
                    [key],
                    actor=actor_for(request),
                    delete_dependents="delete_dependents" in request.POST,
                )
            except HasDependents as refusal:
                error = refusal
            else:
                others = f" and {len(gone) - 1} that needed it" if len(gone) > 1 else ""
                messages.success(request, f'"{entity}"{others} deleted. The change log keeps it.')
                query = urlencode({"kind": key[0]})
                return HttpResponseRedirect(f"{reverse('admin:catalog_entity_changelist')}?{query}")
        dependents = dependents_of([entity.pk])
        incoming = entity.incoming.exclude(definition__required=True)
        return self.page(
            request,
            "admin/catalog/entity/delete.html",
            {
                "title": f"Delete {entity}",
                "entity": entity,
                "dependents": dependents[:NEIGHBOURS],
                "dependents_count": len(dependents),
                "loose": incoming.select_related("source__blueprint", "definition")[:NEIGHBOURS],
                "loose_count": incoming.count(),
                "error": error,
                "origins": [one for one in origins_of(entity) if one.gone is None],
            },
            original=entity,
            status=409 if error else 200,
        )

    def rename_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entity = self.load(request, object_id)
        new = request.POST.get("identifier", entity.identifier).strip()
        error: IdpError | None = None
        if request.method == "POST":
            try:
                entities.rename(
                    entity.blueprint.identifier, entity.identifier, new, actor=actor_for(request)
                )
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'"{entity.identifier}" is now "{new}".')
                return HttpResponseRedirect(
                    reverse("admin:catalog_entity_change", args=[entity.pk])
                )
        return self.page(
            request,
            "admin/rename.html",
            {
                "title": f"Rename {entity}",
                "what": f'{entity.blueprint.title} "{entity.identifier}"',
                "explanation": "Relations that lead to it follow. Links people have saved do not.",
                "new": new,
                "error": error,
                "back": reverse("admin:catalog_entity_change", args=[entity.pk]),
            },
            original=entity,
            status=error.status if error else 200,
        )

    def _choose_kind(self, request: HttpRequest) -> HttpResponse:
        kinds = Blueprint.objects.order_by(Lower("title"))
        return self.page(
            request,
            "admin/catalog/entity/choose_kind.html",
            {"title": "Add an entity", "kinds": kinds},
        )

    def _form_page(
        self,
        request: HttpRequest,
        blueprint: Blueprint,
        form: EntityForm,
        title: str,
        entity: Entity | None = None,
    ) -> HttpResponse:
        context = {
            "title": title,
            "blueprint": blueprint,
            "form": form,
            "entity": entity,
            "media": self.media + form.media,
        }
        if entity is not None:
            outgoing = Relation.objects.filter(source=entity).order_by("definition", "position")
            incoming = Relation.objects.filter(target=entity).order_by("pk")
            context |= {
                "outgoing": _capped(outgoing.select_related("definition", "target__blueprint")),
                "incoming": _capped(incoming.select_related("definition", "source__blueprint")),
            }
        return self.page(request, "admin/catalog/entity/form.html", context, original=entity)

    def _after(self, request: HttpRequest, pk: int | None, kind: str) -> HttpResponse:
        if "_continue" in request.POST:
            return HttpResponseRedirect(reverse("admin:catalog_entity_change", args=[pk]))
        query = urlencode({"kind": kind})
        return HttpResponseRedirect(f"{reverse('admin:catalog_entity_changelist')}?{query}")


def _capped(relations: QuerySet[Relation]) -> dict[str, Any]:
    rows = list(relations[: NEIGHBOURS + 1])
    return {"rows": rows[:NEIGHBOURS], "has_more": len(rows) > NEIGHBOURS}
