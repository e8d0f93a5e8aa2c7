from __future__ import annotations

import pytest

from catalog.models import ApiOperation, Change
from catalog.selectors.find import Source, find
from catalog.services import api_index
from catalog.services.blueprints import replace_blueprint
from catalog.services.entities import EntityDraft, Mode, apply, delete
from tests.catalog.following import as_row
from tests.factories import ACTOR, make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db

_OPENAPI = "openapi: 3.0.0\npaths:\n  /orders/{id}:\n    get: {summary: %s}\n"


class Follower:
    """Gives the index the changes since it was last asked."""

    def __init__(self) -> None:
        self.position = 0

    def catch_up(self) -> None:
        rows = list(Change.objects.filter(id__gt=self.position).order_by("id"))
        self.position = rows[-1].pk
        api_index.follow([as_row(row) for row in rows])


def operations() -> list[tuple[str, str]]:
    return list(ApiOperation.objects.order_by("pk").values_list("name", "text"))


def change(**properties: object) -> None:
    apply([EntityDraft("api", "orders", properties=properties)], mode=Mode.MERGE, actor=ACTOR)


def test_operations_follow_their_definition():
    make_blueprint("api", properties={"tier": {"type": "number"}})
    follower = Follower()
    entity = make_entity("api", "orders", properties={"definition": _OPENAPI % "Find one"})
    follower.catch_up()
    assert operations() == [("GET /orders/{id}", "Find one")]
    pk = ApiOperation.objects.get().pk
    change(tier=1)
    follower.catch_up()
    assert ApiOperation.objects.get().pk == pk  # nothing was written
    change(definition=_OPENAPI % "Find an order")
    follower.catch_up()
    assert operations() == [("GET /orders/{id}", "Find an order")]
    change(type="graphql", definition="type Query { order: Int }")
    follower.catch_up()
    assert operations() == [("Query.order", "")]
    change(definition="openapi: [")
    follower.catch_up()
    assert operations() == []
    change(definition=_OPENAPI % "Again", type="openapi")
    follower.catch_up()
    delete([("api", "orders")], actor=ACTOR)
    assert not ApiOperation.objects.filter(entity=entity.pk).exists()


def test_a_blueprint_may_say_that_a_property_is_a_definition():
    make_blueprint("service", properties={"contract": {"type": "string"}})
    follower = Follower()
    make_entity("service", "orders", properties={"contract": _OPENAPI % "Find one"})
    follower.catch_up()
    assert operations() == []
    schema = {"properties": {"contract": {"type": "string", "spec": "open-api"}}, "required": []}
    document = {"identifier": "service", "title": "Service", "schema": schema}
    replace_blueprint("service", document, actor=ACTOR)
    follower.catch_up()
    assert operations() == [("GET /orders/{id}", "Find one")]


def test_without_definitions_nothing_is_written(django_assert_num_queries):
    make_blueprint("service")
    for number in range(20):
        make_entity("service", f"s{number}", properties={"tier": number})
    rows = [as_row(row) for row in Change.objects.order_by("id")]
    api_index.follow(rows)
    with django_assert_num_queries(6):  # blueprints, those changed, savepoints, what there was
        api_index.follow(rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /orders/{id}", ["GET /orders/{id}"]),
        ("/orders/{id}", ["GET /orders/{id}"]),
        ("orders", ["GET /orders/{id}"]),
        ("finding", ["GET /orders/{id}"]),  # English: find
        ("ordres", ["GET /orders/{id}"]),
        ("post", []),
    ],
)
def test_operations_are_found(text, expected):
    make_blueprint("api")
    entity = make_entity("api", "shop", properties={"definition": _OPENAPI % "Find one"})
    Follower().catch_up()
    found = find(text, principal=make_user(), sources=[Source.API])
    assert [hit.name for hit in found.hits] == expected
    assert [hit.entity_pk for hit in found.hits] == [entity.pk] * len(expected)
