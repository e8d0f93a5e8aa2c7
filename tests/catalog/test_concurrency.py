"""Four processes write the same entities at once: nobody waits for ever, nothing is lost."""

from itertools import count
from random import Random

import pytest

from catalog.kernel.actors import Actor
from catalog.models import Change, Entity, Relation
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply, delete
from tests import processes
from tests.factories import ACTOR, make_blueprint

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 200
BATCH = 50


def merge_own_key(number: int) -> None:
    """Merge one key into all entities of two blueprints, in an order of one's own."""
    processes.wait_for_start()
    random = Random(number)
    keys = [(("thing", "part")[i % 2], f"x{i}") for i in range(COUNT)]
    random.shuffle(keys)
    for start in range(0, COUNT, BATCH):
        drafts = [
            EntityDraft(*key, properties={f"k{number}": key[1]})
            for key in keys[start : start + BATCH]
        ]
        result = apply(drafts, mode=Mode.MERGE, actor=Actor("client", f"writer {number}"))
        assert not result.rejected, result.rejected[0]


def write_edges(number: int) -> None:
    """Two of four write edges to targets that the other two create; each in its own order."""
    processes.wait_for_start()
    random = Random(number)
    order = list(range(COUNT))
    random.shuffle(order)
    for start in range(0, COUNT, 20):
        some = order[start : start + 20]
        if number % 2:
            drafts = [EntityDraft("target", f"t{i}") for i in some]
        else:
            relations = {"to": [f"t{j}" for j in some], "any": [f"target:t{j}" for j in some]}
            drafts = [EntityDraft("thing", f"e{number}-{start}", relations=relations)]
        apply(
            drafts,
            mode=Mode.MERGE,
            actor=Actor("client", f"writer {number}"),
            missing_targets=MissingTargets.DANGLE,
        )


@pytest.fixture
def kinds():
    make_blueprint("target")
    make_blueprint("part")
    make_blueprint(
        "thing",
        relations={
            "has": {"target": "part", "many": True},
            "to": {"target": "target", "many": True},
            "any": {"target": "*", "many": True},
        },
    )
    patch_blueprint("part", {"relations": {"of": {"target": "thing"}}}, actor=ACTOR)


def test_merges_into_the_same_entities_lose_nothing(kinds):
    writers = processes.race(merge_own_key, 4)
    for title in count(1):  # blueprints change meanwhile, in this process
        patch_blueprint("part", {"title": f"Part {title}"}, actor=ACTOR)
        patch_blueprint("thing", {"title": f"Thing {title}"}, actor=ACTOR)
        if all(writer.poll() is not None for writer in writers):
            break
    processes.finish(*writers)
    assert Entity.objects.filter(blueprint__is_system=False).count() == COUNT
    for entity in Entity.objects.filter(blueprint__is_system=False):
        assert entity.properties == {f"k{n}": entity.identifier for n in range(4)}
    actions = Change.objects.filter(model="entity").values_list("action", flat=True)
    assert sorted(actions) == ["create"] * COUNT + ["update"] * 3 * COUNT


def test_no_edge_misses_that_its_target_appeared(kinds):
    writers = processes.race(write_edges, 4)
    processes.finish(*writers)
    assert Relation.objects.count() == 2 * 2 * COUNT
    assert not Relation.objects.filter(target=None).exists()
    delete([("target", f"t{i}") for i in range(COUNT)], actor=ACTOR)
    assert not Relation.objects.exclude(target=None).exists()
