"""Blueprints: a list of all kinds, and the builder that shapes one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Func, IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.decorators import display

from catalog.admin.actors import actor_for, principal_of
from catalog.admin.blueprint_trial import places, sample_picker, trial_of
from catalog.admin.property_types import COLOURS, LIMITS, builder_types
from catalog.forms import BlueprintForm, entity_form_class
from catalog.forms.widgets import EntityPicker
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, InvalidRequest
from catalog.kernel.json_text import read_json
from catalog.models import Blueprint, Entity
from catalog.selectors.catalogue import KIND_COUNT_CAP
from catalog.services import blueprints
from catalog.services.blueprint_spec import parse

_RENAMERS = {
    "property": blueprints.rename_property,
    "relation": blueprints.rename_relation,
    "mirror": blueprints.rename_mirror,
}


@admin.register(Blueprint)
class BlueprintAdmin(IdpModelAdmin):
    list_display = ["name", "identifier", "entity_count", "shape", "changed"]
    search_fields = ["identifier", "title"]
    ordering = ["title"]
    feed_model = "blueprint"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        entities = Entity.objects.filter(blueprint=OuterRef("pk")).order_by().values("pk")
        count = Func(
            Subquery(entities[: KIND_COUNT_CAP + 1]),
            template="(SELECT count(*) FROM %(expressions)s AS capped)",
            output_field=IntegerField(),
        )
        return (
            super()
            .get_queryset(request)
            .annotate(entity_total=count)
            .prefetch_related("relation_definitions__target")
        )

    @display(description="Blueprint", ordering="title")
    def name(self, blueprint: Blueprint) -> str:
        return render_to_string("admin/cells/blueprint.html", {"blueprint": blueprint})

    @display(description="Entities", ordering="entity_total")
    def entity_count(self, blueprint: Any) -> str:
        return render_to_string(
            "admin/cells/entity_count.html", {"blueprint": blueprint, "cap": KIND_COUNT_CAP}
        )

    @display(description="Shape")
    def shape(self, blueprint: Blueprint) -> str:
        properties, relations = len(blueprint.properties), len(blueprint.relation_definitions.all())
        return (
            f"{properties} {'property' if properties == 1 else 'properties'}, "
            f"{relations} relation{'' if relations == 1 else 's'}"
        )

    @display(description="Changed", ordering="updated_at")
    def changed(self, blueprint: Blueprint) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": blueprint.updated_at})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "preview/",
                view(require_POST(self.preview_view)),
                name="catalog_blueprint_preview",
            ),
            path("try/", view(require_POST(self.try_view)), name="catalog_blueprint_try"),
            path(
                "<path:object_id>/rename/",
                view(self.rename_view),
                name="catalog_blueprint_rename",
            ),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._builder(request, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._builder(request, self.load(request, object_id))

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The entity form that the blueprint in the builder would make. Changes nothing."""
        context: dict[str, Any] = {}
        try:
            spec = parse(read_json(request.POST.get("document", "")))
            context["form"] = entity_form_class(spec, principal_of(request))()
        except IdpError as error:
            context["error"] = error
        return TemplateResponse(request, "admin/catalog/blueprint/preview.html", context)

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """What the computed properties in the builder give for an entity: `?blueprint=` pk of the
        stored blueprint, `sample` its entity (none: its first one). Changes nothing."""
        pk = request.GET.get("blueprint", "")
        blueprint = self.load(request, pk) if pk else None
        return TemplateResponse(
            request,
            "admin/catalog/blueprint/trial.html",
            trial_of(request.POST, blueprint, principal=principal_of(request)),
        )

    def rename_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Rename the blueprint, or one of its parts: `?part=property&name=tier`."""
        blueprint = self.load(request, object_id)
        part, old = request.GET.get("part", ""), request.GET.get("name", "")
        is_whole = not part
        new = request.POST.get("identifier", blueprint.identifier if is_whole else old).strip()
        error: IdpError | None = None
        if part and part not in _RENAMERS:
            error = InvalidRequest(f'"{part}" is not one of {", ".join(_RENAMERS)}')
        elif request.method == "POST":
            try:
                self._rename(blueprint.identifier, part, old, new, request)
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'"{old or blueprint.identifier}" is now "{new}".')
                return HttpResponseRedirect(self._url(blueprint))
        return self.page(
            request,
            "admin/rename.html",
            {
                "title": f"Rename {old or blueprint.title}",
                "what": f'{part or "blueprint"} "{old or blueprint.identifier}"',
                "explanation": (
                    "Its entities follow, and so do the relations that lead to them. Programs that "
                    "write it under the old name have to be told."
                    if is_whole
                    else "The values of all entities move with it. Programs that write it under "
                    "the old name have to be told."
                ),
                "new": new,
                "error": error,
                "back": self._url(blueprint),
            },
            original=blueprint,
            status=error.status if error else 200,
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        blueprint = self.load(request, object_id)
        error: IdpError | None = None
        if request.method == "POST":
            try:
                self._delete(blueprint, "with_entities" in request.POST, request)
            except IdpError as refusal:
                error = refusal
            else:
                messages.success(request, f'Blueprint "{blueprint.identifier}" was deleted.')
                return HttpResponseRedirect(reverse("admin:catalog_blueprint_changelist"))
        pointing = blueprint.incoming_definitions.exclude(blueprint=blueprint)
        return self.page(
            request,
            "admin/catalog/blueprint/delete.html",
            {
                "title": f"Delete {blueprint}",
                "blueprint": blueprint,
                "cap": KIND_COUNT_CAP,
                "pointing": pointing.select_related("blueprint"),
                "error": error,
            },
            original=blueprint,
            status=error.status if error else 200,
        )

    def _builder(self, request: HttpRequest, blueprint: Blueprint | None) -> HttpResponse:
        form = BlueprintForm(request.POST or None, blueprint=blueprint)
        if request.method == "POST" and form.is_valid():
            saved = form.save(actor=actor_for(request))
            if saved is not None:
                messages.success(request, f'Blueprint "{saved.identifier}" was saved.')
                if "_continue" in request.POST:
                    return HttpResponseRedirect(self._url(saved))
                return HttpResponseRedirect(reverse("admin:catalog_blueprint_changelist"))
        return self.page(
            request,
            "admin/catalog/blueprint/builder.html",
            {
                "title": blueprint.title if blueprint else "Add a blueprint",
                "blueprint": blueprint,
                "form": form,
                "media": self.media + EntityPicker(url="").media,
                "sample_picker": sample_picker(blueprint) if blueprint else "",
                "builder": {
                    "types": builder_types(),
                    "colours": COLOURS,
                    "limits": LIMITS,
                    "kinds": places(),
                    "stored": blueprint.identifier if blueprint else "",
                    "storedProperties": list(blueprint.properties) if blueprint else [],
                    "storedRelations": [d.identifier for d in blueprint.relation_definitions.all()]
                    if blueprint
                    else [],
                    "storedMirrors": list(blueprint.mirror_properties) if blueprint else [],
                    "renameUrl": reverse("admin:catalog_blueprint_rename", args=[blueprint.pk])
                    if blueprint
                    else "",
                    "problems": [
                        {"field": p.field, "value": p.value, "message": p.message}
                        for p in form.problems
                    ],
                },
            },
            original=blueprint,
        )

    def _rename(self, identifier: str, part: str, old: str, new: str, request: HttpRequest) -> None:
        if part:
            _RENAMERS[part](identifier, old, new, actor=actor_for(request))
        else:
            blueprints.patch_blueprint(identifier, {"identifier": new}, actor=actor_for(request))

    def _delete(self, blueprint: Blueprint, with_entities: bool, request: HttpRequest) -> None:
        if with_entities:
            blueprints.delete_all_entities(
                blueprint.identifier, actor=actor_for(request), delete_blueprint_too=True
            )
        else:
            blueprints.delete_blueprint(blueprint.identifier, actor=actor_for(request))

    def _url(self, blueprint: Blueprint) -> str:
        return reverse("admin:catalog_blueprint_change", args=[blueprint.pk])
