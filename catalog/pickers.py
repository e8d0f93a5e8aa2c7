"""What the pickers of our forms ask while somebody types; for everybody who is logged in."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from catalog.selectors.pick import find_choices

MAX_TEXT = 200


@never_cache
@require_GET
def entity_choices(request: HttpRequest) -> JsonResponse:
    """`?q=` some letters, `?kind=` a blueprint (none: all, with refs as values)."""
    if not request.user.is_authenticated:
        return JsonResponse({"results": []}, status=401)
    kind = request.GET.get("kind") or None
    text = request.GET.get("q", "").replace("\x00", "")[:MAX_TEXT]
    choices = find_choices(request.user, text, blueprint=kind)
    as_refs = "refs" in request.GET
    return JsonResponse(
        {
            "results": [
                {
                    "value": one.ref if as_refs else one.identifier,
                    "label": one.title,
                    "hint": one.identifier if one.identifier != one.title else "",
                    "kind": one.kind if as_refs else "",
                }
                for one in choices
            ]
        }
    )


urlpatterns = [path("entities/", entity_choices, name="pick-entities")]
