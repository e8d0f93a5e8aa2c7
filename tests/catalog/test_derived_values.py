"""What mirrors, calculations and aggregations come to."""

from datetime import UTC, datetime, timedelta

import pytest

from catalog.kernel.actors import Role
from catalog.models import Entity
from catalog.services import derived
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.catalog.following import refresh_all
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def refreshed(blueprint, *identifiers):
    """The computed values of entities after a refresh of all that there is, twice."""
    refresh_all()
    refresh_all()
    found = {e.identifier: e for e in Entity.objects.filter(blueprint__identifier=blueprint)}
    return [found[one].computed for one in identifiers]


def counting(target="incident", **more):
    return {
        "target": target,
        "calculationSpec": {"calculationBy": "entities", "func": "count"},
        **more,
    }


def measuring(function, name="cost", target="incident", **more):
    spec = {"calculationBy": "property", "func": function, "property": name, **more}
    return {"target": target, "calculationSpec": spec}


def rules(*given):
    return {"combinator": "and", "rules": list(given)}


@pytest.fixture
def world():
    """domain ← system ← service (uses service, near anything) ← incident."""
    make_blueprint("domain", properties={"area": TEXT, "tags": {"type": "array"}})
    make_blueprint("system", relations={"domain": {"target": "domain"}})
    make_blueprint(
        "service",
        properties={"tier": NUMBER},
        relations={
            "system": {"target": "system"},
            "uses": {"target": "service", "many": True},
            "near": {"target": "*", "many": True},
        },
    )
    make_blueprint(
        "incident",
        properties={"cost": NUMBER, "state": TEXT, "at": {"type": "string", "format": "date-time"}},
        relations={"service": {"target": "service"}, "about": {"target": "*", "many": True}},
    )
    make_entity("domain", "d", title="Dee", team=["core"], properties={"area": "x", "tags": [1, 2]})
    make_entity("domain", "e", properties={"tags": [3]})
    make_entity("system", "sy", relations={"domain": "d"})
    make_entity("system", "sz", relations={"domain": "e"})
    make_entity("service", "a", title="A", relations={"system": "sy", "uses": ["c", "b", "gone"]})
    make_entity("service", "b", properties={"tier": 2}, relations={"system": "sz"})
    make_entity(
        "service", "c", properties={"tier": 1.0}, relations={"near": ["domain:d", "system:sy"]}
    )


@pytest.mark.parametrize(
    ("path", "a", "b"),
    [
        ("system.$identifier", "sy", "sz"),
        ("system.domain.$title", "Dee", None),
        ("system.domain.area", "x", None),
        ("system.domain.tags", [1, 2], [3]),
        ("system.domain.$team", ["core"], []),
        ("system.$blueprint", "system", "system"),
        ("system.$createdBy", "tester@example.com", "tester@example.com"),
        ("uses.tier", [1.0, 2], []),
        ("uses.$identifier", ["c", "b"], []),
        ("uses.system.domain.tags", [3], []),
        ("uses.near.$identifier", ["d", "sy"], []),
        ("uses.near.area", ["x"], []),
        ("system.nothing", None, None),
    ],
)
def test_a_mirror_shows_what_is_at_the_end_of_its_path(world, path, a, b):
    patch_blueprint("service", {"mirrorProperties": {"m": {"path": path}}}, actor=ACTOR)
    assert [one.get("m") for one in refreshed("service", "a", "b")] == [a, b]


def test_mirrored_moments_are_those_of_the_api(world):
    patch_blueprint(
        "service", {"mirrorProperties": {"m": {"path": "system.$updatedAt"}}}, actor=ACTOR
    )
    [a] = refreshed("service", "a")
    moment = Entity.objects.get(identifier="sy").updated_at
    assert a["m"] == moment.astimezone(UTC).isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )


def test_mirrors_show_what_is_computed_for_their_target(world):
    calculation = {"calculation": '.title + "!"', "type": "string"}
    patch_blueprint("domain", {"calculationProperties": {"c": calculation}}, actor=ACTOR)
    patch_blueprint("system", {"mirrorProperties": {"m": {"path": "domain.c"}}}, actor=ACTOR)
    patch_blueprint("service", {"mirrorProperties": {"m": {"path": "system.m"}}}, actor=ACTOR)
    assert refreshed("service", "a", "c") == [{"m": "Dee!"}, {}]


NOW = datetime.now(UTC)


@pytest.fixture
def incidents(world):
    """a: costs 1, 2, 6 (open), nothing; b: 4 (open). One of a's is about b, too."""
    for number, (service, cost, state) in enumerate(
        [
            ("a", 1, "closed"),
            ("a", 2, "closed"),
            ("a", 6, "open"),
            ("a", None, "closed"),
            ("b", 4, "open"),
        ]
    ):
        at = NOW - timedelta(days=9.5 - number)
        make_entity(
            "incident",
            f"i{number}",
            properties={"cost": cost, "state": state, "at": at.isoformat()},
            relations={"service": service, "about": ["service:b"] if number == 0 else []},
        )


OPEN = {"property": "state", "operator": "=", "value": "open"}


@pytest.mark.parametrize(
    ("definition", "a", "b", "c"),
    [
        (counting(), 4, 2, 0),
        (counting(query=rules(OPEN)), 1, 1, 0),
        (counting(query=rules({"relation": "service", "operator": "=", "value": "b"})), 0, 1, 0),
        (counting(query=rules({**OPEN, "operator": "!="})), 3, 1, 0),
        (counting(pathFilter=[{"path": ["service"], "fromBlueprint": "incident"}]), 4, 1, 0),
        (counting(pathFilter=[{"path": ["about"]}]), 0, 1, 0),
        (counting("system"), 1, 1, 1),
        (counting("domain"), 1, 1, 1),
        (counting("service"), 2, 1, 1),
        (counting("service", pathFilter=[{"path": ["uses"]}]), 2, 0, 0),
        (measuring("sum"), 9, 5, None),
        (measuring("min"), 1, 1, None),
        (measuring("max"), 6, 4, None),
        (measuring("median"), 2, 2.5, None),
        (measuring("average"), 3, 2.5, None),
        (measuring("average", averageOf="total"), 3, 2.5, None),
        (measuring("average", averageOf="day", measureTimeBy="at"), 0.9, 0.5, None),
        (measuring("average", averageOf="day"), 9, 5, None),
        (measuring("sum", "state"), None, None, None),
        (
            {
                "target": "incident",
                "calculationSpec": {
                    "calculationBy": "entities",
                    "func": "average",
                    "averageOf": "week",
                    "measureTimeBy": "at",
                },
            },
            2,
            1,
            None,
        ),
        (
            {
                "target": "incident",
                "calculationSpec": {
                    "calculationBy": "entities", "func": "average", "averageOf": "total",
                },
            },
            4,
            2,
            0,
        ),
    ],
)  # fmt: skip
def test_an_aggregation_counts_what_is_related_in_either_direction(incidents, definition, a, b, c):
    patch_blueprint("service", {"aggregationProperties": {"n": definition}}, actor=ACTOR)
    found = refreshed("service", "a", "b", "c")
    assert [one.get("n") for one in found] == [a, b, c]
    assert [type(one["n"]) for one in found if "n" in one] == [
        type(one) for one in (a, b, c) if one is not None
    ]


def test_an_aggregation_reaches_along_chains_and_counts_each_thing_once(incidents):
    """Neither a way through the same kind again nor one along a relation to any kind is a chain."""
    patch_blueprint("service", {"aggregationProperties": {"n": counting()}}, actor=ACTOR)
    patch_blueprint(
        "domain",
        {
            "aggregationProperties": {
                "incidents": counting(),
                "worst": measuring("max", "n", "service"),
                "near": counting(
                    "service", pathFilter=[{"path": ["near"], "fromBlueprint": "service"}]
                ),
            }
        },
        actor=ACTOR,
    )
    assert refreshed("domain", "d", "e") == [
        {"incidents": 4, "worst": 4, "near": 1},
        {"incidents": 1, "worst": 2, "near": 0},
    ]


def test_a_calculation_sees_the_entity_with_its_mirrors_and_aggregations(incidents):
    patch_blueprint(
        "service",
        {
            "mirrorProperties": {"area": {"path": "system.domain.area"}},
            "aggregationProperties": {"n": counting()},
            "calculationProperties": {
                "all": {"calculation": ".", "type": "object"},
                "other": {"calculation": ".properties.all", "type": "string"},
                "sum": {"calculation": ".properties.n + (.properties.tier // 0)", "type": "number"},
            },
        },
        actor=ACTOR,
    )
    [a, b] = refreshed("service", "a", "b")
    entity = Entity.objects.get(identifier="a")
    moment = entity.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert a.pop("all") == {
        "identifier": "a",
        "title": "A",
        "icon": None,
        "team": [],
        "blueprint": "service",
        "properties": {"area": "x", "n": 4},
        "relations": {"system": "sy", "uses": ["c", "b", "gone"], "near": []},
        "createdAt": moment,
        "createdBy": "tester@example.com",
        "updatedAt": moment,
        "updatedBy": "tester@example.com",
    }
    assert a == {"area": "x", "n": 4, "sum": 4}  # other calculations are not to be seen
    assert b["sum"] == 4


def test_a_calculation_that_fails_has_no_value_and_says_why(world):
    patch_blueprint(
        "service",
        {
            "calculationProperties": {
                "bad": {"calculation": ".title + 1", "type": "string"},
                "none": {"calculation": "empty", "type": "string"},
                "nul": {"calculation": r'"\u0000"', "type": "string"},
                "good": {"calculation": ".identifier", "type": "string"},
            }
        },
        actor=ACTOR,
    )
    assert refreshed("service", "a") == [{"good": "a"}]
    errors = Entity.objects.get(identifier="a").computed_errors
    assert list(errors) == ["bad", "nul"]
    assert errors["bad"] == 'string ("A") and number (1) cannot be added'
    apply([EntityDraft("service", "a", title=None)], mode=Mode.MERGE, actor=ACTOR)
    [a] = refreshed("service", "a")
    assert a["bad"] == 1
    assert list(Entity.objects.get(identifier="a").computed_errors) == ["nul"]


def test_ownership_is_inherited_along_its_path(world):
    patch_blueprint(
        "service", {"ownership": {"type": "Inherited", "path": "system.domain"}}, actor=ACTOR
    )
    patch_blueprint("incident", {"teamInheritance": {"path": "service"}}, actor=ACTOR)
    make_entity("incident", "i", team=["ignored"], relations={"service": "a"})
    refreshed("service", "a")
    teams = dict(Entity.objects.values_list("identifier", "team"))
    assert (teams["a"], teams["b"], teams["i"]) == (["core"], [], ["core"])
    assert {e.identifier for e in Entity.objects.all().owned_by(["core"])} == {"d", "a", "i"}


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.MERGE])
def test_a_write_leaves_an_inherited_team_alone(world, mode):
    patch_blueprint(
        "service", {"ownership": {"type": "Inherited", "path": "system.domain"}}, actor=ACTOR
    )
    refreshed("service", "a")
    relations = {"system": "sy", "uses": ["c", "b", "gone"]}

    def write(**parts):
        draft = EntityDraft("service", "a", relations=relations, team=["mine"], **parts)
        [item] = apply([draft], mode=mode, actor=ACTOR, missing_targets=MissingTargets.DANGLE).items
        return item.status.value, Entity.objects.get(identifier="a").team

    assert write(title="A") == ("unchanged", ["core"])
    assert write(title="B") == ("updated", ["core"])


def test_teams_stay_when_ownership_is_no_longer_inherited(world):
    patch_blueprint(
        "service", {"ownership": {"type": "Inherited", "path": "system.domain"}}, actor=ACTOR
    )
    refreshed("service", "a")
    patch_blueprint("service", {"ownership": {"type": "Direct"}}, actor=ACTOR)
    refreshed("service", "a")
    draft = EntityDraft("service", "a", team=["core"])
    [item] = apply([draft], mode=Mode.MERGE, actor=ACTOR).items
    assert (item.status.value, Entity.objects.get(identifier="a").team) == ("unchanged", ["core"])


def test_statements_do_not_depend_on_how_many_entities_there_are(
    incidents, django_assert_num_queries
):
    calculation = {"calculation": '"\\(.properties.n) \\(.properties.area)"', "type": "string"}
    patch_blueprint(
        "service",
        {
            "mirrorProperties": {
                "area": {"path": "system.domain.area"},
                "t": {"path": "uses.tier"},
            },
            "aggregationProperties": {"n": counting(), "m": measuring("max")},
            "calculationProperties": {"c": calculation},
        },
        actor=ACTOR,
    )
    apply(
        [EntityDraft("service", f"s{n}", relations={"system": "sy"}) for n in range(300)],
        mode=Mode.CREATE,
        actor=ACTOR,
    )
    services = Entity.objects.filter(blueprint__identifier="service").order_by("-pk")
    pk = services[0].blueprint_id
    for count in (2, 250):
        pks = list(services.values_list("pk", flat=True)[:count])
        derived.load_plan()
        # two locks, plan, entities, two paths, kinds for two aggregations and these, update, feed
        with django_assert_num_queries(11):
            assert len(derived.refresh(pk, pks)) == count - (0 if count == 2 else 2)


def test_pages_say_what_could_not_be_worked_out(world):
    calculation = {"title": "Odd", "calculation": ".title + 1", "type": "string"}
    patch_blueprint(
        "service",
        {
            "calculationProperties": {"bad": calculation},
            "ownership": {"type": "Inherited", "path": "system.domain"},
        },
        actor=ACTOR,
    )
    refreshed("service", "a")
    page = make_browser().get("/catalog/service/a").content.decode()
    assert 'title="string (&quot;A&quot;) and number (1) cannot be added"' in page
    admin = make_browser(role=Role.ADMIN)
    form = admin.get(f"/admin/catalog/entity/{Entity.objects.get(identifier='a').pk}/change/")
    shown = form.content.decode()
    assert "could not be worked out: string" in shown
    assert 'name="team"' not in shown
    assert "inherited" in shown
