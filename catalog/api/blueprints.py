"""/v1/blueprints: the kinds of things, their changes, and what a change would do."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok, signed
from catalog.api.openapi import FORCE, RUN_ID, documented, envelope, flag, list_of, ref
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import check_stated_run
from catalog.models import Blueprint
from catalog.services import blueprints, permissions
from catalog.services.clearing import clear_blueprint
from catalog.services.system_blueprints import system_document

TAG = "Blueprints"
_ONE = {200: envelope(blueprint=ref("Blueprint"))}
_DONE = {200: envelope()}


class BlueprintList(ApiView):
    @documented(
        "list_blueprints",
        "List all blueprints",
        tag=TAG,
        answers={200: envelope(blueprints=list_of(ref("Blueprint")))},
    )
    def get(self, request: Request) -> Response:
        return ok(blueprints=[_document(blueprint) for blueprint in _with_relations()])

    @documented(
        "create_blueprint",
        "Create a blueprint",
        tag=TAG,
        params=[flag("create_catalog_page", "Accepted; every blueprint has its table.")],
        body=ref("BlueprintBody"),
        answers={201: envelope(blueprint=ref("Blueprint"))},
        errors=[403, 404, 409, 422],
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "create blueprints")
        made = blueprints.create_blueprint(params.body_object(request), actor=self.actor)
        return ok(201, blueprint=_document(_get(made.identifier)))


class BlueprintDetail(ApiView):
    @documented(
        "get_blueprint",
        "Get a blueprint",
        tag=TAG,
        path=["blueprint"],
        answers=_ONE,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        return ok(blueprint=_document(_get(blueprint)))

    @documented(
        "replace_blueprint",
        "Replace a blueprint",
        tag=TAG,
        path=["blueprint"],
        params=[FORCE],
        body=ref("BlueprintBody"),
        answers=_ONE,
        errors=[403, 404, 409, 422],
        description="Another `identifier` in the body renames it. A change that stored entities "
        "do not survive is refused, with the impact in `details`, unless it is forced.",
    )
    def put(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "change blueprints")
        changed = blueprints.replace_blueprint(
            blueprint,
            params.body_object(request),
            actor=self.actor,
            force=params.flag(request, "force"),
        )
        return ok(blueprint=_document(_get(changed.identifier)))

    @documented(
        "patch_blueprint",
        "Change parts of a blueprint",
        tag=TAG,
        path=["blueprint"],
        params=[FORCE],
        body=ref("BlueprintBody"),
        body_is_optional=True,
        answers=_ONE,
        errors=[403, 404, 409, 422],
        description="Each key given replaces that key as a whole; the others stay.",
    )
    def patch(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "change blueprints")
        changed = blueprints.patch_blueprint(
            blueprint,
            params.body_object(request, may_be_empty=True),
            actor=self.actor,
            force=params.flag(request, "force"),
        )
        return ok(blueprint=_document(_get(changed.identifier)))

    @documented(
        "delete_blueprint",
        "Delete a blueprint",
        tag=TAG,
        path=["blueprint"],
        params=[flag("delete_actions", "Accepted; actions of a blueprint go with it.")],
        answers=_DONE,
        errors=[403, 404, 409],
        description="Refused while it has entities, or relations of others lead to it.",
    )
    def delete(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "delete blueprints")
        blueprints.delete_blueprint(blueprint, actor=self.actor)
        return ok()


class BlueprintPreview(ApiView):
    @documented(
        "preview_blueprint",
        "See what a change would do to stored entities",
        tag=TAG,
        path=["blueprint"],
        params=[flag("partial", "The body has only the keys that change, as for PATCH.")],
        body=ref("BlueprintBody"),
        answers={200: envelope(impact=ref("Impact"))},
        errors=[403, 404, 422],
    )
    def post(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "change blueprints")
        document = params.body_object(request)
        if params.flag(request, "partial"):
            document = {**blueprints.blueprint_document(_get(blueprint)), **document}
        return ok(impact=blueprints.preview_change(blueprint, document).as_dict())


class BlueprintEntities(ApiView):
    @documented(
        "delete_all_entities",
        "Delete all entities of a blueprint",
        tag=TAG,
        path=["blueprint"],
        params=[flag("delete_blueprint", "Then delete the blueprint, too."), RUN_ID],
        answers={200: envelope(migrationId={"type": "string"})},
        errors=[400, 403, 404, 409, 422],
        description="Entities of other kinds that need these by a required relation go with "
        "them. It is done when the answer comes.",
    )
    def delete(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "delete all entities of a blueprint")
        migration = clear_blueprint(
            blueprint,
            actor=self.actor,
            delete_blueprint_too=params.flag(request, "delete_blueprint"),
            run=check_stated_run(params.text(request, "run_id")),
        )
        return ok(migrationId=migration)


class PropertyRename(ApiView):
    @documented(
        "rename_property",
        "Rename a property; the values of all entities follow",
        tag=TAG,
        path=["blueprint", "property"],
        body={"type": "object", "properties": {"newPropertyName": {"type": "string"}}},
        answers=_ONE,
        errors=[403, 404, 409, 422],
    )
    def patch(self, request: Request, blueprint: str, property: str) -> Response:
        permissions.require_admin(self.principal, "change blueprints")
        new = params.body_text(params.body_object(request), "newPropertyName")
        blueprints.rename_property(blueprint, property, new, actor=self.actor)
        return ok(blueprint=_document(_get(blueprint)))


class MirrorRename(ApiView):
    @documented(
        "rename_mirror_property",
        "Rename a mirror property",
        tag=TAG,
        path=["blueprint", "mirror"],
        body={"type": "object", "properties": {"newMirrorName": {"type": "string"}}},
        answers=_ONE,
        errors=[403, 404, 409, 422],
    )
    def patch(self, request: Request, blueprint: str, mirror: str) -> Response:
        permissions.require_admin(self.principal, "change blueprints")
        new = params.body_text(params.body_object(request), "newMirrorName")
        blueprints.rename_mirror(blueprint, mirror, new, actor=self.actor)
        return ok(blueprint=_document(_get(blueprint)))


class RelationRename(ApiView):
    @documented(
        "rename_relation",
        "Rename a relation; the edges of all entities follow",
        tag=TAG,
        path=["blueprint", "relation"],
        body={"type": "object", "properties": {"newRelationIdentifier": {"type": "string"}}},
        answers=_ONE,
        errors=[403, 404, 409, 422],
    )
    def patch(self, request: Request, blueprint: str, relation: str) -> Response:
        permissions.require_admin(self.principal, "change blueprints")
        new = params.body_text(params.body_object(request), "newRelationIdentifier")
        blueprints.rename_relation(blueprint, relation, new, actor=self.actor)
        return ok(blueprint=_document(_get(blueprint)))


class SystemStructure(ApiView):
    @documented(
        "get_system_structure",
        "Get the part of a system blueprint that cannot be changed",
        tag=TAG,
        path=["blueprint"],
        answers=_ONE,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        document = system_document(blueprint)
        if document is None:
            raise NotFound.of("System blueprint", blueprint)
        empty: dict[str, Any] = {
            "mirrorProperties": {},
            "calculationProperties": {},
            "aggregationProperties": {},
        }
        return ok(blueprint={**empty, **document})


def _with_relations() -> QuerySet[Blueprint]:
    return Blueprint.objects.prefetch_related("relation_definitions__target")


def _get(identifier: str) -> Blueprint:
    found = _with_relations().filter(identifier=identifier).first()
    if found is None:
        raise NotFound.of("Blueprint", identifier)
    return found


def _document(blueprint: Blueprint) -> dict[str, Any]:
    document = blueprints.blueprint_document(blueprint)
    if document["icon"] is None:  # clients that check answers know no blueprint's icon of null
        del document["icon"]
    return {
        **document,
        **signed(blueprint),
    }
