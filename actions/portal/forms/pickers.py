"""Where the pickers of a form search: what may be picked, and no more, whoever asks.

What is to be searched comes signed from the form, with the dataset worked out. Permission is in
the query: a form that somebody else was shown finds what its reader may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.signing import BadSignature, Signer
from django.db.models import F
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from actions.inputs import Field, Pick
from actions.inputs.picks import query_for
from actions.inputs.refs import find_refs
from catalog.kernel.actors import Principal
from catalog.kernel.errors import IdpError
from catalog.models import TEAM, USER, Entity, EntityQuerySet, name_in_order
from catalog.selectors.pick import LIMIT, matching
from catalog.selectors.search import search
from catalog.selectors.search.scope import COLUMNS

MAX_TEXT: Final = 200
MAX_TOKEN: Final = 6000  # of a URL, which servers cut off at 8,190

_signer = Signer(salt="actions.pick")
_MOMENTS: Final = {"$createdAt": "created_at", "$updatedAt": "updated_at"}


def url_for(field: Field, dataset: Mapping[str, Any] | None) -> str:
    """Where the picker of a question searches; "" where there is too much to search by."""
    pick = field.one.pick
    if pick is None:
        return ""
    asked: dict[str, Any] = {"kind": pick.kind}
    if pick.kind == "entity":
        asked |= {"blueprint": pick.blueprint, "dataset": dataset, "sort": field.one.sort}
    elif pick.kind == "ref":
        asked |= {
            "filters": list(pick.filters),
            "owned": pick.is_owned,
            "mine": pick.is_mine,
        }
    token = _signer.sign_object(asked, compress=True)
    return f"{reverse('actions:pick')}?of={token}" if len(token) <= MAX_TOKEN else ""


@never_cache
@require_GET
def pick(request: HttpRequest) -> JsonResponse:
    """`?of=` what `url_for` signed, `?q=` some letters."""
    if not request.user.is_authenticated:
        return JsonResponse({"results": []}, status=401)
    text = request.GET.get("q", "").replace("\x00", "")[:MAX_TEXT]
    try:
        asked = _signer.unsign_object(request.GET.get("of", ""))
    except (BadSignature, ValueError):
        return JsonResponse({"results": []}, status=400)
    try:
        results = _found(asked, request.user, text)
    except IdpError as error:  # a dataset that a change of the catalogue has made wrong
        return JsonResponse({"results": [], "error": error.message}, status=error.status)
    return JsonResponse({"results": results})


def _found(asked: Mapping[str, Any], principal: Principal, text: str) -> list[dict[str, str]]:
    if asked["kind"] == "ref":
        of = Pick(
            "ref",
            filters=tuple(asked["filters"]),
            is_owned=asked["owned"],
            is_mine=asked["mine"],
        )
        return [
            {"value": one.value, "label": one.title, "hint": one.value, "kind": one.kind}
            for one in find_refs(of, principal, text)
        ]
    if asked["kind"] == "entity":
        query = query_for(asked["blueprint"], asked["dataset"])
        entities = _ordered(search(query, principal=principal), asked["sort"])
    else:
        kind = USER if asked["kind"] == "user" else TEAM
        entities = Entity.objects.visible_to(principal).filter(blueprint__identifier=kind)
        entities = entities.order_by("blueprint_id", name_in_order(), "pk")
    rows = matching(entities, text)[:LIMIT]
    return [_shown(one, asked["kind"]) for one in rows.only("identifier", "title", "properties")]


def _shown(entity: Entity, kind: str) -> dict[str, str]:
    value = entity.identifier
    if kind == "user":
        value = str(entity.properties.get("email") or value)
    label = entity.title or entity.identifier
    return {"value": value, "label": label, "hint": value if value != label else "", "kind": ""}


def _ordered(entities: EntityQuerySet, sort: Mapping[str, str] | None) -> EntityQuerySet:
    by = str((sort or {}).get("property") or "")
    if not by:
        return entities.order_by("blueprint_id", name_in_order(), "pk")
    name = COLUMNS.get(by) or _MOMENTS.get(by) or f"properties__{by}"
    is_down = (sort or {}).get("order") == "DESC"
    key = F(name).desc(nulls_last=True) if is_down else F(name).asc(nulls_last=True)
    return entities.order_by(key, "pk")
