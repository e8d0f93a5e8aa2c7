"""What stands beside the tab "Definition": the source as a file, and the frame of its reference."""

from __future__ import annotations

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from catalog.kernel.api_outline import format_of, read_outline
from catalog.models import Entity
from catalog.portal.api_definitions import MAX_REFERENCE_BYTES, file_name, reference_document
from catalog.portal.shell import PortalRequest, portal_view
from catalog.portal.values import read_number
from catalog.selectors import entity_page
from catalog.selectors.api_definitions import Definition, definition_of, version_texts, versions_of
from catalog.selectors.kinds import load_kinds

# What draws a definition runs in a page of its own that has no origin, no cookies and no network:
# whatever is in the definition can do nothing but look odd.
_POLICY = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF, "data:"],
    "connect-src": [NONE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-scripts", "allow-popups", "allow-popups-to-escape-sandbox"],
}


@portal_view
@require_GET
def raw(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponse:
    """The definition as a file; `version`: one of its earlier versions."""
    entity, definition = _definition(request, blueprint, identifier)
    text = definition.text
    asked = request.GET.get("version", "")
    if asked:
        versions = versions_of(entity, definition.name)
        number = read_number(asked) or 0
        text = version_texts(entity, definition.name, versions, [number]).get(number, "")
        if not text:
            raise Http404(f"There is no version {asked[:20]} of this definition.")
    name = file_name(entity, text, format_of(text, definition.declared))
    return HttpResponse(
        text,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@portal_view
@require_GET
@xframe_options_sameorigin
@csp_replace(_POLICY)
def reference(request: PortalRequest, blueprint: str, identifier: str) -> HttpResponse:
    """The page of the frame that Swagger UI draws into; `item`: of one operation alone."""
    _, definition = _definition(request, blueprint, identifier)
    item = read_number(request.GET.get("item", ""))
    document = reference_document(read_outline(definition.text, definition.declared), item)
    if document is None:
        raise Http404("This definition cannot be drawn.")
    is_too_large = len(definition.text) > MAX_REFERENCE_BYTES and item is None
    return render(
        request,
        "catalog/entity/definition_reference.html",
        {
            "document": None if is_too_large else document,
            "is_too_large": is_too_large,
            "is_one": item is not None,
        },
    )


def _definition(
    request: PortalRequest, blueprint: str, identifier: str
) -> tuple[Entity, Definition]:
    entity = entity_page.find_entity(request.user, blueprint, identifier)
    kind = load_kinds().get(blueprint)
    definition = entity and kind and definition_of(kind, entity.properties)
    if not entity or not definition:
        raise Http404(f"{blueprint}:{identifier} has no definition of an API.")
    return entity, definition
