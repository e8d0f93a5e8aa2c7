"""Forms made from blueprints: every type there and back, and nothing changed by a mere visit."""

import re
from typing import Any

import pytest

from catalog.forms import EntityForm, entity_form_class
from catalog.kernel.actors import Role
from catalog.models import Blueprint, Entity
from catalog.models.changes import Change
from tests.factories import ACTOR, make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db


def bound(blueprint: Blueprint, data: dict[str, Any], entity: Entity | None = None) -> EntityForm:
    form_class = entity_form_class(blueprint, make_user(role=Role.ADMIN))
    return form_class(data, entity=entity)


def as_shown(form: EntityForm) -> dict[str, Any]:
    """What a browser sends back when nobody touches the form."""
    shown = {name: form[name].value() for name in form.fields}
    return {
        name: re.sub(r"\r\n|\n", "\r\n", value) if isinstance(value, str) else value
        for name, value in shown.items()
    }


def resent(blueprint: Blueprint, entity: Entity, **changes: Any) -> EntityForm:
    """The form of an entity as a browser would send it, with some inputs changed."""
    blank = entity_form_class(blueprint, make_user(role=Role.ADMIN))(entity=entity)
    return bound(blueprint, {**as_shown(blank), **changes}, entity)


TEXT, MOMENT = {"type": "string"}, {"type": "string", "format": "date-time"}
TIMER = {"type": "string", "format": "timer"}
TICKS = {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}}
PEOPLE = {"type": "array", "items": {"type": "string", "format": "user"}}

TYPES: list[tuple[str, dict[str, Any], Any, Any]] = [
    # property, what is typed, what is stored
    ("text", TEXT, " plain ", "plain"),
    ("text like a number", TEXT, "007", "007"),
    ("url", {**TEXT, "format": "url"}, "https://a.example/b?c", "https://a.example/b?c"),
    ("e-mail", {**TEXT, "format": "email"}, "a@b.example", "a@b.example"),
    ("markdown", {**TEXT, "format": "markdown"}, "# A\r\n\r\n- b ", "# A\n\n- b "),
    ("yaml", {**TEXT, "format": "yaml"}, "a:\r\n  b: 1\r\n", "a:\n  b: 1\n"),
    ("person", {**TEXT, "format": "user"}, "a@b.example", "a@b.example"),
    ("team", {**TEXT, "format": "team"}, "core", "core"),
    ("moment", MOMENT, "2026-03-01T09:30", "2026-03-01T09:30:00Z"),
    ("timer", TIMER, "2026-03-01T09:30:05", "2026-03-01T09:30:05Z"),
    ("enum", {**TEXT, "enum": ["a", "b"]}, '"b"', "b"),
    ("enum of numbers", {"type": "number", "enum": [1, 2.5]}, "2.5", 2.5),
    ("integer", {"type": "number"}, "42", 42),
    ("large integer", {"type": "number"}, "9007199254740993", 9007199254740993),
    ("fraction", {"type": "number"}, "1.50", 1.5),
    ("whole fraction", {"type": "number"}, "1.0", 1.0),
    ("exponent", {"type": "number"}, "1e3", 1000.0),
    ("yes", {"type": "boolean"}, "true", True),
    ("no", {"type": "boolean"}, "false", False),
    ("lines", {"type": "array", "items": TEXT}, "b\r\n\r\n a ", ["b", "a"]),
    ("lines without a type", {"type": "array"}, "1", ["1"]),
    ("numbers", {"type": "array", "items": {"type": "number"}}, "1\n2.0", [1, 2.0]),
    ("flags", {"type": "array", "items": {"type": "boolean"}}, "true\nfalse", [True, False]),
    ("ticks", TICKS, ['"c"', '"a"'], ["a", "c"]),
    ("people", PEOPLE, ["b", "a", "b"], ["b", "a"]),
    ("objects", {"type": "array", "items": {"type": "object"}}, '[{"n": 1}]', [{"n": 1}]),
    ("object", {"type": "object"}, '{"a": [1.0, null], "b": 1}', {"a": [1.0, None], "b": 1}),
    ("empty object", {"type": "object"}, "{}", {}),
]


@pytest.mark.parametrize(
    ("schema", "typed", "stored"), [t[1:] for t in TYPES], ids=[t[0] for t in TYPES]
)
def test_what_is_typed_is_stored_with_its_type(
    schema: dict[str, Any], typed: Any, stored: Any
) -> None:
    blueprint = make_blueprint(properties={"p": schema})
    form = bound(blueprint, {"identifier": "x", "p-p": typed})
    assert form.is_valid(), form.errors
    assert form.save(actor=ACTOR)
    found = Entity.objects.get(blueprint=blueprint).properties["p"]
    assert (found, repr(found)) == (stored, repr(stored))


@pytest.mark.parametrize(
    ("schema", "typed", "stored"), [t[1:] for t in TYPES], ids=[t[0] for t in TYPES]
)
def test_a_form_sent_back_untouched_changes_nothing(
    schema: dict[str, Any], typed: Any, stored: Any
) -> None:
    blueprint = make_blueprint(properties={"p": schema})
    entity = make_entity(blueprint, properties={"p": stored}, title="T", team=["gone"], icon="I")
    form = resent(blueprint, entity)
    assert form.is_valid(), form.errors
    item = form.save(actor=ACTOR)
    assert item is not None
    assert item.status == "unchanged"


ODD: list[tuple[str, dict[str, Any], Any]] = [
    ("blanks around", {"type": "string"}, "  a "),
    ("lines in a line", {"type": "string"}, "a\nb"),
    ("no text", {"type": "string"}, ""),
    ("CRLF", {"type": "string", "format": "markdown"}, "a\r\nb\r\n"),
    ("an offset", {"type": "string", "format": "date-time"}, "2026-03-01T09:30:00.123456+02:00"),
    ("Go's zero time", {"type": "string", "format": "date-time"}, "0001-01-01T00:00:00Z"),
    ("a fraction of a whole", {"type": "number"}, 5.0),
    ("ticks in another order", {"type": "array", "items": {"enum": ["a", "b"]}}, ["b", "a"]),
    ("lines with blanks", {"type": "array", "items": {"type": "string"}}, [" a", "", "b\nc"]),
    ("a mixed list", {"type": "array"}, ["a", 1, None, {"b": []}]),
    ("an empty list", {"type": "array"}, []),
]


@pytest.mark.parametrize(("schema", "stored"), [o[1:] for o in ODD], ids=[o[0] for o in ODD])
def test_what_a_form_cannot_show_exactly_is_kept(schema: dict[str, Any], stored: Any) -> None:
    blueprint = make_blueprint(properties={"p": schema, "other": {"type": "string"}})
    entity = make_entity(blueprint, properties={"p": stored})
    form = resent(blueprint, entity, **{"p-other": "new"})
    assert form.is_valid(), form.errors
    assert form.save(actor=ACTOR)
    entity.refresh_from_db()
    assert entity.properties == {"p": stored, "other": "new"}
    assert repr(entity.properties["p"]) == repr(stored)


def test_values_that_do_not_fit_any_more_are_shown_and_kept() -> None:
    blueprint = make_blueprint(
        properties={
            name: {"type": "array"} for name in ("text", "number", "flag", "pick", "moment")
        }
    )
    entity = make_entity(blueprint, properties={n: [{"a": 1}] for n in blueprint.properties})
    blueprint.schema["properties"] = {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "flag": {"type": "boolean"},
        "pick": {"type": "string", "enum": ["a"]},
        "moment": {"type": "string", "format": "date-time"},
    }
    Blueprint.objects.filter(pk=blueprint.pk).update(schema=blueprint.schema, version=9)
    blueprint = Blueprint.objects.get(pk=blueprint.pk)
    form = resent(blueprint, entity, title="New")
    assert form.is_valid(), form.errors
    assert form.save(actor=ACTOR)
    entity.refresh_from_db()
    assert entity.title == "New"
    assert entity.properties["pick"] == [{"a": 1}]


def test_unknown_values_are_kept_and_shown() -> None:
    blueprint = make_blueprint(properties={"p": {"type": "string"}})
    entity = make_entity(blueprint, properties={"p": "a", "unknown": {"deep": [1, 2.0]}})
    form = resent(blueprint, entity, **{"p-p": "b"})
    assert (
        form.other_values == '{\n  "unknown": {\n    "deep": [\n      1,\n      2.0\n    ]\n  }\n}'
    )
    form.is_valid()
    form.save(actor=ACTOR)
    entity.refresh_from_db()
    assert entity.properties == {"p": "b", "unknown": {"deep": [1, 2.0]}}


def test_only_what_differs_is_written() -> None:
    blueprint = make_blueprint(properties={"a": {"type": "number"}, "b": {"type": "string"}})
    entity = make_entity(blueprint, properties={"a": 1, "b": "x"}, title="T")
    form = resent(blueprint, entity, **{"p-a": "2", "p-b": ""})
    form.is_valid()
    form.save(actor=ACTOR)
    change = Change.objects.get(action="update", object_id=entity.pk)
    assert (change.before, change.after) == (
        {"properties": {"a": 1, "b": "x"}},
        {"properties": {"a": 2}},
    )


@pytest.mark.parametrize(
    ("_case", "schema", "typed", "message"),
    [
        ("no number", {"type": "number"}, "1,5", '"1,5" is not a number'),
        ("no finite number", {"type": "number"}, "inf", '"inf" is not a number'),
        ("below", {"type": "number", "minimum": 3}, "2", "2 is less than the minimum of 3"),
        ("no choice", {"type": "string", "enum": ["a"]}, '"b"', '""b"" is not one of a'),
        ("no moment", {"type": "string", "format": "date-time"}, "soon", '"soon" is not a date'),
        ("bad line", {"type": "array", "items": {"type": "number"}}, "1\nx", 'Line 2: "x" is not'),
        ("bad JSON", {"type": "object"}, '{"a": 1,\n"b": x}', "Line 2, column 6: "),
        ("JSON of another type", {"type": "object"}, "[]", '[] is not of type "object"'),
        ("NUL", {"type": "object"}, '{"a": "\\u0000"}', "NUL character"),
        ("pattern", {"type": "string", "pattern": "^a"}, "b", '"b" does not match "^a"'),
        ("inside", {"type": "object", "properties": {"n": TEXT}}, '{"n": 1}', "n: 1 is not"),
    ],
)
def test_a_bad_value_is_told_at_its_field(
    _case: str, schema: dict[str, Any], typed: str, message: str
) -> None:
    blueprint = make_blueprint(properties={"p": schema})
    form = bound(blueprint, {"identifier": "x", "p-p": typed})
    assert not form.is_valid() or form.save(actor=ACTOR) is None
    assert message in form.errors["p-p"][0]
    assert not Entity.objects.filter(blueprint=blueprint).exists()


def test_required_values_and_bad_names_are_told_at_their_fields() -> None:
    target = make_blueprint()
    blueprint = make_blueprint(
        properties={"p": {"type": "boolean"}},
        required=["p"],
        relations={"to": {"target": target.identifier, "required": True}},
    )
    form = bound(blueprint, {"identifier": "a b"})
    assert not form.is_valid()
    assert set(form.errors) == {"p-p", "r-to"}
    form = bound(blueprint, {"identifier": "a b", "p-p": "false", "r-to": "nobody"})
    assert form.is_valid()
    assert form.save(actor=ACTOR) is None
    assert "not allowed" in form.errors["identifier"][0]
    form = bound(blueprint, {"identifier": "ab", "p-p": "false", "r-to": "nobody"})
    form.is_valid()
    form.save(actor=ACTOR)
    assert 'entity "nobody"' in form.errors["r-to"][0]


def test_an_identifier_in_use_is_told_at_its_field() -> None:
    blueprint = make_blueprint()
    make_entity(blueprint, "taken")
    form = bound(blueprint, {"identifier": "taken"})
    assert form.is_valid()
    assert form.save(actor=ACTOR) is None
    assert "exists already" in form.errors["identifier"][0]


def test_relations_keep_their_order_and_take_new_targets() -> None:
    target = make_blueprint("target")
    for name in "abc":
        make_entity(target, name)
    blueprint = make_blueprint(
        relations={
            "one": {"target": "target"},
            "many": {"target": "target", "many": True},
            "any": {"target": "*", "many": True},
        }
    )
    form = bound(
        blueprint,
        {"identifier": "x", "r-one": "a", "r-many": ["c", "a"], "r-any": ["target:b"]},
    )
    assert form.is_valid(), form.errors
    form.save(actor=ACTOR)
    entity = Entity.objects.select_related("blueprint").get(identifier="x")
    assert entity.relations == {"one": "a", "many": ["c", "a"], "any": ["target:b"]}
    form = resent(blueprint, entity, **{"r-one": "", "r-many": ["c", "b"]})
    form.is_valid()
    form.save(actor=ACTOR)
    entity.refresh_from_db()
    assert entity.relations == {"many": ["c", "b"], "any": ["target:b"]}


def test_a_changed_entity_is_not_written_over() -> None:
    blueprint = make_blueprint(properties={"p": {"type": "string"}})
    entity = make_entity(blueprint, properties={"p": "a"})
    mine = resent(blueprint, entity, **{"p-p": "mine"})
    theirs = resent(blueprint, entity, **{"p-p": "theirs"})
    assert theirs.is_valid()
    assert theirs.save(actor=ACTOR)
    assert mine.is_valid()
    assert mine.save(actor=ACTOR) is None
    assert "changed by someone else meanwhile" in mine.non_field_errors()[0]
    entity.refresh_from_db()
    assert entity.properties == {"p": "theirs"}


def test_defaults_are_offered_and_teams_must_exist() -> None:
    blueprint = make_blueprint(properties={"p": {"type": "string", "default": "d"}})
    blank = entity_form_class(blueprint, make_user(role=Role.ADMIN))()
    assert blank["p-p"].value() == "d"
    make_entity("_team", "core")
    form = bound(blueprint, {"identifier": "x", "team": ["core", "cor"]})
    assert not form.is_valid()
    assert form.errors["team"] == ["There is no team cor"]
    form = bound(blueprint, {"identifier": "x", "team": ["core"]})
    form.is_valid()
    form.save(actor=ACTOR)
    assert Entity.objects.get(identifier="x").team == ["core"]


def test_descriptions_are_shown_as_text() -> None:
    blueprint = make_blueprint(
        properties={"p": {"type": "string", "title": "<b>", "description": "<script>"}},
        relations={"r": {"target": "*", "title": "<i>", "description": "<script>"}},
    )
    form = entity_form_class(blueprint, make_user(role=Role.ADMIN))()
    assert "&lt;script&gt;" in form["p-p"].help_text
    assert "<script>" not in form.as_p()


def test_the_form_asks_the_database_a_constant_number_of_times(
    django_assert_num_queries: Any,
) -> None:
    target = make_blueprint("target")
    for number in range(30):
        make_entity(target, f"t{number}", title=f"T {number}")
    relations = {f"r{n}": {"target": "target", "many": True} for n in range(5)}
    blueprint = make_blueprint(relations=relations)
    entity = make_entity(
        blueprint, relations={f"r{n}": [f"t{i}" for i in range(30)] for n in range(5)}
    )
    user = make_user(role=Role.ADMIN)
    with django_assert_num_queries(4):  # relations, their targets, kinds, titles
        html = str(entity_form_class(blueprint, user)(entity=entity))
    assert html.count("T 7") == 5
