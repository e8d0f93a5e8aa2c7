"""The one door: what each mode does, and what one bad draft does to the others."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AlreadyExists,
    Conflict,
    InvalidEntity,
    InvalidInput,
    LimitExceeded,
    NotFound,
)
from catalog.models import Change, Entity, Relation
from catalog.services import entities
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, Status
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

SERVICE = {
    "properties": {
        "tier": {"type": "string", "enum": ["gold", "silver"]},
        "replicas": {"type": "number"},
        "links": {"type": "array", "items": {"type": "string", "format": "url"}},
        "lifecycle": {"type": "string", "default": "live"},
    },
    "required": ["tier"],
}


def apply(*drafts, mode=Mode.REPLACE, **options):
    return entities.apply(drafts, mode=mode, actor=ACTOR, **options)


def statuses(result):
    return [item.status.value for item in result.items]


def stored():
    return {
        e.identifier: (e.title, e.properties)
        for e in Entity.objects.filter(blueprint__is_system=False)
    }


def everything():
    """All that a write could have touched, to see that nothing was."""
    return (
        list(Entity.objects.order_by("pk").values()),
        list(Relation.objects.order_by("pk").values()),
        Change.objects.count(),
    )


@pytest.mark.parametrize(
    ("mode", "exists", "status", "content"),
    [
        (Mode.CREATE, False, "created", ("New", {"tier": "gold", "lifecycle": "live"})),
        (Mode.REPLACE, False, "created", ("New", {"tier": "gold", "lifecycle": "live"})),
        (Mode.MERGE, False, "created", ("New", {"tier": "gold", "lifecycle": "live"})),
        (Mode.CREATE, True, "rejected", ("Old", {"tier": "silver", "replicas": 3, "own": [1]})),
        (Mode.REPLACE, True, "updated", ("New", {"tier": "gold", "lifecycle": "live"})),
        (Mode.MERGE, True, "updated", ("New", {"tier": "gold", "replicas": 3, "own": [1]})),
    ],
)
def test_each_mode_on_a_new_and_on_a_stored_entity(mode, exists, status, content):
    make_blueprint("service", **SERVICE)
    if exists:
        old = {"tier": "silver", "replicas": 3, "own": [1], "lifecycle": None}
        make_entity("service", "pay", title="Old", properties=old)
    result = apply(
        EntityDraft("service", "pay", title="New", properties={"tier": "gold"}), mode=mode
    )
    assert statuses(result) == [status]
    assert stored() == {"pay": content}
    if status == "rejected":
        assert isinstance(result.items[0].error, AlreadyExists)
    else:
        assert result.items[0].pk == Entity.objects.get(identifier="pay").pk


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.MERGE])
def test_what_must_exist_is_not_created(mode):
    make_blueprint("service", **SERVICE)
    draft = EntityDraft("service", "pay", properties={"tier": "gold"})
    [item] = apply(draft, mode=mode, must_exist=True).items
    assert isinstance(item.error, NotFound)
    assert stored() == {}


def test_a_merge_changes_only_what_it_says_and_null_clears():
    make_blueprint("service", **SERVICE)
    make_entity(
        "service",
        "pay",
        title="Pay",
        icon="Coin",
        team=["core", "ops"],
        properties={"tier": "gold", "replicas": 1, "links": ["https://a.example"]},
    )
    apply(
        EntityDraft(
            "service", "pay", icon=None, properties={"replicas": None, "links": [], "x": 1}
        ),
        mode=Mode.MERGE,
    )
    entity = Entity.objects.get(identifier="pay")
    assert (entity.title, entity.icon, entity.team) == ("Pay", None, ["core", "ops"])
    assert entity.properties == {"tier": "gold", "lifecycle": "live", "links": [], "x": 1}


def test_a_merge_is_refused_only_for_what_it_makes_worse():
    make_blueprint("service", **SERVICE)
    make_entity("service", "pay", properties={"tier": "gold", "replicas": 1})
    stricter = {
        "properties": {
            "tier": {"type": "string", "enum": ["bronze"]},
            "replicas": {"type": "number", "minimum": 5},
            "owner": {"type": "string"},
        },
        "required": ["owner"],
    }
    patch_blueprint("service", {"schema": stricter}, actor=ACTOR, force=True)
    merged = apply(EntityDraft("service", "pay", properties={"note": "x"}), mode=Mode.MERGE)
    assert statuses(merged) == ["updated"]
    [item] = apply(EntityDraft("service", "pay", properties={"replicas": 2}), mode=Mode.MERGE).items
    assert item.error.message == 'property "replicas": 2 is less than the minimum of 5'
    assert item.error.details["field"] == "properties.replicas"
    assert stored()["pay"][1]["replicas"] == 1


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"tier": "gold"}, {"tier": "gold", "lifecycle": "live"}),
        ({"tier": "gold", "lifecycle": "end"}, {"tier": "gold", "lifecycle": "end"}),
        ({"tier": "gold", "lifecycle": None}, {"tier": "gold"}),  # said to have none
    ],
)
def test_a_default_fills_what_was_not_said(properties, expected):
    make_blueprint("service", **SERVICE)
    assert make_entity("service", properties=properties).properties == expected


def test_a_bad_draft_stops_nobody_else():
    make_blueprint("service", **SERVICE)
    result = apply(
        EntityDraft("service", "a", properties={"tier": "gold"}),
        EntityDraft("service", "b", properties={"tier": "tin"}),
        EntityDraft("service", "c", properties={}),
        EntityDraft("nothing", "d"),
        EntityDraft("service", "e f", properties={"tier": "gold"}),
        EntityDraft("service", "g", properties={"tier": "gold", "links": ["x", "http://y"]}),
        EntityDraft("service", "h", properties={"tier": "silver"}),
    )
    assert statuses(result) == ["created", *["rejected"] * 5, "created"]
    assert [(i.error.code, i.error.message) for i in result.rejected] == [
        ("invalid_entity", 'property "tier": "tin" is not one of "gold" or "silver"'),
        ("invalid_entity", '"tier" is a required property'),
        ("not_found", 'Blueprint with identifier "nothing" was not found'),
        (
            "invalid_input",
            'identifier "e f" has a character that is not allowed; expected only letters, digits '
            "and @ _ . + : \\ / = -, and not . or .. alone",
        ),
        ("invalid_entity", 'property "links.0": "x" is not a "url"'),
    ]
    assert sorted(stored()) == ["a", "h"]
    assert result.counts == {"created": 2, "rejected": 5}


def test_all_or_nothing_is_nothing():
    make_blueprint("team", properties={})
    make_blueprint("service", **SERVICE, relations={"owner": {"target": "team"}})
    before = everything()
    result = apply(
        EntityDraft("service", "a", properties={"tier": "gold"}, relations={"owner": "new"}),
        EntityDraft("service", "b", properties={"tier": "tin"}),
        all_or_nothing=True,
        missing_targets=MissingTargets.CREATE,
    )
    assert statuses(result) == ["skipped", "rejected"]
    assert [item.pk for item in result.items] == [None, None]
    assert result.created_targets == []
    assert everything() == before


def test_a_dry_run_says_what_would_happen_and_writes_nothing():
    make_blueprint("team", properties={})
    make_blueprint("service", **SERVICE, relations={"owner": {"target": "team"}})
    old = make_entity("service", "old", properties={"tier": "gold"})
    before = everything()
    result = apply(
        EntityDraft("service", "new", properties={"tier": "gold"}, relations={"owner": "core"}),
        EntityDraft("service", "new", properties={"tier": "silver"}),
        EntityDraft("service", "old", properties={"tier": "silver"}),
        EntityDraft("service", "old", properties={"tier": "silver"}),
        EntityDraft("service", "bad", properties={"tier": "tin"}),
        dry_run=True,
        missing_targets=MissingTargets.CREATE,
    )
    assert statuses(result) == ["created", "updated", "updated", "unchanged", "rejected"]
    assert [item.pk for item in result.items] == [None, None, old.pk, old.pk, None]
    assert result.created_targets == [("team", "core")]
    assert everything() == before


def test_a_draft_that_changes_nothing_writes_nothing():
    make_blueprint("service", **SERVICE)
    properties = {"tier": "gold", "map": {"b": 1, "a": [1.5, True, None]}}
    make_entity("service", "pay", title="Pay", properties=properties)
    before = everything()
    reordered = {"map": {"a": [1.5, True, None], "b": 1}, "tier": "gold"}
    draft = EntityDraft("service", "pay", title="Pay", properties=reordered)
    assert statuses(apply(draft)) == ["unchanged"]
    assert statuses(apply(draft, mode=Mode.MERGE)) == ["unchanged"]
    assert everything() == before


def test_another_writer_of_the_same_content_is_noted_and_nothing_else():
    make_blueprint("service", **SERVICE)
    make_entity("service", "pay", properties={"tier": "gold"}, actor=Actor("client", "a", "one/1"))
    before = Entity.objects.values().get(identifier="pay")
    changes = Change.objects.count()
    draft = EntityDraft("service", "pay", properties={"tier": "gold"})
    entities.apply([draft], mode=Mode.REPLACE, actor=Actor("client", "b", "two/2"))
    after = Entity.objects.values().get(identifier="pay")
    assert after == {**before, "datasource": "two/2"}
    assert Change.objects.count() == changes


def test_drafts_of_one_entity_are_applied_in_order():
    make_blueprint("service", **SERVICE)
    result = apply(
        EntityDraft("service", "pay", properties={"tier": "gold"}),
        EntityDraft("service", "pay", properties={"tier": "tin"}),
        EntityDraft("service", "pay", properties={"replicas": 2}),
        EntityDraft("service", "pay", properties={"replicas": 2}),
        mode=Mode.MERGE,
    )
    assert statuses(result) == ["created", "rejected", "updated", "unchanged"]
    assert stored() == {"pay": (None, {"tier": "gold", "lifecycle": "live", "replicas": 2})}
    assert list(Change.objects.filter(identifier="pay").values_list("action", flat=True)) == [
        "update",
        "create",
    ]


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.MERGE])
def test_what_a_draft_repeats_costs_no_statement(mode):
    make_blueprint("service", schema=SERVICE)

    def gold(tier="gold", title="S", identifier="s"):
        return EntityDraft("service", identifier, title=title, properties={"tier": tier})

    def statements(*drafts):
        with CaptureQueriesContext(connection) as queries:
            result = apply(*drafts, mode=mode)
        return len(queries), result

    apply(gold(identifier="warm-up"), mode=mode)
    one, _ = statements(gold(identifier="once"), gold("tin", identifier="bad"))
    many, result = statements(*[gold(), gold("tin", identifier="bad")] * 200)
    assert many == one
    assert statuses(result)[:4] == ["created", "rejected", "unchanged", "rejected"]
    assert len({item.pk for item in result.items if not item.error}) == 1
    assert [item.index for item in result.items] == list(range(400))
    assert {str(item.error) for item in result.rejected} == {str(result.items[1].error)}

    back = apply(gold(), gold(title="T"), gold(title="T"), gold(), gold("tin"), gold(), mode=mode)
    expected = ["unchanged", "updated", "unchanged", "updated", "rejected", "unchanged"]
    assert statuses(back) == expected
    assert stored()["s"] == ("S", {"tier": "gold", "lifecycle": "live"})


def test_a_repeated_creation_is_refused_and_a_repeated_dry_run_stores_nothing():
    make_blueprint("service", schema=SERVICE)
    draft = EntityDraft("service", "s", properties={"tier": "gold"})
    dry = apply(draft, draft, dry_run=True)
    assert [(item.status.value, item.pk) for item in dry.items] == [
        ("created", None),
        ("unchanged", None),
    ]
    assert statuses(apply(draft, draft, mode=Mode.CREATE)) == ["created", "rejected"]


def test_optimistic_locking_refuses_what_changed_meanwhile():
    make_blueprint("service", **SERVICE)
    seen = bytes(make_entity("service", "pay", properties={"tier": "gold"}).content_hash)

    def write(tier):
        draft = EntityDraft("service", "pay", properties={"tier": tier}, if_hash=seen)
        return apply(draft, mode=Mode.MERGE).items[0]

    assert write("silver").status is Status.UPDATED
    assert isinstance(write("gold").error, Conflict)
    assert stored()["pay"][1]["tier"] == "silver"


def test_types_that_python_thinks_equal_are_different_values():
    make_blueprint("service", **SERVICE)
    make_entity("service", "pay", properties={"tier": "gold", "x": 1, "y": True})
    draft = EntityDraft("service", "pay", properties={"x": True, "y": 1.0})
    assert statuses(apply(draft, mode=Mode.MERGE)) == ["updated"]
    change = Change.objects.get(identifier="pay", action="update")
    assert repr(change.before["properties"]) == "{'x': 1, 'y': True}"
    assert repr(change.after["properties"]) == "{'x': True, 'y': 1.0}"


def test_an_entity_without_identifier_gets_one():
    make_blueprint("service", **SERVICE)
    one, two = apply(
        EntityDraft("service", None, properties={"tier": "gold"}),
        EntityDraft("service", None, properties={"tier": "gold"}),
    ).items
    assert one.identifier != two.identifier
    assert sorted(stored()) == sorted([one.identifier, two.identifier])
    assert one.identifier.startswith("e_")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"title": 5}, "title"),
        ({"title": "t" * 1001}, "title"),
        ({"icon": ["x"]}, "icon"),
        ({"team": 5}, "team"),
        ({"team": ["core", 5]}, "team"),
        ({"team": ["t" * 1001]}, "team"),
        ({"properties": [1]}, "properties"),
        ({"relations": "x"}, "relations"),
    ],
)
def test_parts_of_the_wrong_type_are_refused_by_name(parts, field):
    make_blueprint("thing")
    [item] = apply(EntityDraft("thing", "x", **parts)).items
    assert isinstance(item.error, InvalidInput)
    assert item.error.details["field"] == field
    assert field in item.error.message
    assert stored() == {}


def test_a_team_may_be_one_or_many():
    make_blueprint("thing")
    assert make_entity("thing", team="core").team == ["core"]
    assert make_entity("thing", team=["core", "ops", "core"]).team == ["core", "ops"]


def test_too_many_drafts_are_refused():
    drafts = [EntityDraft("service", f"s{i}") for i in range(entities.MAX_BATCH + 1)]
    with pytest.raises(LimitExceeded, match=r"5001 entities; expected at most 5000"):
        apply(*drafts)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_number_of_statements_does_not_grow_with_the_batch(mode):
    make_blueprint("service", **SERVICE, relations={"uses": {"target": "service", "many": True}})

    def count(prefix, size, *, tier="gold"):
        drafts = [
            EntityDraft(
                "service",
                f"{prefix}{i}",
                properties={"tier": tier},
                relations={"uses": [f"{prefix}{i + 1}", f"{prefix}{i + 2}"]},
            )
            for i in range(size)
        ]
        with CaptureQueriesContext(connection) as queries:
            result = apply(*drafts, mode=mode, missing_targets=MissingTargets.CREATE)
        return len(queries), result.counts

    count("warm", 1)  # loads the shapes, once per process
    few, many = count("a", 5), count("b", 500)
    assert (few[0], few[1]["created"], many[1]["created"]) == (many[0], 5, 500)
    if mode is not Mode.CREATE:
        few, many = count("a", 5, tier="silver"), count("b", 500, tier="silver")
        assert (few[0], few[1]["updated"], many[1]["updated"]) == (many[0], 5, 500)
    assert few[0] <= 15


def test_errors_of_one_draft_name_all_its_problems():
    make_blueprint("service", **SERVICE)
    [item] = apply(EntityDraft("service", "pay", properties={"tier": 1, "replicas": "x"})).items
    assert isinstance(item.error, InvalidEntity)
    assert {(p["path"], p["expected"]) for p in item.error.details["problems"]} == {
        ("tier", "type: string"),
        ("tier", 'enum: ["gold","silver"]'),
        ("replicas", "type: number"),
    }
    assert "and 2 more" in item.error.message
