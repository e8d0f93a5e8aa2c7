"""/locations, /refresh and /analyze-location: where descriptors are read."""

from __future__ import annotations

import json
from typing import Any, Final

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog import tasks
from catalog.api.backstage.base import BackstageView, answer, call, empty, short_answer
from catalog.api.backstage.checks import Parameter
from catalog.api.openapi import OBJECT, Schema, list_of
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries import locations as queries
from catalog.dialects.backstage.refs import EntityRef, RefError, parse_ref
from catalog.ingest.locations import analyzing, due, refresh, registering
from catalog.kernel.errors import InvalidRequest, NotFound, PermissionDenied, shorten
from catalog.models import Entity, Location
from catalog.services import catalog_settings, permissions

READ_AT_ONCE: Final = 100  # files

_TEXT: Schema = {"type": "string"}
_SOME_TEXT: Schema = {"type": "string", "minLength": 1}
_LOCATION: Schema = {
    "type": "object",
    "properties": {"id": _TEXT, "type": _TEXT, "target": _TEXT, "entityRef": _TEXT},
    "required": ["id", "type", "target", "entityRef"],
}
_BODY: Schema = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "target": _SOME_TEXT,
        "presence": {"type": "string", "enum": ["required", "optional"]},
    },
    "required": ["type", "target"],
}
_DRY_RUN = Parameter("dryRun", "Tell what would come of it and store nothing.", "boolean")
_ON_CONFLICT = Parameter(
    "onConflict",
    "What to do with a place that is registered already.",
    choices=(registering.REJECT, registering.REFRESH),
)


class LocationList(BackstageView):
    @call(
        "list_backstage_locations",
        "List the registered locations",
        answers={
            200: list_of(
                {"type": "object", "properties": {"data": _LOCATION}, "required": ["data"]}
            )
        },
        description="Those that this API registered; locations of the configuration and those that "
        "discovery found are not among them.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        return short_answer(request, [{"data": one} for one in queries.registered()])

    @call(
        "create_backstage_location",
        "Register a location",
        params=(_DRY_RUN, _ON_CONFLICT),
        body=_BODY,
        answers={
            201: {
                "type": "object",
                "properties": {
                    "location": _LOCATION,
                    "entities": list_of(OBJECT),
                    "exists": {"type": "boolean"},
                },
                "required": ["location", "entities"],
            }
        },
        errors=[403, 409],
        description="What it leads to is in the catalogue when the answer comes. `entities` and "
        "`exists` tell of a dry run.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        type_, target = _checked(self.body)
        presence = self.body.get("presence", Location.Presence.REQUIRED.value)
        registering.require_register(self.principal)
        if self.query["dryRun"]:
            tried = registering.dry_run(type_, target, actor=self.actor, presence=presence)
            located = {**queries.location_document(tried.location), "id": tried.location.place}
            return answer(
                {"exists": tried.exists, "location": located, "entities": tried.entities}, 201
            )
        _require_writable()
        made = registering.register(
            type_,
            target,
            actor=self.actor,
            presence=presence,
            on_conflict=self.query["onConflict"] or registering.REJECT,
        )
        return answer({"location": queries.location_document(made), "entities": []}, 201)


class LocationQuery(BackstageView):
    @call(
        "query_backstage_locations",
        "Select registered locations",
        body={
            "type": "object",
            "properties": {
                "query": OBJECT,
                "limit": {"type": "integer", "minimum": 1, "maximum": queries.DEFAULT_LIMIT},
                "cursor": _TEXT,
            },
            "additionalProperties": False,
        },
        answers={
            200: {
                "type": "object",
                "properties": {
                    "items": list_of(_LOCATION),
                    "totalItems": {"type": "integer"},
                    "pageInfo": {"type": "object", "properties": {"nextCursor": _TEXT}},
                },
                "required": ["items", "totalItems", "pageInfo"],
            }
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        page = queries.select_locations(
            query=self.body.get("query"),
            limit=self.body.get("limit"),
            cursor=self.body.get("cursor", ""),
        )
        following = {"nextCursor": page.next_cursor} if page.next_cursor else {}
        return answer({"items": page.items, "totalItems": page.total, "pageInfo": following})


class LocationDetail(BackstageView):
    @call(
        "get_backstage_location",
        "Get a registered location",
        path=["location"],
        answers={200: _LOCATION},
        errors=[404],
    )
    def get(self, request: Request, location: str) -> HttpResponseBase:
        return short_answer(request, queries.location_document(_found(location)))

    @call(
        "replace_backstage_location",
        "Let a registered location lead elsewhere",
        path=["location"],
        body=_BODY,
        answers={200: _LOCATION},
        errors=[403, 404, 409],
        description="Its id and its reference stay.",
    )
    def put(self, request: Request, location: str) -> HttpResponseBase:
        type_, target = _checked(self.body)
        found = _changeable(self.principal, location)
        changed = registering.update(found, type=type_, target=target, actor=self.actor)
        return answer(queries.location_document(changed))

    @call(
        "delete_backstage_location",
        "Remove a registered location",
        path=["location"],
        answers={204: {}},
        errors=[403, 404],
        description="What only it leads to goes with it, at once.",
    )
    def delete(self, request: Request, location: str) -> HttpResponseBase:
        registering.remove(_changeable(self.principal, location), self.actor)
        return empty(204)


class EntityLocation(BackstageView):
    @call(
        "get_backstage_location_of_entity",
        "Get the registered location that an entity comes from",
        path=["kind", "namespace", "name"],
        answers={200: _LOCATION},
        errors=[404],
    )
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponseBase:
        ensure_current()
        ref = str(EntityRef(kind, namespace, name))
        origin = queries.origin_of(ref)
        if origin is None:
            raise NotFound(f"Found no entity {shorten(ref, 300)} that comes from a location")
        found = queries.location_of(origin)
        if found is None:
            type_, _, target = origin.partition(":")
            raise NotFound(f"Found no location with type {type_} and target {target}")
        return short_answer(request, queries.location_document(found))


class Refresh(BackstageView):
    @call(
        "refresh_backstage_entity",
        "Read the locations of an entity anew",
        body={
            "type": "object",
            "properties": {"entityRef": _SOME_TEXT, "authorizationToken": _TEXT},
            "required": ["entityRef"],
        },
        answers={200: {}},
        errors=[403, 404],
        description="What they say now is in the catalogue when the answer comes. Locations of "
        f"more than {READ_AT_ONCE} files are read by a worker.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        permissions.require_source_read(self.principal, "refresh entities")
        try:
            ref = str(parse_ref(self.body["entityRef"]))
        except RefError as error:
            raise InvalidRequest(f"entityRef: {error}") from None
        ensure_current()
        entity = Entity.objects.visible_to(self.principal).filter(document__ref=ref).first()
        if entity is None:
            raise NotFound(f"Entity {shorten(ref, 300)} not found")
        for location in due.locations_of(entity):
            if location.files.count() > READ_AT_ONCE:
                tasks.start_location(location)
            else:
                refresh.refresh(location, self.actor)
        return empty()


class AnalyzeLocation(BackstageView):
    @call(
        "analyze_backstage_location",
        "Search a repository for descriptors",
        body={
            "type": "object",
            "properties": {
                "location": {
                    "type": "object",
                    "properties": {"type": _TEXT, "target": _SOME_TEXT},
                    "required": ["target"],
                },
                "catalogFilename": {"type": "string", "minLength": 1, "maxLength": 200},
            },
            "required": ["location"],
        },
        answers={
            200: {
                "type": "object",
                "properties": {
                    "existingEntityFiles": list_of(OBJECT),
                    "generateEntities": list_of(OBJECT),
                },
                "required": ["existingEntityFiles", "generateEntities"],
            }
        },
        errors=[403],
        description="Repositories are searched on the hosts of the GitHub and GitLab sources. "
        "Where there is no descriptor, one is proposed.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        permissions.require_source_read(self.principal, "analyse locations")
        found = analyzing.analyze(
            self.body["location"]["target"],
            file_name=self.body.get("catalogFilename", analyzing.FILE_NAME),
        )
        return answer({"existingEntityFiles": found.existing, "generateEntities": found.generated})


def _found(pk: str) -> Location:
    found = queries.find_registered(pk)
    if found is None:
        raise NotFound(f"Found no location with ID {shorten(pk)}")
    return found


def _checked(body: dict[str, Any]) -> tuple[str, str]:
    """Type and target of a location, in the words of Backstage where they are wrong."""
    if unknown := [key for key in body if key not in _BODY["properties"]]:
        told = ", ".join(f"'{shorten(key)}'" for key in unknown[:20])
        fault = {
            "code": "unrecognized_keys",
            "keys": [shorten(key) for key in unknown[:20]],
            "path": [],
            "message": f"Unrecognized key(s) in object: {told}",
        }
        raise InvalidRequest(f"Malformed request: {json.dumps([fault], indent=2)}")
    if body["type"] != Location.Type.URL:
        raise InvalidRequest('Registered locations must be of an allowed type ["url"]')
    return body["type"], body["target"]


def _changeable(principal: Any, pk: str) -> Location:
    """The location, if the caller may change and remove it."""
    registering.require_register(principal)  # who may none learns nothing of one
    found = _found(pk)
    registering.require_remove(principal, found)
    _require_writable()
    return found


def _require_writable() -> None:
    if catalog_settings.current().is_readonly:
        raise PermissionDenied(
            "Locations can only be read here: the settings of the catalogue say so"
        )
