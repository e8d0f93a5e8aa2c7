"""Computed values follow what they are read from, whatever happens to it."""

import pytest

from catalog.models import Change, Entity, StaleEntity
from catalog.services import derived, entities
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply, delete
from tests.catalog.following import Follower, as_row, refresh_all
from tests.factories import ACTOR, make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def counting(target, **more):
    return {
        "target": target,
        "calculationSpec": {"calculationBy": "entities", "func": "count"},
        **more,
    }


@pytest.fixture
def world():
    """domain ← system ← service ← incident, with values that climb up and down again."""
    make_blueprint("domain", properties={"area": TEXT, "note": TEXT})
    make_blueprint(
        "system",
        relations={"domain": {"target": "domain"}},
        mirrorProperties={"area": {"path": "domain.area"}},
    )
    make_blueprint(
        "service",
        relations={"system": {"target": "system"}, "uses": {"target": "service", "many": True}},
        mirrorProperties={
            "area": {"path": "system.area"},
            "domain": {"path": "system.domain.$identifier"},
            "load": {"path": "system.domain.open"},
        },
        calculationProperties={
            "label": {"calculation": '"\\(.title) in \\(.properties.area)"', "type": "string"}
        },
        ownership={"type": "Inherited", "path": "system.domain"},
    )
    make_blueprint(
        "incident", properties={"state": TEXT}, relations={"service": {"target": "service"}}
    )
    is_open = {"property": "state", "operator": "=", "value": "open"}
    only_open = {"query": {"combinator": "and", "rules": [is_open]}}
    counts = {"aggregationProperties": {"open": counting("incident", **only_open)}}
    patch_blueprint("domain", counts, actor=ACTOR)
    make_entity("domain", "d", team=["core"], properties={"area": "north"})
    make_entity("domain", "e", team=["edge"], properties={"area": "east"})
    make_entity("system", "sy", relations={"domain": "d"})
    make_entity("service", "a", title="A", relations={"system": "sy"})
    make_entity("service", "b", title="B", relations={"system": "later"})
    make_entity("incident", "i", properties={"state": "open"}, relations={"service": "a"})


@pytest.fixture
def follower(world):
    one = Follower()
    one.position = 0
    one.catch_up()
    return one


def put(blueprint, identifier, mode=Mode.MERGE, **parts):
    [item] = apply(
        [EntityDraft(blueprint, identifier, **parts)],
        mode=mode,
        actor=ACTOR,
        missing_targets=MissingTargets.DANGLE,
    ).items
    assert item.error is None, item.error


def values(identifier):
    entity = Entity.objects.get(identifier=identifier)
    return {**entity.computed, "team": entity.team}


A = {"area": "north", "domain": "d", "load": 1, "label": "A in north", "team": ["core"]}
B = {"label": "B in null", "team": []}
LOST = {"label": "A in null", "team": []}


def test_values_climb_through_all_kinds(follower):
    assert values("a") == A
    assert values("b") == B
    assert values("d") == {"open": 1, "team": ["core"]}


@pytest.mark.parametrize(
    ("_case", "change", "a", "b"),
    [
        (
            "a property two relations away",
            lambda: put("domain", "d", properties={"area": "south"}),
            {**A, "area": "south", "label": "A in south"},
            B,
        ),
        (
            "a team two relations away",
            lambda: put("domain", "d", team=["x"]),
            {**A, "team": ["x"]},
            B,
        ),
        (
            "a relation in the middle",
            lambda: put("system", "sy", relations={"domain": "e"}),
            {**A, "area": "east", "domain": "e", "label": "A in east", "team": ["edge"], "load": 1},
            B,
        ),
        ("its own title", lambda: put("service", "a", title="Z"), {**A, "label": "Z in north"}, B),
        ("its own relation", lambda: put("service", "a", relations={"system": None}), LOST, B),
        (
            "a target appears",
            lambda: put("system", "later", relations={"domain": "e"}),
            A,
            {
                "area": "east",
                "domain": "e",
                "load": 0,
                "label": "B in east",
                "team": ["edge"],
            },
        ),
        ("a target goes", lambda: delete([("system", "sy")], actor=ACTOR), LOST, B),
        ("the end goes", lambda: delete([("domain", "d")], actor=ACTOR), LOST, B),
        (
            "the end comes back",
            lambda: (
                delete([("domain", "d")], actor=ACTOR),
                make_entity("domain", "d", team=["new"], properties={"area": "new"}),
            ),
            {**A, "area": "new", "label": "A in new", "team": ["new"]},
            B,
        ),
        (
            "a rename",
            lambda: entities.rename("domain", "d", "dd", actor=ACTOR),
            {**A, "domain": "dd"},
            B,
        ),
        (
            "a rename to what was waited for",
            lambda: entities.rename("system", "sy", "later", actor=ACTOR),
            A,
            {**A, "label": "B in north"},
        ),
        (
            "one more to count",
            lambda: put("incident", "j", properties={"state": "open"}, relations={"service": "a"}),
            {**A, "load": 2},
            B,
        ),
        (
            "one less to count",
            lambda: put("incident", "i", properties={"state": "closed"}),
            {**A, "load": 0},
            B,
        ),
        (
            "what is counted moves away",
            lambda: put("incident", "i", relations={"service": "b"}),
            {**A, "load": 0},
            B,
        ),
        (
            "what is counted goes",
            lambda: delete([("incident", "i")], actor=ACTOR),
            {**A, "load": 0},
            B,
        ),
        (
            "a definition is added and one taken away",
            lambda: patch_blueprint(
                "system",
                {"mirrorProperties": {"where": {"path": "domain.area"}}},
                actor=ACTOR,
            ),
            {"domain": "d", "load": 1, "label": "A in null", "team": ["core"]},
            B,
        ),
        (
            "a definition far away is changed",
            lambda: patch_blueprint(
                "domain", {"aggregationProperties": {"open": counting("system")}}, actor=ACTOR
            ),
            A,
            B,
        ),
        (
            "a relation on the way is no more",
            lambda: patch_blueprint(
                "system", {"relations": {}, "mirrorProperties": {}}, actor=ACTOR, force=True
            ),
            LOST,
            B,
        ),
        (
            "no definition is left",
            lambda: patch_blueprint(
                "service",
                {"mirrorProperties": {}, "calculationProperties": {}, "ownership": None},
                actor=ACTOR,
            ),
            {"team": ["core"]},
            {"team": []},
        ),
        (
            "a blueprint has another name",
            lambda: patch_blueprint("domain", {"identifier": "area"}, actor=ACTOR),
            A,
            B,
        ),
    ],
)
def test_values_follow(follower, _case, change, a, b):
    change()
    follower.catch_up()
    assert (values("a"), values("b")) == (a, b)
    for blueprint, computed in derived.load_plan().by_pk.items():
        pks = Entity.objects.filter(blueprint=blueprint).values_list("pk", flat=True)
        assert derived.compare(blueprint, list(pks)) == [], computed.kind.identifier


def test_what_nothing_reads_marks_nothing(follower):
    put("domain", "d", properties={"note": "x"}, title="D")
    rows = Change.objects.filter(id__gt=follower.position)
    derived.mark([as_row(row) for row in rows])
    pks = StaleEntity.objects.values_list("entity_id", flat=True)
    assert [Entity.objects.get(pk=pk).identifier for pk in pks] == ["d"]


def test_a_change_of_a_computed_value_is_in_the_feed_and_moves_nothing_else(follower):
    before = Entity.objects.values("updated_at", "updated_by", "datasource", "content_hash").get(
        identifier="a"
    )
    put("domain", "d", properties={"area": "south"}, team=["x"])
    follower.catch_up()
    changes = Change.objects.filter(actor="derived").order_by("-id")
    told = {one.identifier: one for one in changes[:2]}
    assert (told["a"].actor_kind, told["a"].action) == ("system", "update")
    assert told["sy"].before == {"computed": {"area": "north"}}
    assert told["sy"].after == {"computed": {"area": "south"}}
    both = Change.objects.filter(actor="derived", identifier="a").order_by("-id")
    kept = {}
    for one in reversed(both):
        kept |= one.after["computed"] | ({"team": one.after["team"]} if "team" in one.after else {})
    assert kept == values("a")
    after = Entity.objects.values("updated_at", "updated_by", "datasource", "content_hash").get(
        identifier="a"
    )
    assert after == before


def test_when_nothing_changes_nothing_is_written(follower):
    changes = Change.objects.count()
    refresh_all()
    assert Change.objects.count() == changes
    put("domain", "d", properties={"area": "north"})
    assert Change.objects.count() == changes


def test_marking_takes_as_many_statements_for_many_changes(world, django_assert_max_num_queries):
    drafts = [EntityDraft("incident", f"n{i}", relations={"service": "a"}) for i in range(400)]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR)
    rows = [as_row(one) for one in Change.objects.filter(identifier__startswith="n")]
    for some in (rows[:2], rows):
        with django_assert_max_num_queries(3):
            derived.mark(some)


def test_a_hub_is_worked_off_in_chunks(world):
    drafts = [EntityDraft("service", f"s{i}", relations={"system": "sy"}) for i in range(250)]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR)
    refresh_all()
    follower = Follower()
    put("domain", "d", properties={"area": "south"})
    derived.mark([as_row(one) for one in Change.objects.filter(id__gt=follower.position)])
    sizes = []
    while (size := derived.refresh_stale(limit=100)) is not None:
        sizes.append(size)
    assert sizes == [1, 1]  # the domain itself and its system; services wait for the system
    [change] = Change.objects.filter(actor="derived", id__gt=follower.position)
    derived.mark([as_row(change)])
    sizes = []
    while (size := derived.refresh_stale(limit=100)) is not None:
        sizes.append(size)
    assert sizes == [100, 100, 51]
    assert values("s249")["area"] == "south"


def test_the_answer_of_a_write_has_the_values_of_what_was_written(follower):
    api = make_api()
    body = {"identifier": "n", "title": "N", "relations": {"system": "sy"}}
    answer = api.post("/v1/blueprints/service/entities", body)
    assert answer.status_code == 201
    shown = answer.json()["entity"]
    assert (shown["properties"]["label"], shown["team"]) == ("N in north", ["core"])
    answer = api.patch("/v1/blueprints/service/entities/n", {"title": "M"})
    shown = answer.json()["entity"]
    assert shown["properties"] == {
        "area": "north",
        "domain": "d",
        "load": 1,
        "label": "M in north",
    }
    assert shown["team"] == ["core"]
    again = api.patch("/v1/blueprints/service/entities/n", {"title": "M"}).json()["entity"]
    assert again["updatedAt"] == shown["updatedAt"]
    plain = api.get("/v1/blueprints/service/entities/n?exclude_calculated_properties=true")
    assert plain.json()["entity"]["properties"] == {}
    bulk = api.post(
        "/v1/blueprints/service/entities/bulk",
        {"entities": [{"identifier": one, "relations": {"system": "sy"}} for one in ("p", "q")]},
    )
    assert bulk.status_code == 200
    assert [values(one)["label"] for one in ("p", "q")] == ["null in north"] * 2
    found = api.post(
        "/v1/blueprints/service/entities/search",
        {"query": {"combinator": "and", "rules": [
            {"property": "area", "operator": "=", "value": "north"},
            {"property": "load", "operator": ">", "value": 0},
        ]}, "include": ["$identifier"]},
    ).json()["entities"]  # fmt: skip
    assert {one["identifier"] for one in found} == {"a", "n", "p", "q"}


def test_time_alone_moves_only_what_depends_on_it(world):
    patch_blueprint(
        "incident",
        {"calculationProperties": {"age": {"calculation": "now", "type": "number"}}},
        actor=ACTOR,
    )
    refresh_all()
    before = values("i")["age"]
    derived.mark_loose()
    assert StaleEntity.objects.count() == 1
    derived.refresh_stale()
    assert values("i")["age"] > before
    [incident] = Entity.objects.filter(identifier="i")
    assert derived.compare(incident.blueprint_id, [incident.pk]) == []
