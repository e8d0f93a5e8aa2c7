"""/v1/…/facts: what tools found out about entities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok
from catalog.api.openapi import Schema, documented, envelope, flag, list_of
from catalog.kernel.errors import IdpError, InvalidInput, NotFound
from catalog.models import Entity, Fact
from catalog.selectors.documents import timestamp
from catalog.selectors.facts import facts_of
from catalog.services.facts import (
    MAX_DESCRIPTION,
    MAX_KEY,
    MAX_VALUE_BYTES,
    FactDraft,
    FactResult,
    Status,
    delete_fact,
    put_facts,
)

TAG: Final = "Facts"
MAX_WRITTEN: Final = 1000
MAX_SHOWN: Final = 20  # errors of a batch that was refused as a whole

_TEXT: Final[Schema] = {"type": "string"}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_KEY: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
_STATED: Final[dict[str, Schema]] = {
    "value": {"description": f"Any JSON of at most {MAX_VALUE_BYTES} bytes."},
    "description": {
        "type": ["string", "null"],
        "maxLength": MAX_DESCRIPTION,
        "description": "Without it, the one there is stays.",
    },
    "collectedAt": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "With a time zone; now if not given.",
    },
}
_FACT: Final[Schema] = {
    "type": "object",
    "properties": {
        "key": _TEXT,
        "value": {"description": "Any JSON."},
        "description": _TEXT,
        "origin": {"type": "string", "enum": ["API", "YAML", "INTEGRATION"]},
        "collectedAt": _MOMENT,
        "updatedAt": _MOMENT,
        "updatedBy": _TEXT,
    },
    "required": ["key", "value", "origin", "collectedAt", "updatedAt", "updatedBy"],
}
_NAMES: Final[dict[str, Schema]] = {
    "index": {"type": "integer"},
    "blueprint": {},
    "entity": {},
    "key": {},
}


class FactList(ApiView):
    @documented(
        "list_facts",
        "List the facts of an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        answers={200: envelope(facts=list_of(_FACT))},
        errors=[404],
        description="What tools found out about it (custom data), by key. Rules of scorecards read "
        "them.",
    )
    def get(self, request: Request, blueprint: str, entity: str) -> Response:
        pk = entity_pk(self, blueprint, entity)
        return ok(facts=[_document(fact) for fact in facts_of(pk)])


class FactDetail(ApiView):
    @documented(
        "put_fact",
        "Write a fact of an entity",
        tag=TAG,
        path=["blueprint", "entity", "fact"],
        body={"type": "object", "properties": _STATED, "required": ["value"]},
        answers={200: envelope(fact=_FACT)},
        errors=[403, 404, 422],
        description="For those who may update the entity. One that says what is known already "
        "changes nothing but when it was collected.",
    )
    def put(self, request: Request, blueprint: str, entity: str, fact: str) -> Response:
        self.blueprint_to_write(blueprint)
        body = params.body_object(request)
        draft = _draft({**body, "blueprint": blueprint, "entity": entity, "key": fact})
        [result] = put_facts([draft], actor=self.actor)
        if result.error:
            raise result.error
        written = Fact.objects.filter(
            entity__blueprint__identifier=blueprint, entity__identifier=entity, key=fact
        ).first()
        if written is None:
            raise NotFound("The fact was deleted meanwhile")
        return ok(fact=_document(written))

    @documented(
        "delete_fact",
        "Delete a fact of an entity",
        tag=TAG,
        path=["blueprint", "entity", "fact"],
        answers={200: envelope()},
        errors=[403, 404],
    )
    def delete(self, request: Request, blueprint: str, entity: str, fact: str) -> Response:
        self.blueprint_to_write(blueprint)
        delete_fact(blueprint, entity, fact, actor=self.actor)
        return ok()


class BulkFacts(ApiView):
    @documented(
        "put_facts",
        f"Write up to {MAX_WRITTEN} facts",
        tag=TAG,
        params=[flag("all_or_nothing", "Write none if any is refused; the answer is 422 then.")],
        body={
            "type": "object",
            "properties": {
                "facts": list_of(
                    {
                        "type": "object",
                        "properties": {
                            "blueprint": _TEXT,
                            "entity": _TEXT,
                            "key": _KEY,
                            **_STATED,
                        },
                        "required": ["blueprint", "entity", "key", "value"],
                    },
                    minItems=1,
                    maxItems=MAX_WRITTEN,
                )
            },
            "required": ["facts"],
        },
        answers={
            status: {
                "type": "object",
                "properties": {
                    "ok": {"type": "boolean"},
                    "facts": list_of(
                        {
                            "type": "object",
                            "properties": {
                                **_NAMES,
                                "status": {
                                    "type": "string",
                                    "enum": ["created", "updated", "unchanged"],
                                },
                            },
                        }
                    ),
                    "errors": list_of(
                        {
                            "type": "object",
                            "properties": {
                                **_NAMES,
                                "statusCode": {"type": "integer"},
                                "error": _TEXT,
                                "message": _TEXT,
                                "details": {"type": "object", "additionalProperties": True},
                            },
                        }
                    ),
                },
                "required": ["ok", "facts", "errors"],
            }
            for status in (200, 207)
        },
        errors=[422],
        description="Each fact stands for itself: 207 means that some were refused, and `errors` "
        "says which and why.",
    )
    def put(self, request: Request) -> Response:
        is_whole = params.flag(request, "all_or_nothing")
        bodies = params.body_list(params.body_object(request), "facts", high=MAX_WRITTEN)
        errors: dict[int, IdpError] = {}
        drafts: dict[int, FactDraft] = {}
        for index, body in enumerate(bodies):
            try:
                drafts[index] = _draft(body)
            except IdpError as error:
                errors[index] = error
        results: list[FactResult] = []
        if not (is_whole and errors):
            results = put_facts(list(drafts.values()), actor=self.actor, all_or_nothing=is_whole)
        written = []
        for index, result in zip(drafts, results, strict=False):
            if result.error:
                errors[index] = result.error
            elif result.status is not Status.REJECTED:
                written.append({**_named(index, bodies[index]), "status": result.status})
        refused = [_error(index, bodies[index], errors[index]) for index in sorted(errors)]
        if is_whole and refused:
            raise InvalidInput(
                f"{len(refused)} of {len(bodies)} facts were refused, and none was written",
                details={"field": "facts", "expected": "no errors", "errors": refused[:MAX_SHOWN]},
            )
        return Response(
            {"ok": not refused, "facts": written, "errors": refused},
            status=207 if refused else 200,
        )


def entity_pk(view: ApiView, blueprint: str, entity: str) -> int:
    """The pk of an entity that the caller may see. Raises NotFound."""
    found = Entity.objects.visible_to(view.principal).filter(
        blueprint__identifier=blueprint, identifier=entity
    )
    pk = found.values_list("pk", flat=True).first()
    if pk is None:
        get_blueprint(blueprint)
        raise NotFound.of("Entity", entity)
    return pk


def zoned_moment(value: object, field: str) -> datetime:
    """A moment of RFC 3339 that says its time zone, in UTC. Raises InvalidInput."""
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):  # a 31st of February; a year beyond 9999
        pass
    raise InvalidInput.of(field, value, "a moment with a time zone, like 2026-03-03T10:00:00Z")


def _draft(body: Any) -> FactDraft:
    """What a body states; the service judges what it says. Raises InvalidInput."""
    if not isinstance(body, dict):
        raise InvalidInput.of("fact", body, "an object with blueprint, entity, key and value")
    if "value" not in body:
        raise InvalidInput.of("value", None, "any JSON; it is missing")
    collected_at = body.get("collectedAt")
    return FactDraft(
        body.get("blueprint"),  # type: ignore[arg-type]
        body.get("entity"),  # type: ignore[arg-type]
        body.get("key"),  # type: ignore[arg-type]
        body["value"],
        body.get("description"),
        None if collected_at is None else zoned_moment(collected_at, "collectedAt"),
    )


def _document(fact: Fact) -> dict[str, Any]:
    return {
        "key": fact.key,
        "value": fact.value,
        "description": fact.description,
        "origin": fact.origin,
        "collectedAt": timestamp(fact.collected_at),
        "updatedAt": timestamp(fact.updated_at),
        "updatedBy": fact.updated_by,
    }


def _named(index: int, body: Any) -> dict[str, Any]:
    """Which of a batch is meant, in its own words as far as they are some."""
    said = body if isinstance(body, dict) else {}
    names = {name: said.get(name) for name in ("blueprint", "entity", "key")}
    return {
        "index": index,
        **{name: value if isinstance(value, str) else None for name, value in names.items()},
    }


def _error(index: int, body: Any, error: IdpError) -> dict[str, Any]:
    return {
        **_named(index, body),
        "statusCode": error.status,
        "error": error.code,
        "message": str(error),
        "details": error.details,
    }
