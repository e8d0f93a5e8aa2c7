"""Parameters of software templates: which questions there are, how each is asked, what passes."""

from __future__ import annotations

import pytest
import yaml

from actions.inputs import MASK, check, definition_of_parameters, form_context, resolve
from catalog.kernel.errors import InvalidInput
from tests.factories import make_entity, make_user

pytestmark = pytest.mark.django_db
TEXT = {"type": "string"}


def page(required=(), **properties):
    return {"title": "Page", "required": list(required), "properties": properties}


def definition(*pages, **spec):
    return definition_of_parameters({"parameters": list(pages), **spec})


def field(schema, values=None):
    now = definition(page(x=schema)).now(values or {})
    return now.fields["x"]


def asked(form, values):
    return list(resolve(form, values, form_context(make_user())).fields)


def checked(form, given, *, principal=None, **more):
    principal = principal or make_user()
    return check(form, given, form_context(principal), principal=principal, **more)


def problems(form, given, **more):
    with pytest.raises(InvalidInput) as caught:
        checked(form, given, **more)
    return {
        one["field"].removeprefix("properties."): one["message"]
        for one in caught.value.details["problems"]
    }


WIDGETS = [
    (TEXT, "text"),
    ({}, "text"),
    ({"type": ["string", "null"]}, "text"),
    ({**TEXT, "ui:widget": "textarea"}, "textarea"),
    ({**TEXT, "ui:options": {"widget": "textarea"}}, "textarea"),
    ({**TEXT, "ui:widget": "password"}, "password"),
    ({**TEXT, "ui:widget": "hidden"}, "hidden"),
    ({**TEXT, "ui:widget": "of-their-own"}, "text"),
    ({**TEXT, "ui:field": "OfTheirOwn"}, "text"),
    ({**TEXT, "ui:field": "RepoBranchPicker"}, "text"),
    ({**TEXT, "ui:field": "EntityNamePicker"}, "text"),
    ({**TEXT, "ui:field": "Secret"}, "password"),
    ({**TEXT, "ui:field": "EntityPicker"}, "pick"),
    ({"type": "array", "ui:field": "MultiEntityPicker"}, "pick"),
    ({**TEXT, "ui:field": "OwnerPicker"}, "pick"),
    ({**TEXT, "ui:field": "RepoUrlPicker"}, "repository"),
    ({"type": "array", "ui:field": "EntityTagsPicker"}, "lines"),
    ({**TEXT, "enum": ["a"]}, "select"),
    ({**TEXT, "enum": ["a"], "ui:widget": "radio"}, "radio"),
    ({**TEXT, "oneOf": [{"const": "a", "title": "A"}]}, "select"),
    ({**TEXT, "format": "date-time"}, "moment"),
    ({**TEXT, "format": "date"}, "date"),
    ({"type": "integer"}, "number"),
    ({"type": "number", "ui:widget": "range"}, "range"),
    ({"type": "boolean"}, "checkbox"),
    ({"type": "boolean", "ui:widget": "radio"}, "yes-no"),
    ({"type": "array", "items": TEXT}, "lines"),
    ({"type": "array", "items": {**TEXT, "enum": ["a"]}}, "checkboxes"),
    ({"type": "array", "items": {"properties": {"a": TEXT}}}, "rows"),
    ({"type": "array", "items": [TEXT]}, "lines"),
    ({"type": "object", "properties": {"a": TEXT}}, "group"),
    ({"type": "object"}, "json"),
    ({"type": "null"}, "json"),
]


@pytest.mark.parametrize(("schema", "widget"), WIDGETS, ids=[str(one[0]) for one in WIDGETS])
def test_how_a_property_is_asked_for(schema, widget):
    assert field(schema).widget == widget


def test_hints_for_the_form():
    one = field(
        {
            **TEXT,
            "title": "Size",
            "enum": ["s", "m"],
            "enumNames": ["Small", "Middle"],
            "default": "m",
            "ui:help": "How large",
            "ui:options": {"placeholder": "?"},
            "ui:autofocus": True,
            "ui:readonly": True,
            "ui:backstage": {"review": {"mask": "***"}, "featureFlag": "x"},
        }
    )
    assert (one.title, one.help, one.placeholder) == ("Size", "How large", "?")
    assert [one.name_of(value) for value in one.enum] == ["Small", "Middle"]
    assert (one.default, one.is_autofocus, one.disabled) == ("m", True, True)
    assert one.review == {"mask": "***"}
    order = {"properties": {"a": TEXT, "b": TEXT, "c": TEXT}, "ui:order": ["c", "*", "a", "zz"]}
    assert list(definition(order).fields) == ["c", "b", "a"]
    owner = field({**TEXT, "ui:field": "OwnerPicker", "ui:options": {"allowedKinds": ["Group"]}})
    assert (owner.pick.filters, owner.pick.default_kind) == (({"kind": ["Group"]},), "Group")


CI = {
    **page(["ci"], ci={**TEXT, "enum": ["gh", "tekton"], "default": "gh"}),
    "dependencies": {
        "ci": {
            "oneOf": [
                {"properties": {"ci": {"const": "gh"}}},
                {
                    "properties": {
                        "ci": {"const": "tekton"},
                        "image": {**TEXT, "default": "quay.io"},
                        "space": TEXT,
                    },
                    "required": ["space"],
                },
            ]
        }
    },
}
IF = {
    **page(kind=TEXT),
    "if": {"properties": {"kind": {"const": "web"}}, "required": ["kind"]},
    "then": {"properties": {"port": {"type": "integer"}}, "required": ["port"]},
    "else": {"properties": {"queue": TEXT}},
}
ALL = {
    **page(a={"type": "boolean"}),
    "allOf": [
        {"if": {"properties": {"a": {"const": True}}, "required": ["a"]},
         "then": {"properties": {"b": TEXT}}},
        {"$ref": "#/definitions/more"},
    ],
    "definitions": {"more": {"properties": {"c": TEXT}}},
}  # fmt: skip
ONE = {
    "title": "One",
    "oneOf": [
        {"properties": {"kind": {"const": "db"}, "size": {"type": "integer"}}},
        {"properties": {"kind": {"const": "queue"}, "depth": {"type": "integer"}}},
    ],
}
NESTED = page(box={"type": "object", "properties": {"on": {"type": "boolean"}},
                   "dependencies": {"on": ["why"]}})  # fmt: skip


@pytest.mark.parametrize(
    ("form", "values", "names"),
    [
        (CI, {}, ["ci"]),
        (CI, {"ci": "tekton"}, ["ci", "image", "space"]),
        (CI, {"ci": None}, ["ci"]),
        (IF, {}, ["kind", "queue"]),
        (IF, {"kind": "web"}, ["kind", "port"]),
        (ALL, {}, ["a", "c"]),
        (ALL, {"a": True}, ["a", "c", "b"]),
        (ONE, {}, ["kind", "size"]),
        (ONE, {"kind": "queue"}, ["kind", "depth"]),
    ],
    ids=["ci", "tekton", "emptied", "else", "then", "allOf", "allOf-if", "oneOf", "oneOf-other"],
)
def test_questions_come_and_go_with_the_answers(form, values, names):
    form = definition(form)
    assert sorted(asked(form, values)) == sorted(names)


def test_values_are_held_against_the_schema_as_it_is_then():
    assert checked(definition(CI), {}).values == {"ci": "gh"}
    assert problems(definition(CI), {"ci": "tekton"}) == {"space": "is required"}
    done = checked(definition(CI), {"ci": "tekton", "space": "x", "beside": 1})
    assert done.values == {"beside": 1, "ci": "tekton", "image": "quay.io", "space": "x"}
    assert problems(definition(IF), {"kind": "web", "port": "x"}) == {
        "port": "must be a whole number"
    }
    assert problems(definition(NESTED), {"box": {"on": True}}) == {"box.why": "is required"}
    two = definition(page(["a"], a={**TEXT, "pattern": "^(?!x)"}), page(["b"], b=TEXT))
    assert two.is_wizard
    assert problems(two, {"a": "xy"}) == {
        "b": "is required",
        "a": "must match the pattern ^(?!x)",
    }


def test_nested_defaults_rows_and_names():
    hosts = {"allowedHosts": ["github.com"]}
    form = definition(
        page(
            box={
                "type": "object",
                "properties": {
                    "size": {"type": "integer", "default": 1},
                    "tags": {
                        "type": "array",
                        "items": {"properties": {"key": TEXT}, "required": ["key"]},
                    },
                },
            },
            name={**TEXT, "ui:field": "EntityNamePicker"},
            repo={**TEXT, "ui:field": "RepoUrlPicker", "ui:options": hosts},
        )
    )  # fmt: skip
    assert checked(form, {"box": {"tags": []}}).values == {"box": {"tags": [], "size": 1}}
    assert checked(form, {}).values == {"box": {"size": 1}}
    assert problems(form, {"box": {"tags": [{"key": "a"}, {}]}, "name": "a b"}) == {
        "box.tags.1.key": "is required",
        "name": "must match the pattern ^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
    }
    assert problems(form, {"repo": "gitlab.com?owner=a&repo=b"}) == {
        "repo": "must name a repository on github.com"
    }
    assert checked(form, {"repo": "github.com?owner=a&repo=b"}).values["repo"]
    assert "repo" in problems(form, {"repo": "github.com/a/b"})


def test_secrets_are_no_inputs():
    form = definition(
        page(
            ["token"],
            token={**TEXT, "ui:field": "Secret", "minLength": 3},
            pin={**TEXT, "ui:widget": "password"},
        )
    )
    done = checked(form, {"token": "hush", "pin": "1234"})
    assert done.values == {"token": MASK, "pin": "1234"}
    assert done.secrets == {"token": "hush", "pin": "1234"}
    assert done.properties == {"token": MASK, "pin": MASK}
    apart = checked(form, {"token": "***"}, secrets={"token": "hush", "USER": "x"})
    assert apart.secrets == {"token": "hush", "USER": "x"}
    assert apart.values == {"token": MASK}
    assert problems(form, {}) == {"token": "is required"}
    assert problems(form, {"token": "h"}) == {"token": "must have at least 3 characters"}
    needs = definition(page(), secrets={"schema": {"required": ["npm"]}})
    assert problems(needs, {}) == {"properties": "secrets:  lacks npm"}


def test_references_are_looked_up_where_they_must_be_there():
    make_entity("_team", "core")
    ann = make_user("ann")
    make_entity("_user", ann.email, relations={"team": ["core"]})
    make_entity("_team", "other")
    groups = {"catalogFilter": [{"kind": ["Group"]}]}
    closed = {"ui:options": {**groups, "allowArbitraryValues": False}}
    form = definition(
        page(
            free={**TEXT, "ui:field": "OwnerPicker"},
            group={**TEXT, "ui:field": "EntityPicker", **closed},
            mine={**TEXT, "ui:field": "MyGroupsPicker"},
            many={"type": "array", "items": TEXT, "ui:field": "MultiEntityPicker", **closed},
        )
    )
    given = {"free": "whoever", "group": "core", "mine": "group:default/core", "many": []}
    assert checked(form, given, principal=ann).values == given
    wrong = {"group": "no", "mine": "group:default/other", "many": ["core", "user:default/ann"]}
    assert problems(form, wrong, principal=ann) == {
        "group": '"no" is none of those to choose from',
        "mine": '"group:default/other" is none of those to choose from',
        "many": '"user:default/ann" is none of those to choose from',
    }


@pytest.mark.parametrize(
    "parameters",
    [None, [], {}, "x", [None], {"properties": []}, {"properties": {"a": None}},
     {"properties": {"a": {"type": 3, "enum": "x", "pattern": "(", "minLength": "a"}}},
     {"allOf": [{"$ref": "#"}], "properties": {"a": {"$ref": "#"}}},
     {"properties": {"a": {"type": "array", "items": {"$ref": "#/properties/a"}}}},
     {"properties": {key: {"$ref": "#"} for key in "acdefg"}, "allOf": [{"$ref": "#"}] * 9}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_schema_asks_nothing_and_breaks_nothing(parameters):
    form = definition_of_parameters({"parameters": parameters})
    assert checked(form, {"b": 1}).values["b"] == 1


def test_real_templates(test_data):
    files = [
        *test_data.glob("scaffolder/*/template.yaml"),
        *test_data.glob("backstage/*templates/**/template.yaml"),
    ]
    assert len(files) >= 15
    for path in files:
        [template, *_] = yaml.safe_load_all(path.read_text())
        form = definition_of_parameters(template["spec"])
        assert form.fields, path
        assert {one.widget for one in form.fields.values()} <= {
            "text", "textarea", "hidden", "pick", "repository", "number", "select", "checkboxes",
            "group", "json",
        }  # fmt: skip
        with pytest.raises(InvalidInput) if any(form.required) else _nothing():
            checked(form, {})


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None
