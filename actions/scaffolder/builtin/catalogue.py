"""`catalog:*`: writing a descriptor, registering one, reading entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from actions.scaffolder.registry import (
    FLAG,
    OBJECT,
    TEXT,
    TEXTS,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    outputs,
    titled,
)
from catalog.dialects.backstage.documents import ref_of_entity
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.answers import entities_json
from catalog.dialects.backstage.queries.selection import pks_by_ref
from catalog.dialects.backstage.refs import RefError, parse_ref
from catalog.ingest.locations import registering
from catalog.kernel.errors import InvalidInput, NotFound, PermissionDenied
from catalog.kernel.yaml_writer import write_yaml
from catalog.models import Entity, Location
from catalog.services import catalog_settings

SOURCE_TEMPLATE = "backstage.io/source-template"
_FILE = "catalog-info.yaml"


def _write(context: ActionContext) -> None:
    entity = dict(context.input["entity"])
    metadata = entity.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise InvalidInput.of("entity.metadata", metadata, "a map")
    if context.template:
        annotations = metadata.get("annotations") or {}
        entity["metadata"] = {
            **metadata,
            "annotations": {**annotations, SOURCE_TEMPLATE: context.template},
        }
    path = context.input.get("filePath", _FILE)
    context.log(f"Writing {path}")
    context.workspace.write(path, write_yaml(entity).encode())


def _register(context: ActionContext) -> Mapping[str, Any]:
    target = _descriptor_url(context.input)
    is_optional = context.input.get("optional", False)
    context.log(f"Registering {target} in the catalog")
    if catalog_settings.current().is_readonly:
        raise PermissionDenied("The settings of the catalogue close the registration of locations")
    presence = Location.Presence.OPTIONAL if is_optional else Location.Presence.REQUIRED
    location = registering.register(
        Location.Type.URL,
        target,
        actor=context.actor,
        presence=presence,
        on_conflict=registering.REFRESH,
        run="" if context.is_dry_run else context.run,
        is_vouched_for=False,
    )
    found = _entity_of(location)
    if found:
        return {"entityRef": found, "catalogInfoUrl": target}
    why = location.problem or "there is no entity in it"
    if not is_optional:
        raise InvalidInput(f"{target} was registered, but brought nothing: {why}")
    context.log(f"{target} brought nothing yet: {why}", level="WARNING")
    return {"catalogInfoUrl": target}


def _descriptor_url(given: Mapping[str, Any]) -> str:
    if url := given.get("catalogInfoUrl"):
        return str(url)
    if contents := given.get("repoContentsUrl"):
        path = given.get("catalogInfoPath") or f"/{_FILE}"
        return f"{contents.rstrip('/')}/{path.lstrip('/')}"
    raise InvalidInput("catalog:register needs catalogInfoUrl or repoContentsUrl")


def _entity_of(location: Location) -> str:
    """The reference of the entity that a location is about: a component, if it has one."""
    rows = (
        Entity.objects.filter(located__file__location=location)
        .exclude(blueprint__identifier="location")
        .order_by("pk")
        .values_list("blueprint__identifier", "identifier")
    )
    refs = [ref_of_entity(blueprint, identifier) for blueprint, identifier in rows]
    components = [ref for ref in refs if ref.startswith("component:")]
    return next(iter([*components, *refs]), "")


def _fetch(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    is_single = "entityRef" in given
    if is_single == ("entityRefs" in given):
        raise InvalidInput("catalog:fetch needs entityRef, or entityRefs")
    asked = [given["entityRef"]] if is_single else given["entityRefs"]
    refs = [_canonical(one, given) for one in asked]
    ensure_current()
    pks = pks_by_ref(context.principal, refs)
    documents = dict(zip(pks, entities_json(pks.values(), keeping_gone=True), strict=True))
    found = [orjson.loads(documents.get(ref, b"null")) for ref in refs]
    if None in found and not given.get("optional"):
        raise NotFound.of("Entity", refs[found.index(None)], field="reference")
    return {"entity": found[0]} if is_single else {"entities": found}


def _canonical(ref: str, given: Mapping[str, Any]) -> str:
    try:
        parsed = parse_ref(
            ref,
            default_kind=given.get("defaultKind"),
            default_namespace=given.get("defaultNamespace") or "default",
        )
    except RefError as error:
        raise InvalidInput(str(error)) from error
    return str(parsed)


ACTIONS = (
    TemplateAction(
        id="catalog:write",
        description="Writes a descriptor into the workspace.",
        input=inputs(
            ("entity",),
            filePath=titled(TEXT, "File", f"{_FILE} where nothing is said."),
            entity=titled(OBJECT, "Entity", "The descriptor: apiVersion, kind, metadata, spec."),
        ),
        run=_write,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="catalog:register",
        description="Registers a descriptor in the catalogue; it is read at once.",
        input=inputs(
            (),
            catalogInfoUrl=titled(TEXT, "Address of the descriptor"),
            repoContentsUrl=titled(TEXT, "Address of the repository's contents"),
            catalogInfoPath=titled(TEXT, "Path of the descriptor in the repository"),
            optional=titled(FLAG, "It need not be there yet"),
        ),
        output=outputs(
            entityRef=titled(TEXT, "Reference of the entity"),
            catalogInfoUrl=titled(TEXT, "Address of the descriptor"),
        ),
        run=_register,
        examples=(
            Example(
                "Register what was published",
                "steps:\n  - action: catalog:register\n    input:\n"
                "      repoContentsUrl: ${{ steps.publish.output.repoContentsUrl }}\n"
                "      catalogInfoPath: /catalog-info.yaml\n",
            ),
        ),
    ),
    TemplateAction(
        id="catalog:fetch",
        description="Reads entities of the catalogue, as Backstage shows them.",
        input=inputs(
            (),
            entityRef=titled(TEXT, "Reference"),
            entityRefs=titled(TEXTS, "References"),
            optional=titled(FLAG, "It need not be there"),
            defaultKind=titled(TEXT, "Kind where the reference names none"),
            defaultNamespace=titled(TEXT, "Namespace where the reference names none"),
        ),
        output=outputs(
            entity=titled(OBJECT, "Entity"),
            entities=titled({"type": "array", "items": OBJECT}, "Entities"),
        ),
        run=_fetch,
        supports_dry_run=True,
    ),
)
