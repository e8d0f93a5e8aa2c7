"""/entities/unprocessed: what the catalogue does not take, and what it has not read yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView, call, empty, streamed
from catalog.api.backstage.checks import Parameter
from catalog.api.openapi import OBJECT, Schema, list_of
from catalog.ingest.locations import unprocessed
from catalog.services import permissions

_LIST: dict[int, Schema] = {
    200: {
        "type": "object",
        "properties": {"type": {"type": "string"}, "entities": list_of(OBJECT)},
        "required": ["type", "entities"],
    }
}
_OWNER = Parameter("owner", "Only documents whose `spec.owner` says this.")


class Failed(BackstageView):
    @call(
        "list_backstage_failed_entities",
        "List the documents that the catalogue does not take",
        params=(_OWNER,),
        answers=_LIST,
        description="With file, line, field and reason. Where an earlier version was good, it is "
        "told as `processed_entity`.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        return _listed("failed", unprocessed.failed(self.query["owner"] or ""))


class Pending(BackstageView):
    @call(
        "list_backstage_pending_entities",
        "List the locations that were not read yet",
        params=(_OWNER,),
        answers=_LIST,
    )
    def get(self, request: Request) -> HttpResponseBase:
        return _listed("pending", iter(()) if self.query["owner"] else unprocessed.pending())


class Unprocessed(BackstageView):
    @call(
        "delete_backstage_unprocessed_entity",
        "Take a refused document out of the list",
        path=["uid"],
        answers={204: {}},
        errors=[403, 404],
        description="It is back when its file is next read and still says the same.",
    )
    def delete(self, request: Request, uid: str) -> HttpResponseBase:
        permissions.require_admin(self.principal, "take refused documents out of the list")
        unprocessed.forget(uid)
        return empty(204)


def _listed(type_: str, entities: Iterator[dict[str, Any]]) -> HttpResponseBase:
    head = b'{"type":"%s","entities":[' % type_.encode()
    return streamed(head, map(orjson.dumps, entities), b"]}")
