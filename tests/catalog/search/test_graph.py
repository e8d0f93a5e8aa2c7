from __future__ import annotations

import pytest

from catalog.models import Entity
from catalog.selectors.graph import (
    DOWNSTREAM,
    UPSTREAM,
    Dangling,
    neighbours,
)
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.factories import ACTOR, make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db


def _entity(blueprint: str, identifier: str) -> Entity:
    return Entity.objects.get(blueprint__identifier=blueprint, identifier=identifier)


@pytest.mark.parametrize(
    ("blueprint", "identifier", "options", "expected"),
    [
        ("service", "pay", {}, {"pay": 0, "billing": 1, "cart": 1, "mail": 1, "money": 1}),
        (
            "service",
            "pay",
            {"direction": UPSTREAM},
            {"pay": 0, "billing": 1, "cart": 1, "money": 1},
        ),
        ("service", "pay", {"direction": DOWNSTREAM}, {"pay": 0, "mail": 1}),
        (
            "service",
            "pay",
            {"direction": DOWNSTREAM, "depth": 5},
            {"pay": 0, "mail": 1, "cart": 2},
        ),
        ("service", "pay", {"kinds": ["service"], "depth": 2}, {"pay": 0, "cart": 1, "mail": 1}),
        ("service", "pay", {"kinds": ["nothing"]}, {"pay": 0}),
        ("domain", "goods", {"depth": 2}, {"goods": 0, "stock": 1, "cart": 2}),
        ("service", "lone", {"depth": 3}, {"lone": 0}),
    ],
)
def test_the_surroundings_of_an_entity(shop, blueprint, identifier, options, expected):
    graph = neighbours(_entity(blueprint, identifier), principal=shop.ann, **options)
    assert {node.identifier: node.depth for node in graph.nodes} == expected
    assert graph.nodes[0].identifier == identifier
    assert not graph.has_more_nodes


def test_edges_run_from_what_needs_to_what_is_needed(shop):
    graph = neighbours(_entity("service", "cart"), principal=shop.ann)
    names = {node.pk: node.identifier for node in graph.nodes}
    assert [(names[e.source], e.relation, names[e.target]) for e in graph.edges] == [
        ("pay", "dependsOn", "cart"),
        ("cart", "system", "stock"),
        ("cart", "dependsOn", "mail"),
        ("mail", "dependsOn", "pay"),
    ]
    assert graph.dangling == [Dangling("dependsOn", "dependsOn", "service", "ghost")]
    pay = next(node for node in graph.nodes if node.identifier == "pay")
    assert [(m.relation, m.direction, m.count) for m in pay.more] == [
        ("system", UPSTREAM, 1),
        ("uses", UPSTREAM, 1),
    ]
    assert pay.more_count == 2


def test_a_hub_is_cut_off_and_says_how_much_is_left(db, django_assert_num_queries):
    hub = make_blueprint("hub")
    make_blueprint("spoke", relations={"hub": {"target": "hub", "many": False}})
    make_entity(hub, "middle")
    drafts = [EntityDraft("spoke", f"s{i:03}", relations={"hub": "middle"}) for i in range(300)]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR, missing_targets=MissingTargets.REJECT)
    user, middle = make_user(), _entity("hub", "middle")
    neighbours(middle, principal=user)
    with django_assert_num_queries(5):
        graph = neighbours(middle, principal=user, fan_out=10, depth=3)
    assert len(graph.nodes) == 11
    assert [(m.relation, m.direction, m.count) for m in graph.nodes[0].more] == [
        ("hub", DOWNSTREAM, 290)
    ]
    with django_assert_num_queries(5):
        graph = neighbours(middle, principal=user, fan_out=200, max_nodes=50, max_edges=20)
    assert (len(graph.nodes), graph.has_more_nodes) == (50, True)
    assert (len(graph.edges), graph.has_more_edges) == (20, True)
