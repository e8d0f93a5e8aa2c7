"""Edges: what they may say, what becomes of those that lead nowhere, and of those that break."""

import pytest

from catalog.kernel.errors import HasDependents, NotFound
from catalog.models import Change, Entity, Relation
from catalog.services import entities
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db


def apply(*drafts, mode=Mode.MERGE, **options):
    return entities.apply(drafts, mode=mode, actor=ACTOR, **options)


def statuses(result):
    return [item.status.value for item in result.items]


def edges(source):
    """(relation, target, whether it is there) in their order."""
    rows = Relation.objects.filter(source__identifier=source).order_by("position")
    return [
        (r.definition.identifier, f"{r.target_blueprint}:{r.target_identifier}", bool(r.target))
        for r in rows.select_related("definition", "target")
    ]


@pytest.fixture
def kinds():
    make_blueprint("team")
    make_blueprint(
        "service",
        relations={
            "owner": {"target": "team"},
            "uses": {"target": "service", "many": True},
            "near": {"target": "*", "many": True},
            "home": {"target": "*"},
        },
    )


def test_single_many_and_any(kinds):
    make_entity("team", "core")
    make_entity("service", "auth")
    relations = {
        "uses": ["auth", "pay", "auth"],  # itself, and one twice
        "owner": "core",
        "near": ["team:core", "service:pay", "service:a:b"],
        "home": "team:core",
    }
    result = apply(
        EntityDraft("service", "a:b"), EntityDraft("service", "pay", relations=relations)
    )
    assert statuses(result) == ["created", "created"]
    assert edges("pay") == [
        ("uses", "service:auth", True),
        ("uses", "service:pay", True),
        ("owner", "team:core", True),
        ("near", "team:core", True),
        ("near", "service:pay", True),
        ("near", "service:a:b", True),
        ("home", "team:core", True),
    ]
    assert Entity.objects.get(identifier="pay").relations == {
        **relations,
        "uses": ["auth", "pay"],
    }


@pytest.mark.parametrize(
    ("relations", "message"),
    [
        ({"boss": "x"}, 'relation "boss" does not exist on blueprint "service"; it has owner, '),
        ({"owner": ["core"]}, "relation \"owner\" must be one identifier, not ['core']"),
        ({"owner": 5}, 'relation "owner" must be one identifier, not 5'),
        ({"owner": ""}, 'relation "owner" must be one identifier, not '),
        ({"uses": {"a": 1}}, 'relation "uses" must be a list of identifiers, not '),
        ({"uses": ["a", None]}, 'relation "uses" must be a list of identifiers, not '),
        ({"near": ["core"]}, 'relation "near" must be blueprint:identifier, not core'),
        ({"home": "team:"}, 'relation "home" must be blueprint:identifier, not team:'),
        ({"owner": "t" * 1001}, "has 1001 characters; expected at most 1000"),
        ({"owner": "語" * 700}, "has 2100 bytes; expected at most 2000"),
        ({"home": "b" * 101 + ":x"}, "has 101 characters; expected at most 100"),
    ],
)
def test_wrong_values_are_refused_even_where_edges_may_dangle(kinds, relations, message):
    draft = EntityDraft("service", "pay", relations=relations)
    [item] = apply(draft, missing_targets=MissingTargets.DANGLE).items
    assert message in item.error.message
    assert item.error.details["field"].startswith("relations.")
    assert not Entity.objects.filter(identifier="pay").exists()


def test_a_missing_target_is_refused_by_name(kinds):
    [item] = apply(EntityDraft("service", "pay", relations={"owner": "core"})).items
    assert isinstance(item.error, NotFound)
    assert item.error.message == (
        'relation "owner": entity "core" of blueprint "team" was not found'
    )


def test_rejections_cascade_to_those_who_needed_the_rejected(kinds):
    chain = [
        EntityDraft("service", f"s{i}", relations={"uses": [f"s{i + 1}"]}) for i in range(2000)
    ]
    result = apply(*chain, EntityDraft("service", "island"))
    assert result.counts == {"rejected": 2000, "created": 1}
    assert result.items[0].error.details["value"] == "s1"
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["island"]


def test_entities_of_one_batch_may_point_at_each_other(kinds):
    result = apply(
        EntityDraft("service", "a", relations={"uses": ["b"]}),
        EntityDraft("service", "b", relations={"uses": ["a"]}),
    )
    assert statuses(result) == ["created", "created"]
    assert edges("a") == [("uses", "service:b", True)]
    assert edges("b") == [("uses", "service:a", True)]


def test_missing_targets_are_made_where_asked_for(kinds):
    make_blueprint("host", properties={"os": {"type": "string", "default": "linux"}})
    relations = {"owner": "core", "near": ["host:h1", "service:b"], "uses": ["b"]}
    result = apply(
        EntityDraft("service", "a", relations=relations),
        EntityDraft("service", "b", relations={"home": "_team:x"}),  # system: never made up
        EntityDraft("service", "c", relations={"home": "nothing:x"}),
        EntityDraft("service", "d", relations={"near": ["host:white space"]}),
        missing_targets=MissingTargets.CREATE,
    )
    assert statuses(result) == ["created", "rejected", "rejected", "rejected"]
    assert sorted(result.created_targets) == [("host", "h1"), ("service", "b"), ("team", "core")]
    assert [is_there for _, _, is_there in edges("a")] == [True] * 4
    host = Entity.objects.get(identifier="h1")
    assert (host.title, host.properties) == ("h1", {"os": "linux"})


def test_a_dangling_edge_is_kept_and_mended_when_its_target_appears(kinds):
    make_entity("service", "pay", relations={"owner": "core", "near": ["team:core", "no:thing"]})
    assert edges("pay") == [
        ("owner", "team:core", False),
        ("near", "team:core", False),
        ("near", "no:thing", False),
    ]
    changes = Change.objects.filter(identifier="pay").count()
    make_entity("team", "core")
    assert [is_there for _, _, is_there in edges("pay")] == [True, True, False]
    make_blueprint("no")
    make_entity("no", "thing")
    assert [is_there for _, _, is_there in edges("pay")] == [True, True, True]
    assert Change.objects.filter(identifier="pay").count() == changes


def test_a_merge_does_not_answer_for_edges_that_dangled_before(kinds):
    make_entity("service", "pay", relations={"uses": ["gone"], "owner": "core"})
    make_entity("service", "auth")
    result = apply(
        EntityDraft("service", "pay", title="Pay"),
        EntityDraft("service", "pay", relations={"uses": ["gone", "auth"]}),
        EntityDraft("service", "pay", relations={"uses": ["gone", "auth", "new"]}),
    )
    assert statuses(result) == ["updated", "updated", "rejected"]
    assert edges("pay") == [
        ("uses", "service:gone", False),
        ("uses", "service:auth", True),
        ("owner", "team:core", False),
    ]


def test_null_and_an_empty_list_clear_a_relation(kinds):
    make_entity("service", "pay", relations={"uses": ["a"], "owner": "core", "home": "team:x"})
    apply(EntityDraft("service", "pay", relations={"uses": [], "owner": None}))
    assert Entity.objects.get(identifier="pay").relations == {"home": "team:x"}
    assert edges("pay") == [("home", "team:x", False)]


def test_a_required_relation(kinds):
    make_blueprint("task", relations={"of": {"target": "service", "required": True}})
    make_entity("service", "pay")
    missing = 'relation "of" is required'
    assert [i.error.message for i in apply(EntityDraft("task", "a")).items] == [missing]
    make_entity("task", "a", relations={"of": "pay"})
    assert statuses(apply(EntityDraft("task", "a", title="A"))) == ["updated"]
    cleared = apply(EntityDraft("task", "a", relations={"of": None}))
    assert [i.error.message for i in cleared.items] == [missing]
    replaced = apply(EntityDraft("task", "a", title="B"), mode=Mode.REPLACE)
    assert [i.error.message for i in replaced.items] == [missing]
    # One that lacked it before it was required may still be merged.
    make_entity("service", "old")
    required = {"lead": {"target": "team", "required": True}}
    patch_blueprint("service", {"relations": required}, actor=ACTOR, force=True)
    assert statuses(apply(EntityDraft("service", "old", title="Old"))) == ["updated"]


def test_deletion_leaves_edges_dangling_and_the_whole_in_history(kinds):
    make_entity("team", "core", title="Core", properties={"a": 1})
    make_entity("service", "pay", relations={"owner": "core"})
    deleted = entities.delete([("team", "core"), ("team", "never"), ("\0", "\ud800")], actor=ACTOR)
    assert deleted == [("team", "core")]
    assert edges("pay") == [("owner", "team:core", False)]
    assert Entity.objects.get(identifier="pay").relations == {"owner": "core"}
    change = Change.objects.get(action="delete")
    assert (change.before["title"], change.before["properties"], change.after) == (
        "Core",
        {"a": 1},
        None,
    )
    make_entity("team", "core")
    assert edges("pay") == [("owner", "team:core", True)]


def test_deletion_is_refused_for_what_others_require(kinds):
    make_blueprint("task", relations={"of": {"target": "service", "required": True}})
    make_blueprint("step", relations={"in": {"target": "task", "required": True}})
    make_entity("service", "pay", relations={"uses": ["pay"]})
    make_entity("service", "other")
    make_entity("task", "t", relations={"of": "pay"})
    make_entity("step", "s", relations={"in": "t"})
    with pytest.raises(HasDependents) as error:
        entities.delete([("service", "other"), ("service", "pay")], actor=ACTOR)
    assert error.value.details["dependents"] == ["task:t", "step:s"]
    assert Entity.objects.count() == 4
    deleted = entities.delete([("service", "pay")], actor=ACTOR, delete_dependents=True)
    assert sorted(deleted) == [("service", "pay"), ("step", "s"), ("task", "t")]
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["other"]
    assert not Relation.objects.exists()


def test_restore_brings_back_what_was_deleted(kinds):
    make_blueprint("host", properties={"os": {"type": "string", "default": "linux"}})
    make_entity(
        "host", "h", title="H", icon="I", team=["x"], properties={"os": None, "n": 1}, location="l"
    )
    make_entity("service", "pay", relations={"near": ["host:h"]}, descriptor={"b": 1, "a": 2})
    keys = [("host", "h"), ("service", "pay")]
    content = entities.content.CONTENT_COLUMNS
    before = list(Entity.objects.order_by("identifier").values(*content, "content_hash"))
    entities.delete(keys, actor=ACTOR)
    deletions = Change.objects.filter(action="delete").order_by("-id")
    result = entities.restore(
        [(c.blueprint, c.identifier, c.before) for c in deletions], actor=ACTOR
    )
    assert result.counts == {"created": 2}
    after = list(Entity.objects.order_by("identifier").values(*content, "content_hash"))
    assert after == before
    assert edges("pay") == [("near", "host:h", True)]
