"""/validate-entity: would the catalogue take it?"""

from __future__ import annotations

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView, answer, call, empty
from catalog.api.openapi import OBJECT, Schema, list_of, ref
from catalog.ingest.locations import validating
from catalog.services import permissions

_ERRORS: Schema = {
    "type": "object",
    "properties": {"errors": list_of(OBJECT)},
    "required": ["errors"],
}


class ValidateEntity(BackstageView):
    @call(
        "validate_backstage_entity",
        "Check an entity as if it stood in a file",
        body={
            "type": "object",
            "properties": {
                "entity": OBJECT,
                "location": {"type": "string", "minLength": 1, "maxLength": 2000},
            },
            "required": ["entity", "location"],
        },
        answers={200: {}, 400: {"anyOf": [_ERRORS, ref("BackstageError")]}},
        errors=[403],
        description="`location` is where: `url:https://…`; placeholders are read from there. A bad "
        'entity is answered with 400 and `{"errors": [{"name", "message", "cause"}]}`, of which '
        "there is one.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        permissions.require_source_read(self.principal, "have entities checked")
        error = validating.validate(self.body["entity"], self.body["location"])
        return empty() if error is None else answer({"errors": [error]}, 400)
