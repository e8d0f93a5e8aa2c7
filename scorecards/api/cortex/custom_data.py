"""Custom data: facts of entities under Cortex's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import OBJECT, Schema, list_of, query
from catalog.kernel.errors import IdpError, InvalidInput, InvalidRequest, NotFound, PermissionDenied
from catalog.models import Entity, Fact
from catalog.selectors.documents import timestamp
from catalog.services.facts import MAX_KEY, FactDraft, delete_fact, put_facts
from scorecards.api.cortex.base import PAGING, CortexView, call
from scorecards.api.cortex.tags import find_entities, find_entity

MAX_TAG: Final = 1101  # a blueprint, a colon and an identifier

KEY: Final = query("key", "Key of the custom data.")
TAG: Final = query("tag", "Tag of the entity.", required=True)
_FORCE: Final = query("force", "Taken, and of no consequence: what is written counts.")
_ITEM: Final[Schema] = {
    "type": "object",
    "properties": {"key": {"type": "string"}, "value": {}, "description": {"type": "string"}},
    "required": ["key", "value"],
}
_BULK: Final[Schema] = {
    "type": "object",
    "properties": {"values": {"type": "object", "additionalProperties": list_of(_ITEM)}},
    "required": ["values"],
}
# Cortex's client sends all values of its command line as text, and Cortex takes these for booleans.
_BOOLEANS: Final = {"true": True, "false": False}


class _OneEntity(CortexView):
    """What both addresses of the custom data of an entity do."""

    def listed(self, entity: Entity) -> Response:
        """A bare list: its clients ask for pages until one is empty."""
        page = self.page()
        size = self.page_size()
        facts = Fact.objects.filter(entity=entity).order_by("key")
        return Response([_item(one) for one in facts[page * size : (page + 1) * size]])

    def one(self, entity: Entity, key: str) -> Response:
        return Response(_item(_fact(entity, key)))

    def added(self, request: Request, entity: Entity) -> Response:
        draft = _draft(entity, params.body_object(request), "")
        [result] = put_facts([draft], actor=self.actor)
        if result.error:
            raise result.error
        return Response(_item(_fact(entity, draft.key)))

    def deleted(self, entity: Entity, key: str) -> Response:
        if not key:
            raise InvalidRequest(
                "key is missing; expected the key of what to delete",
                details={"field": "key", "value": "", "expected": "a key"},
            )
        delete_fact(entity.blueprint.identifier, entity.identifier, key, actor=self.actor)
        return Response(status=204)


class EntityData(_OneEntity):
    """/catalog/{entity}/custom-data"""

    @call(
        "list_custom_data",
        "List the custom data of an entity",
        path=["entity"],
        params=PAGING,
        answers={200: list_of(OBJECT)},
        description="A bare list; a page behind the last one is empty.",
    )
    def get(self, request: Request, entity: str) -> Response:
        return self.listed(find_entity(entity, self.principal))

    @call(
        "add_custom_data",
        "Add custom data to an entity",
        path=["entity"],
        params=[_FORCE],
        body=_ITEM,
        answers={200: OBJECT},
        errors=[403],
    )
    def post(self, request: Request, entity: str) -> Response:
        return self.added(request, find_entity(entity, self.principal))

    @call(
        "delete_custom_data",
        "Delete custom data of an entity",
        path=["entity"],
        params=[KEY, _FORCE],
        answers={204: {}},
        errors=[403],
    )
    def delete(self, request: Request, entity: str) -> Response:
        found = find_entity(entity, self.principal)
        return self.deleted(found, params.text(request, "key", limit=MAX_KEY))


class EntityDataByKey(_OneEntity):
    """/catalog/{entity}/custom-data/{fact}"""

    @call(
        "get_custom_data",
        "Get one item of the custom data of an entity",
        path=["entity", "fact"],
        answers={200: OBJECT},
    )
    def get(self, request: Request, entity: str, fact: str) -> Response:
        return self.one(find_entity(entity, self.principal), fact)


class CustomData(_OneEntity):
    """/catalog/custom-data: the entity, or many, named elsewhere than in the address."""

    @call(
        "get_custom_data_by_query",
        "Get the custom data of an entity named in the query",
        params=[TAG, KEY, *PAGING],
        answers={200: {}},
        description="The item of `key`, or without one the list.",
    )
    def get(self, request: Request) -> Response:
        entity = self._entity(request)
        key = params.text(request, "key", limit=MAX_KEY)
        return self.one(entity, key) if key else self.listed(entity)

    @call(
        "add_custom_data_by_query",
        "Add custom data to an entity named in the query",
        params=[TAG, _FORCE],
        body=_ITEM,
        answers={200: OBJECT},
        errors=[403],
    )
    def post(self, request: Request) -> Response:
        return self.added(request, self._entity(request))

    @call(
        "add_custom_data_in_bulk",
        "Add custom data to many entities",
        params=[_FORCE],
        body=_BULK,
        answers={200: OBJECT},
        errors=[403],
        description="Tags that nobody knows are told in `errors`; for the rest, all or nothing.",
    )
    def put(self, request: Request) -> Response:
        values = params.body_object(request).get("values")
        if not isinstance(values, Mapping):
            raise InvalidInput.of("values", values, "an object of lists by tag")
        entities = find_entities(values.keys(), self.principal)
        placed = {
            f"values.{tag}.{number}.": (tag, item)
            for tag, items in values.items()
            for number, item in enumerate(_items(items, f"values.{tag}"))
            if tag in entities
        }
        drafts = [_draft(entities[tag], item, place) for place, (tag, item) in placed.items()]
        results = put_facts(drafts, actor=self.actor, all_or_nothing=True)
        if error := _worst([one.error for one in results], [*placed]):
            raise error
        body: dict[str, Any] = {"values": _written(entities, drafts)}
        if unknown := [tag for tag in values if tag not in entities]:
            body["errors"] = dict.fromkeys(unknown, "NOT_FOUND")
        return Response(body)

    @call(
        "delete_custom_data_by_query",
        "Delete custom data of an entity named in the query",
        params=[TAG, KEY, _FORCE],
        answers={204: {}},
        errors=[403],
    )
    def delete(self, request: Request) -> Response:
        return self.deleted(self._entity(request), params.text(request, "key", limit=MAX_KEY))

    def _entity(self, request: Request) -> Entity:
        return find_entity(params.text(request, "tag", limit=MAX_TAG), self.principal)


def _items(items: Any, field: str) -> Sequence[Any]:
    if not isinstance(items, list):
        raise InvalidInput.of(field, items, "a list of custom data")
    return items


def _draft(entity: Entity, item: Any, field: str) -> FactDraft:
    """A fact from what was sent. field: where it stands in the body ("values.pay.0.")."""
    if not isinstance(item, Mapping):
        raise InvalidInput.of(field.rstrip("."), item, "an object with key and value")
    if "value" not in item:
        raise InvalidInput.of(f"{field}value", None, "a value")
    key = item.get("key")
    if not isinstance(key, str):
        raise InvalidInput.of(f"{field}key", key, f"text of 1 to {MAX_KEY} characters")
    value = item["value"]
    return FactDraft(
        entity.blueprint.identifier,
        entity.identifier,
        key,
        _BOOLEANS.get(value, value) if isinstance(value, str) else value,
        description=item.get("description"),
    )


def _worst(errors: Sequence[IdpError | None], places: Sequence[str]) -> IdpError | None:
    """That somebody may not do it goes before what is wrong with it, which gets its place."""
    if forbidden := next((one for one in errors if isinstance(one, PermissionDenied)), None):
        return forbidden
    found = next(((place, one) for place, one in zip(places, errors, strict=True) if one), None)
    if found is None:
        return None
    place, error = found
    if isinstance(error, InvalidInput):
        field = f"{place}{error.details.get('field', '')}"
        return InvalidInput(
            f"{place}{error.message}", hint=error.hint, details={**error.details, "field": field}
        )
    return error


def _fact(entity: Entity, key: str) -> Fact:
    found = Fact.objects.filter(entity=entity, key=key).first()
    if found is None:
        raise NotFound.of("Custom data", key, field="key")
    return found


def _written(entities: Mapping[str, Entity], drafts: Sequence[FactDraft]) -> list[dict[str, Any]]:
    pks = {(one.blueprint.identifier, one.identifier): one.pk for one in entities.values()}
    facts = Fact.objects.filter(entity__in=pks.values(), key__in={one.key for one in drafts})
    by_place = {(one.entity_id, one.key): one for one in facts}
    return [_item(by_place[pks[one.blueprint, one.entity], one.key]) for one in drafts]


def _item(fact: Fact) -> dict[str, Any]:
    made = {
        "id": fact.pk,
        "key": fact.key,
        "value": fact.value,
        "source": fact.origin,
        "dateUpdated": timestamp(fact.updated_at),
    }
    return {**made, "description": fact.description} if fact.description else made
