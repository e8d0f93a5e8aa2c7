"""Templates and people of the catalogue, as the scaffolder needs them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from catalog.dialects.backstage.annotations import with_added
from catalog.dialects.backstage.documents import ref_of_entity
from catalog.dialects.backstage.mapping import identifier_of
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.answers import entity_json
from catalog.dialects.backstage.refs import EntityRef
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import USER, Entity
from catalog.selectors.memberships import person_row
from catalog.selectors.teams import people

BLUEPRINT: Final = "template"


@dataclass(frozen=True, slots=True)
class Found:
    """A template of the catalogue. document: its descriptor, with the catalogue's annotations."""

    entity: Entity
    document: Mapping[str, Any]


def template_named(ref: EntityRef) -> Found:
    """Raises NotFound, InvalidInput for one that came without a descriptor."""
    identifier = identifier_of(ref)
    found = (
        Entity.objects.select_related("located")
        .filter(blueprint__identifier=BLUEPRINT, identifier=identifier)
        .first()
        if is_storable(identifier) and ref.kind.lower() == BLUEPRINT
        else None
    )
    if found is None:
        raise NotFound.of("Template", str(ref), field="reference")
    return Found(found, document_of(found))


def document_of(entity: Entity) -> Mapping[str, Any]:
    """The descriptor of a template as its file has it, whatever was changed in the catalogue since.

    Raises InvalidInput where there is none.
    """
    descriptor = entity.descriptor
    if not isinstance(descriptor, Mapping):
        raise InvalidInput(
            f"The template {entity.identifier} has no steps: it did not come from a descriptor",
            hint="Register its template.yaml.",
        )
    located = getattr(entity, "located", None)
    metadata = descriptor.get("metadata") or {}
    annotations = with_added(metadata.get("annotations"), located.annotations if located else {})
    return {**descriptor, "metadata": {**metadata, "annotations": annotations}}


def refs_of(emails: Collection[str]) -> dict[str, str]:
    """The references of people by their addresses, as `user_of` has them; one statement."""
    storable = [email for email in emails if email and is_storable(email)]
    found = {email.lower(): email for email in storable}
    # the oldest of several last, so that it stays
    for person in people(*storable).order_by("-pk").select_related("blueprint"):
        for name in (person.identifier, person_row(person).email):
            if name.lower() in found:
                found[name.lower()] = person.identifier
    return {email: ref_of_entity(USER, found[email.lower()]) for email in storable}


def user_of(email: str) -> dict[str, Any]:
    """{"ref", "entity"} of a person, as expressions see them; without the entity where the
    catalogue does not know them."""
    if not email or not is_storable(email):
        return {}
    pk = people(email).order_by("pk").values_list("pk", flat=True).first()
    if pk is not None:
        ensure_current()
    document = entity_json(pk) if pk is not None else None
    if document is None:
        return {"ref": ref_of_entity(USER, email)}
    entity = orjson.loads(document)
    metadata = entity["metadata"]
    ref = f"user:{metadata.get('namespace', 'default')}/{metadata['name']}".lower()
    return {"ref": ref, "entity": entity}
