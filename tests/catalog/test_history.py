"""History: every moment can be brought back, and each change is told field by field."""

from copy import deepcopy
from datetime import timedelta
from random import Random

import pytest
from django.utils import timezone

from catalog.kernel.actors import Actor
from catalog.models import Change, Entity
from catalog.selectors.history import FieldChange, entity_as_of, timeline
from catalog.services import entities
from catalog.services.blueprints import rename_property
from catalog.services.entities import EntityDraft, MissingTargets, Mode
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

CONTENT = ("title", "icon", "team", "properties", "relations", "descriptor", "location")


def shown(entity):
    content = {name: deepcopy(getattr(entity, name)) for name in CONTENT}
    return {**content, "blueprint": "thing", "identifier": entity.identifier}


def random_parts(random):
    """Any part may be said or not, cleared, or given a value; values that Python thinks equal."""
    values = [1, 1.0, True, False, 0, "x", "", [], [1, {"a": None}], {}, {"a": 1}, {"a": 1.0}]
    parts = {}
    if random.random() < 0.4:
        parts["title"] = random.choice([None, "A", "B"])
    if random.random() < 0.3:
        parts["team"] = random.sample(["x", "y", "z"], random.randrange(3))
    if random.random() < 0.8:
        names = random.sample(["p", "q", "r"], random.randrange(1, 3))
        parts["properties"] = {name: random.choice([None, *values]) for name in names}
    if random.random() < 0.4:
        parts["relations"] = {
            "one": random.choice([None, "n0", "gone"]),
            "many": random.sample(["n0", "n1", "n2"], random.randrange(4)),
        }
    if random.random() < 0.2:
        parts["descriptor"] = random.choice([None, {"b": 1, "a": [True, 1]}])
    if random.random() < 0.2:
        parts["location"] = random.choice([None, "file:a"])
    return parts


@pytest.mark.parametrize("seed", range(4))
def test_every_moment_of_a_random_life_can_be_brought_back(seed):
    random = Random(seed)
    make_blueprint(
        "thing", relations={"one": {"target": "thing"}, "many": {"target": "thing", "many": True}}
    )
    lives: dict[int, dict] = {}  # by pk: {moment: what was there}
    names: dict[int, str] = {}  # by pk: the name now, or the last one
    moments = [timezone.now()]
    for step in range(60):
        here = list(Entity.objects.values_list("identifier", flat=True))
        verb = random.choice(["write"] * 5 + ["delete", "rename"])
        if verb == "delete" and here:
            entities.delete([("thing", random.choice(here))], actor=ACTOR)
        elif verb == "rename" and here:
            entities.rename("thing", random.choice(here), f"new{step}", actor=ACTOR)
        else:
            drafts = [
                EntityDraft("thing", random.choice([*here, "n0", "n1"]), **random_parts(random))
                for _ in range(random.randrange(1, 4))
            ]
            mode = random.choice([Mode.MERGE, Mode.MERGE, Mode.REPLACE])
            result = entities.apply(
                drafts, mode=mode, actor=ACTOR, missing_targets=MissingTargets.DANGLE
            )
            assert not result.rejected
        moments.append(timezone.now())
        for entity in Entity.objects.all():
            lives.setdefault(entity.pk, {})[moments[-1]] = shown(entity)
            names[entity.pk] = entity.identifier
    assert len(set(names.values())) < len(names)  # some name was used twice
    for name in set(names.values()):
        same_name = [lives[pk] for pk in lives if names[pk] == name]
        for moment in moments:
            expected = next((life[moment] for life in same_name if moment in life), None)
            found = entity_as_of("thing", name, moment)
            assert repr(sorted_keys(found)) == repr(sorted_keys(expected)), (name, moment)


def sorted_keys(value):
    """For `repr`, which tells 1 from True: with the keys of `jsonb` objects in one order."""
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(one) for one in value] if isinstance(value, list) else value


def test_as_of_knows_before_and_after():
    make_blueprint("thing")
    before = timezone.now()
    assert entity_as_of("thing", "x", before) is None
    entity = make_entity("thing", "x", title="X")
    assert entity_as_of("thing", "x", before) is None
    assert entity_as_of("thing", "x", entity.created_at)["title"] == "X"
    assert entity_as_of("thing", "x", timezone.now() + timedelta(days=1))["title"] == "X"
    assert entity_as_of("nothing", "x", timezone.now()) is None


def test_what_retention_dropped_leaves_the_oldest_that_is_known():
    make_blueprint("thing")
    created = make_entity("thing", "x", title="A").created_at
    for title in ("B", "C"):
        draft = EntityDraft("thing", "x", title=title)
        entities.apply([draft], mode=Mode.MERGE, actor=ACTOR)
    Change.objects.filter(identifier="x", action="create").delete()
    Change.objects.filter(identifier="x").order_by("id").first().delete()
    assert entity_as_of("thing", "x", created)["title"] == "B"
    assert entity_as_of("thing", "x", created - timedelta(seconds=1)) is None


def test_the_timeline_tells_each_change_field_by_field():
    make_blueprint(
        "thing",
        properties={"tier": {"type": "string"}, "n": {"type": "number"}},
        relations={"to": {"target": "*"}},
    )
    entity = make_entity("thing", "x", properties={"tier": "gold", "n": 1}, descriptor={"a": 1})
    client = Actor("client", "ocean-1", "port-ocean/1")
    entities.apply(
        [
            EntityDraft(
                "thing",
                "x",
                title="X",
                team="core",
                properties={"tier": "silver", "n": None, "own": [1]},
                relations={"to": "a:b"},
                descriptor={"a": 2},
            )
        ],
        mode=Mode.MERGE,
        actor=client,
        missing_targets=MissingTargets.DANGLE,
        run="r_1",
    )
    rename_property("thing", "tier", "level", actor=ACTOR)
    entities.rename("thing", "x", "y", actor=ACTOR)
    told = [(e.action, e.actor_kind, e.actor, e.run, set_of(e.changes)) for e in timeline(entity)]
    assert told == [
        ("rename", "user", ACTOR.name, "", {("identifier", "'x'", "'y'")}),
        (
            "update",
            "user",
            ACTOR.name,
            "",
            {("properties.tier", "'silver'", "None"), ("properties.level", "None", "'silver'")},
        ),
        (
            "update",
            "client",
            "ocean-1",
            "r_1",
            {
                ("title", "None", "'X'"),
                ("team", "[]", "['core']"),
                ("properties.tier", "'gold'", "'silver'"),
                ("properties.n", "1", "None"),
                ("properties.own", "None", "[1]"),
                ("relations.to", "None", "'a:b'"),
            },
        ),
        ("create", "user", ACTOR.name, "", set()),
    ]
    assert [e.action for e in timeline(entity, limit=2)] == ["rename", "update"]


def set_of(changes: list[FieldChange]):
    return {(c.path, repr(c.before), repr(c.after)) for c in changes}
