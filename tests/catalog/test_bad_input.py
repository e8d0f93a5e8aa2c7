"""What nobody should send: each a clear refusal of that one draft, nothing half-written."""

import pytest

from catalog.kernel.errors import InvalidInput, NotFound
from catalog.models import Change, Entity
from catalog.services import entities
from catalog.services.entities import EntityDraft, MissingTargets, Mode
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db


def nested(depth):
    value = "x"
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.fixture
def thing():
    return make_blueprint(
        "thing", properties={"n": {"type": "number"}}, relations={"any": {"target": "*"}}
    )


def apply_beside_a_good_one(draft):
    """The error of `draft`, after seeing that its neighbours came through."""
    drafts = [EntityDraft("thing", "first"), draft, EntityDraft("thing", "last")]
    result = entities.apply(
        drafts, mode=Mode.REPLACE, actor=ACTOR, missing_targets=MissingTargets.DANGLE
    )
    assert [item.status.value for item in result.items][::2] == ["created", "created"]
    assert sorted(Entity.objects.values_list("identifier", flat=True))[:2] == ["first", "last"]
    return result.items[1].error


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("rocket-🚀", 'identifier "rocket-🚀" has a character that is not allowed; expected only '),
        ("a%2Fb", "has a character that is not allowed"),
        ("a b", "has a character that is not allowed"),
        ("a\x00b", "has a character that is not allowed"),
        ("a\ud800b", "has a character that is not allowed"),
        ("a\n", "has a character that is not allowed"),
        ("", "has 0 characters; expected 1 to 1000 characters"),
        (".", "and not . or .. alone"),
        ("..", "and not . or .. alone"),
        ("i" * 1001, "has 1001 characters; expected 1 to 1000 characters"),
        ("語" * 667, "has 2001 bytes; expected at most 2000"),
        (5, "identifier must be text, not 5"),
        (["a"], "identifier must be text, not ['a']"),
    ],
)
def test_identifiers_that_are_refused(thing, identifier, message):
    error = apply_beside_a_good_one(EntityDraft("thing", identifier))
    assert isinstance(error, InvalidInput)
    assert message in error.message
    assert error.details["field"] == "identifier"
    assert Entity.objects.count() == 2


@pytest.mark.parametrize(
    "identifier",
    ["a/b", "i" * 1000, "語" * 666, "...", "a:b@c=d+e\\f"],
)
def test_identifiers_that_are_taken(thing, identifier):
    assert make_entity("thing", identifier).identifier == identifier


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\x00b", "text with a NUL character"),
        ({"a\x00": 1}, "text with a NUL character"),
        ("a\ud800b", "surrogates not allowed"),
        (2**64, "Integer exceeds 64-bit range"),
        (-(2**63) - 1, "Integer exceeds 64-bit range"),
        (float("nan"), "the number nan"),
        ([{"a": float("-inf")}], "the number -inf"),
        (nested(300), "Recursion limit reached"),
        (nested(239), "Recursion limit reached"),
        ({1: 2}, "Dict key must be str"),
        ({1, 2}, "not JSON serializable"),
    ],
)
@pytest.mark.parametrize("part", ["properties", "descriptor"])
def test_values_that_cannot_be_stored(thing, part, value, message):
    content = {"fine": 1, "x": value}
    error = apply_beside_a_good_one(EntityDraft("thing", "bad", **{part: content}))
    assert isinstance(error, InvalidInput)
    assert message in error.message
    assert error.details["field"] == ("properties.x" if part == "properties" else "descriptor")
    assert Entity.objects.count() == 2
    assert not Change.objects.filter(identifier="bad").exists()


@pytest.mark.parametrize(
    ("_case", "value"),
    [
        ("deep", nested(237)),
        ("large", 2**64 - 1),
        ("low", -(2**63)),
        ("tiny", 1e-300),
        ("not exact", 0.1),
        ("5 MB", "é" * 2_500_000),
        ("wide", ["x" * 40_000] * 100),
        ("odd words", {"": None, "null": "null", "\\u0000": "\\u0000"}),
    ],
)
def test_values_that_are_odd_but_right_come_back_as_they_were(thing, _case, value):
    properties = {"x": value, "description": "d " * 500_000}
    entity = make_entity("thing", "odd", properties=properties, descriptor={"y": value})
    assert (entity.properties["x"], entity.descriptor["y"]) == (value, value)
    assert type(entity.properties["x"]) is type(value)
    entities.delete([("thing", "odd")], actor=ACTOR)
    assert Change.objects.get(action="delete").before["properties"] == properties


@pytest.mark.parametrize("part", ["title", "icon", "team", "properties", "relations"])
def test_nesting_that_even_python_does_not_print(thing, part):
    deep = []
    for _ in range(5000):
        deep = [deep]
    value = {"x": deep} if part == "properties" else {"any": deep} if part == "relations" else deep
    error = apply_beside_a_good_one(EntityDraft("thing", "bad", **{part: value}))
    assert isinstance(error, InvalidInput)
    assert error.details["field"].startswith(part)
    assert len(error.message) < 500


@pytest.mark.parametrize(
    "parts", [{"title": "t\x00"}, {"icon": "\ud800"}, {"team": ["\x00"]}, {"location": "\x00"}]
)
def test_text_that_cannot_be_stored(thing, parts):
    error = apply_beside_a_good_one(EntityDraft("thing", "bad", **parts))
    assert error.details["field"] == next(iter(parts))


@pytest.mark.parametrize("run", ["r" * 101, "r\x00", "a b"])
def test_impossible_runs_are_refused_before_anything_happens(thing, run):
    make_entity("thing", "x")
    with pytest.raises(InvalidInput, match="run_id"):
        entities.apply([EntityDraft("thing", "y")], mode=Mode.MERGE, actor=ACTOR, run=run)
    with pytest.raises(InvalidInput, match="run_id"):
        entities.delete([("thing", "x")], actor=ACTOR, run=run)
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["x"]


@pytest.mark.parametrize("name", ["nothing", "no\x00thing", "\ud800", "n" * 5000, ""])
def test_impossible_blueprints_do_not_exist(thing, name):
    assert isinstance(apply_beside_a_good_one(EntityDraft(name, "x")), NotFound)
    assert entities.delete([(name, "x")], actor=ACTOR) == []
    with pytest.raises(NotFound):
        entities.rename(name, "x", "y", actor=ACTOR)


def test_a_long_email_is_a_value_like_any_other():
    blueprint = make_blueprint()
    stored = make_entity(blueprint, properties={"email": "x" * 10_000 + "@Example.com"})
    assert len(stored.properties["email"]) == 10_012
