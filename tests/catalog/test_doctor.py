"""The doctor finds what does not fit together, and mends it."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from catalog.models import Change, Entity, FeedConsumer, Relation
from catalog.services import derived, doctor
from catalog.services.blueprints import patch_blueprint
from tests.catalog.following import refresh_all
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    make_blueprint("system", properties={"area": {"type": "string"}})
    make_blueprint(
        "service",
        relations={"system": {"target": "system"}, "near": {"target": "*", "many": True}},
        mirrorProperties={"area": {"path": "system.area"}},
        calculationProperties={
            "label": {"calculation": '.properties.area + "!"', "type": "string"},
            "bad": {"calculation": ".identifier + 1", "type": "string"},
        },
    )
    count = {"calculationBy": "property", "func": "max", "property": "label"}
    make_blueprint(
        "host",
        relations={"of": {"target": "service"}},
        mirrorProperties={"area": {"path": "of.area"}},
        aggregationProperties={"n": {"target": "service", "calculationSpec": count}},
    )
    make_entity("system", "sy", properties={"area": "north"})
    make_entity("service", "a", relations={"system": "sy", "near": ["system:sy", "host:h"]})
    make_entity("service", "b", relations={"system": "gone"})
    make_entity("host", "h", relations={"of": "a"})
    derived.settle(derived.CONSUMER)
    for _ in range(3):
        refresh_all()


def run(*options):
    """(exit code, the lines of the table by name, everything printed)"""
    out, code = StringIO(), 0
    try:
        call_command("doctor", *options, stdout=out, stderr=out)
    except SystemExit as end:
        code = end.code
    printed = out.getvalue()
    table = {}
    for line in printed.splitlines():
        name, *numbers = line.rsplit(maxsplit=3) or [""]
        if len(numbers) == 3 and all(number.replace(",", "").isdigit() for number in numbers):
            table[name] = tuple(int(number.replace(",", "")) for number in numbers)
    return code, table, printed


def test_a_sound_catalogue_is_well(world):
    code, table, printed = run()
    assert (code, "All is well." in printed) == (0, True)
    assert {name: row[1] for name, row in table.items() if row[1]} == {
        "values that could not be calculated": 2
    }
    assert 'bad: string ("a") and number (1) cannot be added' in printed
    assert "service:b: label: " not in printed  # null + text is text


def test_values_that_are_not_true_are_found_and_mended(world):
    Entity.objects.filter(identifier="a").update(computed={"area": "wrong", "old": 1})
    Entity.objects.filter(identifier="sy").update(computed={"none": 1})
    before = Entity.objects.values_list("updated_at", flat=True).get(identifier="a")
    code, table, printed = run()
    assert (code, table["computed values"][1:]) == (1, (3, 0))
    [line] = [one for one in printed.splitlines() if "service:a: " in one and "absent" in one]
    assert 'area is "wrong", should be "north"' in line
    assert "old is 1, should be absent" in line
    assert 'label is absent, should be "north!"' in line
    assert 'host:h: area is "north", should be "wrong"' in printed
    code, table, _ = run("--fix")
    assert (code, table["computed values"][1:]) == (0, (3, 3))
    entity = Entity.objects.get(identifier="a")
    assert entity.computed == {"area": "north", "label": "north!"}
    assert Entity.objects.get(identifier="h").computed == {"area": "north"}
    assert Entity.objects.get(identifier="sy").computed == {}
    assert entity.updated_at == before
    assert Change.objects.filter(actor="derived", identifier="a").last() is not None
    assert run()[0] == 0


def test_edges_are_compared_with_what_entities_state(world):
    Relation.objects.filter(source__identifier="a", target_identifier="h").delete()
    edge = Relation.objects.get(source__identifier="a", definition__identifier="system")
    Relation.objects.create(
        source=edge.source,
        definition=edge.definition,
        target_blueprint="system",
        target_identifier="extra",
    )
    code, table, printed = run()
    assert (code, table["relations and their edges"][1:]) == (1, (2, 0))
    assert "service:a: near has no edge: host:h" in printed
    assert "service:a: system has an edge that it does not state: system:extra" in printed
    assert run("--fix")[0] == 0
    stored = Relation.objects.filter(source__identifier="a").order_by("position")
    assert [
        (r.position, r.definition.identifier, r.target_blueprint, r.target.identifier)
        for r in stored.select_related("definition", "target")
    ] == [
        (0, "system", "system", "sy"),
        (1, "near", "system", "sy"),
        (2, "near", "host", "h"),
    ]


def test_edges_lead_where_they_say(world):
    Relation.objects.filter(source__identifier="h").update(target=None)
    wrong = Entity.objects.get(identifier="b")
    Relation.objects.filter(source__identifier="a", target_identifier="h").update(target=wrong)
    code, table, printed = run()
    assert (code, table["ends of edges"][1:]) == (1, (2, 0))
    assert "host:h: an edge dangles, though there is service:a" in printed
    assert "service:a: an edge leads elsewhere than to host:h" in printed
    assert run("--fix")[0] == 0
    assert Relation.objects.get(source__identifier="h").target.identifier == "a"


def test_digests_are_those_of_the_content(world):
    right = Entity.objects.values_list("content_hash", flat=True).get(identifier="a")
    Entity.objects.filter(identifier="a").update(content_hash=b"x" * 16)
    code, table, _ = run()
    assert (code, table["digests of content"]) == (1, (4, 1, 0))
    assert run("--fix")[0] == 0
    assert Entity.objects.values_list("content_hash", flat=True).get(identifier="a") == right


def test_definitions_that_lead_nowhere_are_named(world):
    patch_blueprint("service", {"mirrorProperties": {}}, actor=ACTOR)
    make_blueprint("other", properties={"x": {"type": "string"}})
    patch_blueprint(
        "system",
        {
            "relations": {"other": {"target": "other"}},
            "mirrorProperties": {"x": {"path": "other.x"}},
        },
        actor=ACTOR,
    )
    with connection.cursor() as cursor:  # nobody may do this, but a restored backup can hold it
        cursor.execute(
            "UPDATE catalog_relationdefinition SET identifier = 'renamed' "
            "WHERE identifier = 'other'"
        )
        cursor.execute("UPDATE catalog_blueprint SET version = version + 1")
    code, table, printed = run("--fix")
    assert (code, table["definitions of computed properties"][1:]) == (1, (1, 0))
    assert "system.x: mirrorProperties.x.path is other; expected a path in which" in printed


def test_consumers_that_nobody_runs_are_forgotten(world):
    FeedConsumer.objects.create(name="nobody")
    assert "nobody: has a position in the feed, but nobody reads by that name" in run()[2]
    assert run("--fix")[0] == 0
    assert not FeedConsumer.objects.filter(name="nobody").exists()


def test_a_consumer_that_is_far_behind_is_named(world):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_change SET at = now() - interval '1 hour'")
    [check] = [c for c in doctor.examine() if c.name == "consumers of the change feed"]
    assert check.is_bad
    assert check.examples[0].subject == "derived"
    assert "changes behind, the oldest of " in check.examples[0].message
