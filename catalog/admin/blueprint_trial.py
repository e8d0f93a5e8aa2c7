"""The builder's bench for computed properties: where paths may lead, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from catalog.forms.widgets import EntityPicker
from catalog.kernel.actors import Principal
from catalog.kernel.errors import IdpError, InvalidInput, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Blueprint, Entity
from catalog.selectors.kinds import load_kinds
from catalog.services.blueprints import Tried, try_definitions

MAX_SHOWN: Final = 2000  # characters of a value


def places() -> list[dict[str, Any]]:
    """All blueprints, by title, with what a path may go through there and end in:
    {"identifier", "title", "relations": [{"name", "title", "target"}],
    "properties": [{"name", "title", "type", "format"}]}; target None is any kind.
    """
    return [
        {
            "identifier": kind.identifier,
            "title": kind.title,
            "relations": [
                {"name": link.identifier, "title": link.title, "target": link.target}
                for link in kind.links.values()
            ],
            "properties": [
                {
                    "name": name,
                    "title": one.get("title") or name,
                    "type": "number" if name in kind.aggregations else one.get("type"),
                    "format": one.get("format"),
                }
                for name, one in {**kind.properties, **kind.computed}.items()
            ],
        }
        for kind in sorted(load_kinds(), key=lambda kind: kind.title.lower())
    ]


def sample_picker(blueprint: Blueprint) -> SafeString:
    """The input that chooses the entity to try on."""
    url = f"{reverse('pick-entities')}?{urlencode({'kind': blueprint.identifier})}"
    picker = EntityPicker(url=url, is_free=True)
    return picker.render("sample", None, {"id": "id_sample"})


def trial_of(
    post: QueryDict, blueprint: Blueprint | None, *, principal: Principal
) -> dict[str, Any]:
    """The context of the answer to a try. blueprint: what the document in `post` is to replace;
    None when it is new, and has no entities."""
    sample: Entity | None = None
    try:
        document = read_json(post.get("document", ""))
        if not isinstance(document, dict):
            raise InvalidInput("A blueprint is a JSON object: {…}")
        sample = _sample(post.get("sample", ""), blueprint, principal)
        trial = try_definitions(
            document,
            stored=blueprint.identifier if blueprint else None,
            entity=sample.pk if sample else None,
        )
    except IdpError as error:
        return {"error": error, "sample": sample}
    results = {
        group: {name: _told(one, has_sample=trial.given is not None) for name, one in of.items()}
        for group, of in trial.results.items()
    }
    return {
        "sample": sample,
        "given": trial.given,
        "trial": {"sample": str(sample) if sample else "", "results": results},
    }


def _sample(identifier: str, blueprint: Blueprint | None, principal: Principal) -> Entity | None:
    """The entity that was chosen, or the first; None where there is none at all."""
    if blueprint is None:
        return None
    entities = Entity.objects.visible_to(principal).filter(blueprint=blueprint)
    if not identifier:
        return entities.order_by("identifier").first()
    found = entities.filter(identifier=identifier).first() if is_storable(identifier) else None
    if found is None:
        raise InvalidInput(
            f'{blueprint} has no entity "{shorten(identifier)}"',
            hint="Take it out to try on the first one.",
        )
    return found


def _told(one: Tried, *, has_sample: bool) -> Mapping[str, Any]:
    """As the rows of the builder show it. text: the value as JSON; "" where there is none."""
    text = "" if one.value is None else write_json(one.value)
    return {
        "schema": one.schema,
        "error": one.error,
        "remark": one.remark,
        "tried": has_sample,
        "text": text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} …",
    }
