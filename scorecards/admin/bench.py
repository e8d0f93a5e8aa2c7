"""What the builder asks on the way: who would pass, how one entity would do, the same in YAML."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from catalog.admin.actors import principal_of
from catalog.forms.widgets import EntityPicker
from catalog.kernel.actors import Principal
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError, InvalidInput, NotFound
from catalog.kernel.identifiers import is_storable
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Blueprint, Entity
from scorecards import formats
from scorecards.admin.builder import CORTEX, NATIVE, read_document
from scorecards.admin.what_if import told_of, what_if
from scorecards.models import Scorecard
from scorecards.portal.entity_tab import sources_of
from scorecards.selectors.results import Explained
from scorecards.services import drafting
from scorecards.services.drafting import Draft, Problem, read_draft
from scorecards.services.trying import explain_draft

_PAGES: Final = "admin/scorecards/scorecard/"


class BenchPages(IdpModelAdmin):
    """What the admin of scorecards has of this."""

    def bench_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        asked = {"preview": self.preview_view, "try": self.try_view, "text": self.text_view}
        return [
            path(f"{name}/", view(require_POST(one)), name=f"scorecards_scorecard_{name}")
            for name, one in asked.items()
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Who would pass which rule of the scorecard in the builder. Changes nothing."""
        context: dict[str, Any] = {}
        told: dict[str, Any] = {"problems": [], "remarks": [], "rules": {}}
        try:
            draft, stored = self._draft(request)
            shown = what_if(draft, stored, principal_of(request))
            context["shown"] = shown
            told = {
                "problems": [_told(one) for one in draft.problems],
                "remarks": [one.as_dict() for one in draft.remarks],
                "rules": told_of(shown),
            }
        except IdpError as error:
            context["error"] = error
            if isinstance(error, InvalidInput):
                told["problems"] = [_told(one) for one in drafting.problems_of(error)]
        context["told"] = told
        return TemplateResponse(request, f"{_PAGES}preview.html", context)

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """How one entity would do, with other values perhaps. Changes nothing."""
        context: dict[str, Any] = {}
        try:
            draft, stored = self._draft(request)
            entity = _sample(request.POST.get("sample", ""), draft, principal_of(request))
            if entity is not None:
                found = explain_draft(
                    draft,
                    entity,
                    stored=stored,
                    properties=_edits(request, "properties"),
                    facts=_edits(request, "facts"),
                )
                context["entity"], context["explained"] = entity, found
                context["views"] = rule_views(found) if found else []
        except IdpError as error:
            context["error"] = error
        return TemplateResponse(request, f"{_PAGES}tried.html", context)

    def text_view(self, request: HttpRequest) -> HttpResponse:
        """The JSON of the builder as Cortex YAML (`to=yaml`), or such YAML as JSON (`to=json`)."""
        text = request.POST.get("text", "")
        try:
            if request.POST.get("to") == "json":
                return JsonResponse({"text": write_json(formats.cortex.load(text, "YAML").value)})
            return JsonResponse({"text": self._as_yaml(request, text)})
        except ValidationError as error:
            return JsonResponse({"error": " ".join(error.messages)})
        except IdpError as error:
            return JsonResponse({"error": str(error)})

    def _as_yaml(self, request: HttpRequest, text: str) -> str:
        document = read_document(text)
        if request.POST.get("dialect") == CORTEX:
            return formats.descriptor_of(Scorecard(dialect=CORTEX, document=document))
        draft = read_draft(document, NATIVE, stored=self._stored(request))
        blueprint = draft.definition.blueprint
        about = Blueprint.objects.filter(identifier=blueprint).first() if blueprint else None
        written = Scorecard(
            identifier=draft.definition.identifier,
            document=draft.document,
            blueprint=about,
            state=draft.definition.state,
        )
        return formats.descriptor_of(written)

    def _draft(self, request: HttpRequest) -> tuple[Draft, Scorecard | None]:
        """What stands in the builder, and what is stored. Raises IdpError."""
        stored = self._stored(request)
        dialect = CORTEX if request.POST.get("dialect") == CORTEX else NATIVE
        try:
            document = read_document(request.POST.get("document", ""))
        except ValidationError as error:
            raise InvalidInput(" ".join(error.messages)) from None
        return read_draft(document, dialect, stored=stored), stored

    def _stored(self, request: HttpRequest) -> Scorecard | None:
        pk = request.POST.get("scorecard", "")
        return self.load(request, pk) if pk else None


def rule_views(found: Explained) -> list[dict[str, Any]]:
    """Its rules, as the portal's template shows them."""
    return [{"rule": rule, "sources": sources_of(rule)} for rule in found.rules]


def sample_picker(scorecard: Scorecard | None) -> str:
    """The input that chooses the entity to try on: of its blueprint, or of any kind."""
    own = scorecard.blueprint if scorecard else None
    query = {"kind": own.identifier} if own else {"refs": ""}
    url = f"{reverse('pick-entities')}?{urlencode(query)}"
    return EntityPicker(url=url, is_free=True).render("sample", None, {"id": "id_sample"})


def _sample(text: str, draft: Draft, principal: Principal) -> Entity | None:
    """The entity that was chosen; the first that the scorecard could be about, without one.

    text: an identifier; "kind:identifier" for a scorecard of several. Raises NotFound.
    """
    entities = Entity.objects.visible_to(principal).select_related("blueprint")
    own = draft.definition.blueprint
    if not text:
        found = entities.filter(blueprint__identifier=own) if own else entities
        return found.filter(blueprint__is_system=False).order_by("identifier").first()
    kind, has_kind, identifier = text.partition(":") if not own else (own, ":", text)
    if not has_kind or not is_storable(text):
        raise NotFound.of("Entity", text, field="kind and identifier")
    one = entities.filter(blueprint__identifier=kind, identifier=identifier).first()
    if one is None:
        raise NotFound.of("Entity", text)
    return one


def _edits(request: HttpRequest, name: str) -> dict[str, Any]:
    text = request.POST.get(name, "")
    if not text.strip():
        return {}
    value = read_json(text)
    if not isinstance(value, dict):
        raise InvalidInput(f"The {name} are no JSON object: {{…}}")
    return value


def _told(problem: Problem) -> dict[str, str]:
    message = f"{problem.message} {problem.hint}".strip()
    return {"field": problem.field, "value": problem.value, "message": message}
