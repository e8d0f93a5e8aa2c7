"""/v1/blueprints/{blueprint}/entities: one entity at a time, and all of a blueprint."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import transaction
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok, ok_list
from catalog.api.integrations_refusals import ExporterWrites
from catalog.api.openapi import (
    DELETE_DEPENDENTS,
    MISSING_TARGETS,
    RUN_ID,
    SELECTION,
    WRITING,
    documented,
    envelope,
    flag,
    list_of,
    query,
    ref,
)
from catalog.kernel.errors import NotFound
from catalog.kernel.pagination import encode_cursor
from catalog.models import Entity, EntityQuerySet
from catalog.selectors.documents import (
    Selection,
    document,
    document_as_of,
    documents,
    timestamp,
)
from catalog.selectors.history import TimelineEntry, timeline
from catalog.services.entities import ItemResult, Mode
from catalog.services.intake import change_entity, delete_entity, write_bodies

TAG = "Entities"
_ONE = {200: envelope(entity=ref("Entity"))}
_WRITE_ERRORS = [400, 403, 404, 409, 422]


def selection(request: Request, body: dict[str, Any] | None = None) -> Selection:
    """What to show, from the query parameters and, where there is one, the body."""
    include, exclude = params.listed(request, "include"), params.listed(request, "exclude")
    if body is not None:
        include += params.body_names(body, "include")
        exclude += params.body_names(body, "exclude")
    return Selection.of(
        include=include,
        exclude=exclude,
        with_calculated=not params.flag(request, "exclude_calculated_properties"),
        with_titles=params.flag(request, "attach_title_to_relation"),
    )


class EntityList(ExporterWrites):
    @documented(
        "list_entities",
        "List all entities of a blueprint",
        tag=TAG,
        path=["blueprint"],
        params=SELECTION,
        answers={200: envelope(entities=list_of(ref("Entity")))},
        errors=[400, 404],
        description="All of them in one answer, which is streamed. To read page by page, search.",
    )
    @method_decorator(gzip_page)
    def get(self, request: Request, blueprint: str) -> HttpResponseBase:
        found = get_blueprint(blueprint)
        pks = _visible(self).filter(blueprint=found).order_by("pk").values_list("pk", flat=True)
        return ok_list("entities", documents(pks, selection(request)))

    @documented(
        "create_entity",
        "Create an entity, or change it",
        tag=TAG,
        path=["blueprint"],
        params=[
            flag("upsert", "Change the entity if it exists, instead of refusing."),
            *WRITING,
            *MISSING_TARGETS,
            RUN_ID,
        ],
        body=ref("EntityBody"),
        answers={201: envelope(entity=ref("Entity"))},
        errors=_WRITE_ERRORS,
    )
    def post(self, request: Request, blueprint: str) -> Response:
        target = self.blueprint_to_write(blueprint)
        body = params.body_object(request)
        run = self.run_of(request)
        with transaction.atomic():
            [item] = write_bodies(
                [body],
                blueprint=target,
                principal=self.principal,
                actor=self.actor,
                mode=write_mode(request),
                missing_targets=params.missing_targets(request),
                run=run,
            )
            if item.error:
                raise item.error
            shown = _shown(item)
            told = {"additionalData": item.additional} if item.additional else {}
            if params.flag(request, "validation_only"):
                transaction.set_rollback(True)
                told = {}
        return ok(201, entity=shown, **told)


class EntityDetail(ExporterWrites):
    @documented(
        "get_entity",
        "Get an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        params=[
            *SELECTION,
            query("as_of", "As it was at this moment (RFC 3339), even if it is gone now."),
        ],
        answers=_ONE,
        errors=[400, 404],
    )
    def get(self, request: Request, blueprint: str, entity: str) -> Response:
        chosen = selection(request)
        entities = _visible(self).filter(blueprint__identifier=blueprint, identifier=entity)
        if at := params.moment(request, "as_of"):
            is_hidden = (
                not entities.exists()
                and Entity.objects.filter(
                    blueprint__identifier=blueprint, identifier=entity
                ).exists()
            )
            shown = None if is_hidden else document_as_of(blueprint, entity, at, chosen)
        else:
            shown = document(entities, chosen)
        if shown is None:
            get_blueprint(blueprint)
            raise NotFound.of("Entity", entity)
        return ok(entity=orjson.Fragment(shown))

    @documented(
        "replace_entity",
        "Replace an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        params=[*MISSING_TARGETS, RUN_ID],
        body=ref("EntityBody"),
        answers=_ONE,
        errors=_WRITE_ERRORS,
        description="What the body does not say is reset. Another `identifier` in it renames the "
        "entity; relations to it follow.",
    )
    def put(self, request: Request, blueprint: str, entity: str) -> Response:
        return self._change(request, blueprint, entity, Mode.REPLACE)

    @documented(
        "patch_entity",
        "Change parts of an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        params=[*MISSING_TARGETS, RUN_ID],
        body=ref("EntityBody"),
        body_is_optional=True,
        answers=_ONE,
        errors=_WRITE_ERRORS,
        description="Only the keys given change, inside properties and relations too; null clears "
        "one. Another `identifier` renames the entity; relations to it follow.",
    )
    def patch(self, request: Request, blueprint: str, entity: str) -> Response:
        return self._change(request, blueprint, entity, Mode.MERGE)

    @documented(
        "delete_entity",
        "Delete an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        params=[DELETE_DEPENDENTS, RUN_ID],
        answers={200: envelope()},
        errors=[400, 403, 404, 409, 422],
        description="Refused while others need it by a required relation, unless they go with it.",
    )
    def delete(self, request: Request, blueprint: str, entity: str) -> Response:
        delete_entity(
            entity,
            blueprint=self.blueprint_to_write(blueprint),
            actor=self.actor,
            delete_dependents=params.flag(request, "delete_dependents"),
            run=self.run_of(request),
        )
        return ok()

    def _change(self, request: Request, blueprint: str, entity: str, mode: Mode) -> Response:
        item = change_entity(
            entity,
            params.body_object(request, may_be_empty=mode is Mode.MERGE),
            blueprint=self.blueprint_to_write(blueprint),
            principal=self.principal,
            actor=self.actor,
            mode=mode,
            missing_targets=params.missing_targets(request),
            run=self.run_of(request),
        )
        return ok(entity=_shown(item))


class EntityCount(ApiView):
    @documented(
        "count_entities",
        "Count the entities of a blueprint",
        tag=TAG,
        path=["blueprint"],
        answers={200: envelope(count={"type": "integer"})},
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        found = get_blueprint(blueprint)
        return ok(count=_visible(self).filter(blueprint=found).count())


class EntityHistory(ApiView):
    @documented(
        "get_entity_history",
        "List the changes of an entity, newest first",
        tag=TAG,
        path=["blueprint", "entity"],
        params=[
            query("limit", "How many, 1 to 500; 50 if not given.", kind=int),
            query("from", "`next` of the page before."),
        ],
        answers={
            200: envelope(history=list_of(ref("HistoryEntry")), next={"type": ["string", "null"]})
        },
        errors=[400, 404],
    )
    def get(self, request: Request, blueprint: str, entity: str) -> Response:
        limit = params.whole(request, "limit", default=50, high=500)
        cursor = params.text(request, "from")
        older_than = params.cursor_value(cursor, int) if cursor else None
        found = (
            _visible(self)
            .only("pk")
            .filter(blueprint__identifier=blueprint, identifier=entity)
            .first()
        )
        if found is None:
            get_blueprint(blueprint)
            raise NotFound.of("Entity", entity)
        entries = timeline(found, limit=limit + 1, older_than=older_than)
        return ok(
            history=[_entry(entry) for entry in entries[:limit]],
            next=encode_cursor([entries[limit - 1].change_id]) if len(entries) > limit else None,
        )


def write_mode(request: Request) -> Mode:
    """The mode that `upsert` and `merge` stand for."""
    if not params.flag(request, "upsert"):
        return Mode.CREATE
    return Mode.MERGE if params.flag(request, "merge") else Mode.REPLACE


def _visible(view: ApiView) -> EntityQuerySet:
    return Entity.objects.visible_to(view.principal)


def _shown(item: ItemResult) -> orjson.Fragment:
    """The entity just written. Someone may have deleted it since; then that is the answer."""
    shown = document(Entity.objects.filter(pk__in=[item.pk]))
    if shown is None:
        raise NotFound("The entity was deleted meanwhile")
    return orjson.Fragment(shown)


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    return {
        "id": entry.change_id,
        "at": timestamp(entry.at),
        "action": entry.action,
        "actor": entry.actor,
        "actorKind": entry.actor_kind,
        "runId": entry.run or None,
        "changes": [
            {"path": change.path, "before": change.before, "after": change.after}
            for change in entry.changes
        ],
    }
