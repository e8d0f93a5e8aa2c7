"""Questions of actions: what is refused, how forms follow answers, what a run starts with."""

from __future__ import annotations

import pytest

from actions.inputs import (
    MASK,
    check,
    check_user_inputs,
    definition_of_user_inputs,
    expanded,
    form_context,
    resolve,
    warnings_of,
)
from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidInput
from tests.factories import make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db
TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def jq(query):
    return {"jqQuery": query}


def entity(blueprint="service", **more):
    return {**TEXT, "format": "entity", "blueprint": blueprint, **more}


def dataset(*rules, combinator="and"):
    return {"combinator": combinator, "rules": list(rules)}


def checked(inputs, given, *, principal=None, about=None, **more):
    principal = principal or make_user()
    context = form_context(principal, about)
    definition = definition_of_user_inputs(inputs)
    return check(definition, given, context, principal=principal, **more)


def in_full(inputs, done):
    """As payloads have it."""
    return expanded(definition_of_user_inputs(inputs), done.properties, Insider())


def problems(inputs, given, **more):
    """{field: expected} of everything that is refused."""
    with pytest.raises(InvalidInput) as caught:
        checked(inputs, given, **more)
    return {
        one["field"].removeprefix("properties."): one["message"]
        for one in caught.value.details["problems"]
    }


def seen(inputs, values, *, about=None):
    return resolve(definition_of_user_inputs(inputs), values, form_context(make_user(), about))


REFUSED = [
    ({"properties": {"a": {"type": "text"}}}, "properties.a.type"),
    ({"properties": {"a": {}}}, "properties.a.type"),
    ({"properties": {"a": "string"}}, "properties.a"),
    ({"properties": {"ä": TEXT}}, "properties"),
    ({"properties": {"a": TEXT}, "order": ["a", "b"]}, "order.1"),
    ({"properties": {"a": TEXT}, "order": ["a"], "steps": [{"order": ["a"]}]}, "order"),
    ({"properties": {"a": TEXT}, "steps": [{"order": ["b"]}]}, "steps.0.order.0"),
    (
        {"properties": {"a": TEXT}, "steps": [{"order": ["a"]}, {"order": ["a"]}]},
        "steps.1.order.0",
    ),
    ({"properties": {"a": TEXT}, "required": ["b"]}, "required.0"),
    ({"properties": {"a": TEXT}, "required": "a"}, "required"),
    ({"properties": {"a": {**TEXT, "visible": "yes"}}}, "properties.a.visible"),
    ({"properties": {"a": {**TEXT, "dependsOn": ["b"]}}}, "properties.a.dependsOn"),
    (
        {"properties": {"a": {**TEXT, "dependsOn": ["b"]}, "b": {**TEXT, "dependsOn": ["a"]}}},
        "properties.a.dependsOn",
    ),
    ({"properties": {"a": {**TEXT, "visible": jq("not jq (")}}}, "properties.a.visible"),
    ({"properties": {"a": TEXT}, "required": jq("[")}, "required"),
    ({"properties": {"a": {**NUMBER, "default": "3"}}}, "properties.a.default"),
    ({"properties": {"a": {**TEXT, "enum": ["x"], "default": "y"}}}, "properties.a.default"),
    ({"properties": {"a": {**TEXT, "enum": []}}}, "properties.a.enum"),
    ({"properties": {"a": {**TEXT, "pattern": "("}}}, "properties.a.pattern"),
    ({"properties": {"a": {**TEXT, "minLength": "2"}}}, "properties.a.minLength"),
    ({"properties": {"a": {"type": "array", "items": {"type": "x"}}}}, "properties.a.items.type"),
    ({"properties": {"a": {**TEXT, "format": "entity"}}}, "properties.a.blueprint"),
    ({"properties": {"a": {**NUMBER, "encryption": "aes256-gcm"}}}, "properties.a.encryption"),
    (
        {"properties": {"a": entity(dataset=dataset({"property": "x", "operator": "is"}))}},
        "properties.a.dataset.rules[0].operator",
    ),
    ({"properties": {"a": TEXT}, "titles": {"a": {"title": "A"}}}, "titles.a"),
    ({"properties": {"a": TEXT}, "titles": {"t": {"title": "A" * 141}}}, "titles.t.title"),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "path"), REFUSED)
def test_what_nobody_could_answer_is_refused_at_its_place(inputs, path):
    with pytest.raises(InvalidInput) as caught:
        check_user_inputs({"userInputs": inputs})
    assert caught.value.details["field"] == f"trigger.userInputs.{path}"


def test_what_may_come_later_is_only_warned_of():
    trigger = {"userInputs": {"properties": {"a": entity("later")}}}
    check_user_inputs(trigger)
    assert warnings_of(trigger) == [
        'trigger.userInputs.properties.a.blueprint: there is no blueprint "later" yet'
    ]
    check_user_inputs({"userInputs": {"properties": {"a": {**TEXT, "pattern": "^(?!-)[a-z-]+$"}}}})
    check_user_inputs({"userInputs": {}})
    check_user_inputs({})


WRONG = [
    (TEXT, 3, "must be text"),
    (NUMBER, "3", "must be a number"),
    ({"type": "boolean"}, "true", "must be true or false"),
    ({"type": "object"}, [], "must be an object"),
    ({"type": "array", "items": TEXT}, ["a", 1], "must be text"),
    ({**TEXT, "format": "email"}, "ann", "must be an e-mail address"),
    ({**TEXT, "format": "url"}, "x y", "must be an address like https://example.com"),
    ({**TEXT, "format": "ipv4"}, "10.0.0", "must be an IPv4 address like 10.0.0.1"),
    ({**TEXT, "format": "date-time"}, "today", "must be a date and time like 2026-03-01T09:30:00Z"),
    ({**TEXT, "format": "yaml"}, "a: [", None),
    ({**TEXT, "format": "user"}, "no@x.io", 'there is no user "no@x.io"'),
    ({**TEXT, "format": "team"}, "nobody", 'there is no team "nobody"'),
    ({"type": "array", "items": {**TEXT, "format": "team"}}, ["x"], 'there is no team "x"'),
    (entity("_team"), "x", 'there is no _team "x"'),
    ({**TEXT, "enum": ["a", "b"]}, "c", 'must be one of "a", "b"'),
    ({**TEXT, "enum": jq("[.form.other, \"b\"]")}, "c", 'must be one of "z", "b"'),
    ({**TEXT, "enum": jq("[]")}, "c", "must be one of "),
    ({**TEXT, "enum": jq("{}")}, "c", "cannot be checked: enum: gave an object ({}), not an array"),
    ({**TEXT, "minLength": 2}, "c", "must have at least 2 characters"),
    ({**TEXT, "maxLength": jq(".form.other | length")}, "cc", "must have at most 1 character"),
    ({**TEXT, "pattern": "^a"}, "c", "must match the pattern ^a"),
    ({**TEXT, "pattern": "^(?!c)"}, "c", "must match the pattern ^(?!c)"),
    ({**TEXT, "pattern": jq('"^" + .form.other')}, "c", "must match the pattern ^z"),
    ({**NUMBER, "maximum": 3}, 4, "must be at most 3"),
    ({"type": "array", "minItems": 2}, ["a"], "needs at least 2 of them"),
    ({"type": "object", "format": "labeled-url"}, {"url": "x"}, "must be an address like https://example.com"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "message"), WRONG)
def test_wrong_values_are_refused_in_words(schema, value, message):
    inputs = {"properties": {"x": schema, "other": {**TEXT, "default": "z"}}}
    check_user_inputs({"userInputs": inputs})
    [(path, said)] = problems(inputs, {"x": value}).items()
    assert path.partition(".")[0] == "x"
    assert message is None or said == message


def test_everything_that_is_wrong_is_told_at_once():
    inputs = {
        "properties": {"a": NUMBER, "b": TEXT, "c": {"type": "array", "items": NUMBER}},
        "required": ["b"],
    }
    assert problems(inputs, {"a": "x", "c": [1, "2"], "d": 1}) == {
        "d": "there is no such input; there are a, b, c",
        "b": "is required",
        "a": "must be a number",
        "c.1": "must be a number",
    }


def test_secret_values_are_told_nowhere():
    inputs = {
        "properties": {
            "token": {**TEXT, "encryption": "aes256-gcm", "pattern": "^t-"},
            "copy": {**TEXT, "default": jq(".form.token[0:2]"), "enum": jq(".form.token")},
        }
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        checked(inputs, {"token": "hush"})
    assert "hush" not in f"{caught.value}{caught.value.details}"
    del inputs["properties"]["copy"]
    done = checked(inputs, {"token": "t-hush"})
    assert done.values == {"token": "t-hush"}
    assert done.secrets == {"token": "t-hush"}
    assert done.properties == {"token": MASK}


def test_hidden_inputs_have_their_defaults_and_are_not_needed():
    inputs = {
        "properties": {
            "kind": {**TEXT, "enum": ["web", "job"]},
            "port": {**NUMBER, "visible": jq('.form.kind == "web"')},
            "tier": {**TEXT, "default": "low", "visible": False},
            "fixed": {**TEXT, "default": jq(".user.email"), "disabled": True},
            "unsure": {**TEXT, "visible": jq(".form.kind.x")},
        },
        "required": ["kind", "port", "tier"],
    }
    user = make_user("ann")
    given = {"kind": "job", "port": 1, "tier": "high", "fixed": "x", "unsure": "x"}
    done = checked(inputs, given, principal=user)
    assert done.values == {"kind": "job", "tier": "low", "fixed": "ann@example.com"}
    assert problems(inputs, {"kind": "web"}) == {"port": "is required"}
    assert checked(inputs, {"kind": "web", "port": 1}).values["port"] == 1


def test_steps_headings_and_required_by_jq():
    inputs = {
        "properties": {"a": TEXT, "b": TEXT, "c": TEXT},
        "required": jq('if .form.a == "x" then ["b", "c"] else [] end'),
        "steps": [
            {"title": "One", "order": ["h", "a"]},
            {"title": "Two", "order": ["b"], "visible": jq('.form.a == "x"')},
        ],
        "titles": {"h": {"title": "About", "visible": jq(".form.a != null")}},
    }
    assert [(one.title, one.names) for one in seen(inputs, {}).steps] == [("One", ("a",))]
    now = seen(inputs, {"a": "x"})
    # what no step names comes last
    assert [(one.title, one.names) for one in now.steps] == [
        ("One", ("h", "a")),
        ("Two", ("b", "c")),
    ]
    assert [name for name, one in now.fields.items() if one.is_required] == ["b", "c"]
    assert problems(inputs, {"a": "x"}) == {"b": "is required", "c": "is required"}
    assert checked(inputs, {"b": "dropped"}).values == {}


def test_defaults_follow_other_inputs_until_somebody_answers():
    inputs = {
        "properties": {
            "name": {**TEXT, "default": "pay"},
            "slug": {**TEXT, "default": jq(".form.name | ascii_downcase")},
            "url": {**TEXT, "default": jq('"https://" + .form.slug')},
        }
    }
    assert seen(inputs, {}).values == {"name": "pay", "slug": "pay", "url": "https://pay"}
    assert seen(inputs, {"name": "Ab"}).values["url"] == "https://ab"
    assert seen(inputs, {"name": "Ab", "slug": "z"}).values["url"] == "https://z"
    emptied = seen(inputs, {"slug": None})
    assert emptied.values == {"name": "pay", "url": "https://"}
    failed = seen(inputs, {"name": 3})
    assert "slug" not in failed.values
    assert failed.fields["slug"].errors[0].startswith("default: ")
    circle = {
        "a": {**NUMBER, "default": jq(".form.b + 1")},
        "b": {**NUMBER, "default": jq(".form.a + 1")},
    }
    assert set(seen({"properties": circle}, {}).values) == {"a", "b"}  # fmt: skip


def test_the_form_of_an_entity_is_filled_in_from_it():
    make_blueprint("service", properties={"tier": TEXT})
    inputs = {
        "properties": {
            "tier": {**TEXT, "default": jq(".entity.properties.tier"), "dependsOn": ["why"]},
            "self": entity(default=jq(".entity")),
            "why": TEXT,
        }
    }
    pay = make_entity("service", "pay", properties={"tier": "gold"})
    now = seen(inputs, {}, about=pay)
    assert now.values == {"tier": "gold", "self": "pay"}
    assert now.fields["tier"].waits_for == ("why",)
    shown = in_full(inputs, checked(inputs, {}, about=pay))
    assert shown["self"]["properties"] == {"tier": "gold"}


def test_datasets_decide_what_may_be_picked(django_assert_num_queries):
    make_blueprint("cluster", properties={"env": TEXT})
    make_blueprint(
        "namespace",
        properties={"size": NUMBER},
        relations={"cluster": {"target": "cluster", "many": False, "required": False}},
    )
    for name, env in (("c1", "prod"), ("c2", "dev")):
        make_entity("cluster", name, properties={"env": env})
        make_entity("namespace", f"n-{name}", relations={"cluster": name})
    related = {
        "blueprint": "cluster",
        "operator": "relatedTo",
        "value": jq(".form.cluster.identifier"),
    }
    inputs = {
        "properties": {
            "env": {**TEXT, "default": "prod"},
            "cluster": entity("cluster", dataset=dataset(
                dataset({"property": "env", "operator": "=", "value": jq(".form.env")},
                        {"property": "env", "operator": "=", "value": "all"}, combinator="or"),
            )),
            "spaces": {"type": "array", "items": entity("namespace", dataset=dataset(related))},
        }
    }  # fmt: skip
    check_user_inputs({"userInputs": inputs})
    user = make_user()
    context, definition = form_context(user), definition_of_user_inputs(inputs)
    with django_assert_num_queries(5):  # pks, documents, blueprints, one for each dataset
        done = check(definition, {"cluster": "c1", "spaces": ["n-c1"]}, context, principal=user)
    assert done.values == {"env": "prod", "cluster": "c1", "spaces": ["n-c1"]}
    assert in_full(inputs, done)["spaces"][0]["blueprint"] == "namespace"
    assert problems(inputs, {"cluster": "c2", "spaces": ["n-c2", "n-c3"]}) == {
        "cluster": '"c2" is none of those to choose from',
        "spaces": 'there is no namespace "n-c3"',
    }
    # nothing fits before the cluster is known
    assert problems(inputs, {"spaces": ["n-c1"]}) == {
        "spaces": '"n-c1" is none of those to choose from'
    }


def test_teams_and_people():
    make_entity("_team", "core", title="The core")
    make_entity("_user", "bob@x.io")
    inputs = {
        "properties": {
            "team": {**TEXT, "format": "team"},
            "people": {"type": "array", "items": {**TEXT, "format": "user"}},
        }
    }
    done = checked(inputs, {"team": "The core", "people": ["Bob@x.io"]})
    assert done.values == {"team": "core", "people": ["Bob@x.io"]}


def test_a_picked_person_may_go_by_their_address():
    make_entity("_user", "bob", title="Bob", properties={"email": "Bob@x.io"})
    make_entity("_user", "eve", title="Eve", properties={"email": "eve@x.io"})
    eve = make_user("eve", email="eve@x.io")
    by_title = dataset({"property": "$title", "operator": "=", "value": "Bob"})
    mine = entity("_user", visible=False, default=jq(".user.email"))
    inputs = {"properties": {"who": entity("_user", dataset=by_title), "me": mine}}
    done = checked(inputs, {"who": "bob@X.io"}, principal=eve)
    shown = in_full(inputs, done)
    assert [shown[name]["identifier"] for name in ("who", "me")] == ["bob", "eve"]
    assert problems(inputs, {"who": "eve@x.io"}, principal=eve) == {
        "who": '"eve@x.io" is none of those to choose from'
    }
