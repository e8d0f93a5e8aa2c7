"""The drawn form: what browsers send as values, what is drawn, and what changes on the way."""

from __future__ import annotations

import json
import re

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string
from django.test import RequestFactory

from actions.inputs import (
    definition_of_parameters,
    definition_of_user_inputs,
    form_context,
)
from actions.portal.forms import ActionForm, live
from catalog.kernel.errors import InvalidInput
from tests.factories import make_blueprint, make_browser, make_entity, make_user

pytestmark = pytest.mark.django_db
TEXT = {"type": "string"}


def jq(query):
    return {"jqQuery": query}


def posted(values):
    data = QueryDict(mutable=True)
    for name, value in values.items():
        data.setlist(
            name if "." in name else f"input.{name}", value if isinstance(value, list) else [value]
        )
    return data  # fmt: skip


def port(properties, **more):
    return definition_of_user_inputs({"properties": properties, **more})


def template(*pages):
    return definition_of_parameters({"parameters": list(pages)})


def form(definition, data=None, *, user=None, about=None, **more):
    user = user or make_user()
    return ActionForm(
        definition,
        form_context(user, about),
        data=None if data is None else posted(data),
        principal=user,
        **more,
    )


def html_of(one, url="/live"):
    return render_to_string("actions/form/form.html", {"form": one, "url": url})


def shown(html):
    """What a browser would send back of it, untouched."""
    data = QueryDict(mutable=True)
    html = re.sub(r"<template.*?</template>", "", html, flags=re.S)
    for tag in re.findall(r"<input[^>]*>", html):
        name = re.search(r' name="([^"]*)"', tag)
        kind = (re.search(r' type="([^"]*)"', tag) or [None, "text"])[1]
        if name and (kind not in ("checkbox", "radio") or re.search(r"\schecked[\s>]", tag)):
            value = (
                re.search(r' value="([^"]*)"', tag) or [None, "on" if kind == "checkbox" else ""]
            )[1]
            data.appendlist(name[1], unescape(value))
    for name, body in re.findall(
        r'<textarea[^>]* name="([^"]*)"[^>]*>(.*?)</textarea>', html, re.S
    ):
        data.appendlist(name, unescape(body.removeprefix("\n")))
    for name, body in re.findall(r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', html, re.S):
        picked = re.search(r'<option value="([^"]*)" selected', body)
        data.appendlist(name, unescape(picked[1] if picked else ""))
    return data  # fmt: skip


def unescape(text):
    from html import unescape as plain

    return plain(text)


LIST = {"type": "array"}
ROWS = {
    "type": "array",
    "items": {"type": "object", "properties": {"key": TEXT, "on": {"type": "boolean"}}},
}
BOX = {"type": "object", "properties": {"a.b": TEXT, "c": {"type": "integer"}}}
REPO = {**TEXT, "ui:field": "RepoUrlPicker"}

TYPED = [
    # schema, what is sent, the value
    (TEXT, " x ", "x"),
    ({**TEXT, "format": "multi-line"}, "a\r\n b", "a\n b"),
    ({**TEXT, "format": "yaml"}, "a: 1\r\n", "a: 1\n"),
    ({**TEXT, "enum": ["a", "b"]}, '"b"', "b"),
    ({**TEXT, "format": "date-time"}, "2026-03-01T09:30", "2026-03-01T09:30:00Z"),
    ({"type": "number"}, "1.5", 1.5),
    ({"type": "number", "enum": [1, 2]}, "2", 2),
    ({"type": "boolean"}, "false", False),
    ({"type": "object"}, "a: [1, null]\nb: {}", {"a": [1, None], "b": {}}),
    ({"type": "object"}, '{"a": "1"}', {"a": "1"}),
    ({**LIST, "items": TEXT}, "a\r\n\r\nb", ["a", "b"]),
    ({**LIST, "items": {"type": "number"}}, "1\n2", [1, 2]),
    ({**LIST, "items": {**TEXT, "enum": ["a", "b", "c"]}}, ['"c"', '"a"'], ["c", "a"]),
    ({**LIST, "items": {"type": "object"}}, "- a: 1", [{"a": 1}]),
    ({**TEXT, "encryption": "aes256-gcm"}, " a ", " a "),
]


@pytest.mark.parametrize(("schema", "sent", "value"), TYPED, ids=[str(one[:2]) for one in TYPED])
def test_what_is_sent_has_its_type(schema, sent, value):
    one = form(port({"x": schema}), {"x": sent})
    assert one.is_valid(), one.errors
    assert one.values == {"x": value}


NESTED = [
    (BOX, {"x.a~1b": "1", "x.c": "2"}, {"a.b": "1", "c": 2}),
    (BOX, {"x.a~1b": "", "x.c": ""}, None),
    (ROWS, {"x.0.key": "a", "x.0.on": "on", "x.7.key": "b", "x.9.key": ""},
     [{"key": "a", "on": True}, {"key": "b"}]),
    (REPO, {"x.host": "gitlab.com", "x.owner": "a/b", "x.repo": "c"},
     "gitlab.com?owner=a%2Fb&repo=c"),
    (REPO, {"x.host": "dev.azure.com", "x.organization": "o", "x.project": "p", "x.repo": "r"},
     "dev.azure.com?organization=o&project=p&repo=r"),
    (REPO, {"x.host": "github.com", "x.owner": "", "x.repo": ""}, None),
    ({"type": "boolean"}, {"x": "on"}, True),
    ({**TEXT, "ui:widget": "hidden"}, {"x": '"a"'}, "a"),
    ({**TEXT, "format": "date"}, {"x": "2026-03-01"}, "2026-03-01"),
    ({**LIST, "ui:field": "EntityTagsPicker"}, {"x": "go\napi"}, ["go", "api"]),
    ({**TEXT, "ui:field": "EntityPicker"}, {"x": "component:default/a"}, "component:default/a"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "sent", "value"), NESTED, ids=[str(one[:2]) for one in NESTED])
def test_parts_come_together(schema, sent, value):
    page = {"title": "P", "properties": {"x": schema}}
    one = form(template(page), {f"input.{name}": one for name, one in sent.items()})
    assert one.is_valid(), one.errors
    assert one.values == ({} if value is None else {"x": value})
    again = form(template(page), initial=one.values)
    back = ActionForm(
        template(page), again.context, shown(html_of(again)), principal=again.principal
    )
    assert back.values == one.values


def test_what_cannot_be_understood_says_where():
    properties = {"o": {"type": "object"}, "n": {"type": "number"}, "y": {**TEXT, "format": "yaml"}}
    one = form(port(properties, required=["n"]), {"o": "a: 1\nb: [", "n": "x", "y": "a: ["})
    assert not one.is_valid()
    assert set(one.errors) == {"o", "n", "y"}
    assert "line 2" in one.errors["o"][0]
    assert one.errors["n"] == ['"x" is not a number']
    html = html_of(one)
    assert "b: [" in html
    assert 'aria-describedby="input_2en_error"' in html


def test_a_form_is_drawn_with_its_defaults_and_comes_back_unanswered():
    make_blueprint("service", properties={"tier": TEXT})
    about = make_entity("service", "pay", properties={"tier": "gold"})
    definition = port(
        {
            "tier": {**TEXT, "default": jq(".entity.properties.tier")},
            "name": {**TEXT, "default": "pay"},
            "slug": {**TEXT, "default": jq('.form.name + "-1"')},
            "on": {"type": "boolean", "default": True},
            "tags": {**LIST, "items": TEXT, "default": ["a"]},
            "box": {"type": "object", "default": {"a": 1}},
            "size": {"type": "number", "enum": [1, 2], "default": 2},
            "secret": {**TEXT, "encryption": "aes256-gcm"},
        }
    )
    user = make_user()
    drawn = form(definition, user=user, about=about, initial={"name": "Pay", "secret": "••••••"})
    data = shown(html_of(drawn))
    assert data["input.tier"] == "gold"
    assert data["input.slug"] == "Pay-1"
    assert data["input.secret"] == ""
    context = form_context(user, about)
    sent = ActionForm(definition, context, data, principal=user)
    assert sent.values == {"name": "Pay"}
    assert sent.is_valid()

    data["input.name"], data["input.tier"] = "Ab", ""
    moved = ActionForm(definition, context, data, principal=user)
    assert moved.values == {"name": "Ab", "tier": None}
    assert moved.resolved.values["slug"] == "Ab-1"
    assert "tier" not in moved.resolved.values
    data["input.slug"] = "mine"
    assert ActionForm(definition, context, data, principal=user).values["slug"] == "mine"


def test_addresses_fill_forms_in():
    definition = port({"size": {"type": "number"}, "token": {**TEXT, "encryption": "aes256-gcm"}})
    query = QueryDict("input.size=3&input.token=x&input.none=1&other=2")
    one = form(definition, query=query)
    assert one.values == {"size": 3}
    assert 'value="3"' in html_of(one)


def test_secrets_are_never_drawn_again():
    definition = port({"token": {**TEXT, "encryption": "aes256-gcm"}, "n": {"type": "number"}})
    one = form(definition, {"token": "hush-hush", "n": "x"})
    assert not one.is_valid()
    assert "hush" not in html_of(one)
    one = form(
        template({"properties": {"token": {**TEXT, "ui:field": "Secret"}}}), {"token": "hush-hush"}
    )
    assert one.is_valid()
    assert (one.values, one.secrets) == ({}, {"token": "hush-hush"})
    assert "hush" not in html_of(one)


def test_refusals_stand_beside_the_fields():
    page = {
        "title": "P",
        "required": ["repo"],
        "properties": {
            "rows": {**LIST, "items": {"required": ["a"], "properties": {"a": TEXT, "b": TEXT}}},
            "repo": REPO,
        },
    }  # fmt: skip
    one = form(template(page), {"input.rows.0.b": "1", "input.repo.host": "github.com"})
    assert not one.is_valid()
    assert one.errors == {"rows.0.a": ["Is required"], "repo": ["Is required"]}
    lacking = form(template(page), {"input.repo.host": "github.com", "input.repo.owner": "a"})
    assert not lacking.is_valid()
    assert lacking.errors == {"repo.repo": ["Is missing"]}
    late = form(port({"a": TEXT}), {"a": "x"})
    assert late.is_valid()
    late.add_problems(InvalidInput("No such luck"))
    assert "No such luck" in html_of(late)


WIZARD = {
    "properties": {
        "kind": {**TEXT, "enum": ["web", "job"]},
        "port": {"type": "number", "visible": jq('.form.kind == "web"')},
        "size": {**TEXT, "enum": jq('if .form.kind == "web" then ["s", "m"] else ["xl"] end')},
        "note": {**TEXT, "format": "markdown", "dependsOn": ["kind"]},
    },
    "required": ["kind", "port"],
    "steps": [
        {"title": "What", "order": ["kind", "port"]},
        {"title": "How", "order": ["size", "note"], "visible": jq(".form.kind != null")},
    ],
}


def ask(definition, data, **extra):
    """The live answer: the ids that are swapped, all of it, and the event."""
    user = make_user()
    request = RequestFactory().post("/live", {**{k: data.getlist(k) for k in data}, **extra})
    one = ActionForm(definition, form_context(user), request.POST, principal=user, is_live=True)
    answer = live(request, one)
    html = answer.content.decode()
    swapped = re.findall(r'<\w+ [^>]*?\bid="([^"]*)"[^>]*hx-swap-oob', html)
    return swapped, html, json.loads(answer["HX-Trigger-After-Swap"])["actionform"]


def test_only_what_has_changed_is_drawn_anew():
    definition = definition_of_user_inputs(WIZARD)
    data = shown(html_of(form(definition)))
    assert ask(definition, data)[0] == ["form-marks"]
    data["input.kind"] = '"web"'
    swapped, html, event = ask(definition, data)
    assert swapped == [
        "box-input_2eport", "box-input_2esize", "box-input_2enote", "form-marks",
    ]  # fmt: skip
    assert event == {"steps": [True, True]}
    data |= shown(html)
    data["input.size"] = '"s"'
    assert ask(definition, data)[0] == ["form-marks"]
    data["input.kind"] = '"job"'
    swapped, html, _ = ask(definition, data)
    # what is not offered any more is forgotten
    assert swapped == ["box-input_2eport", "box-input_2esize", "form-marks"]
    assert '"s"' not in html.partition("form-marks")[0]


def test_the_parts_of_a_repository_follow_its_host():
    definition = template({"properties": {"repo": REPO}})
    data = shown(html_of(form(definition)))
    data["input.repo.host"] = "dev.azure.com"
    swapped, html, _ = ask(definition, data)
    assert swapped == ["box-input_2erepo", "form-marks"]
    assert "input.repo.organization" in html


def test_a_page_is_looked_through_before_the_next():
    definition = definition_of_user_inputs(WIZARD)
    data = shown(html_of(form(definition)))
    data["input.kind"] = '"web"'
    data |= shown(ask(definition, data)[1])
    data["input.size"] = '"wrong"'
    swapped, html, event = ask(definition, data, step="0", review="1")
    assert event == {"step": 0, "ok": False, "steps": [True, True]}
    assert "box-input_2eport" in swapped
    assert "Is required" in html
    assert "must be one of" not in html
    data |= shown(html)
    data["input.port"] = "80"
    swapped, html, event = ask(definition, data, step="0", review="1")
    assert event["ok"] is True
    assert "box-input_2eport" in swapped  # its error goes
    assert "<dt>port</dt><dd>80</dd>" in html
    _, html, _ = ask(definition, data, **{"preview": "input.note", "input.note": "**b**<script>"})
    assert "<strong>b</strong>" in html
    assert "<script>" not in html


def test_a_page_on_which_nothing_is_to_be_seen_is_left_out():
    more = {**TEXT, "visible": jq('.form.size == "large"')}
    steps = [{"title": "One", "order": ["size"]}, {"title": "Two", "order": ["why", "by"]}]
    surveyed = port(
        {"size": TEXT, "why": more, "by": {**TEXT, "visible": False, "default": "me"}}, steps=steps
    )
    for size, seen in (("small", [True, False]), ("large", [True, True])):
        assert [one.is_visible for one in form(surveyed, {"size": size}).steps] == seen


def test_without_scripts_further_questions_are_asked_before_anything_starts():
    definition = port({"a": {"type": "boolean"}, "b": {**TEXT, "visible": jq(".form.a == true")}})
    user = make_user()
    data = shown(html_of(form(definition, user=user)))
    data["input.a"] = "true"
    once = ActionForm(definition, form_context(user), data, principal=user)
    assert not once.is_valid()
    assert once.problems
    twice = shown(html_of(once))
    assert twice["input.a"] == "true"
    assert ActionForm(definition, form_context(user), twice, principal=user).is_valid()


def test_templates_open_questions_and_end_with_a_review():
    pages = (
        {"title": "One",
         "properties": {"ci": {**TEXT, "enum": ["a", "b"], "enumNames": ["A", "Bee"]}},
         "dependencies": {"ci": {"oneOf": [
             {"properties": {"ci": {"const": "b"}, "image": TEXT}, "required": ["image"]}]}}},
        {"title": "Two", "properties": {
            "key": {**TEXT, "ui:backstage": {"review": {"mask": "***"}}},
            "no": {**TEXT, "ui:backstage": {"review": {"show": False}}},
            "pin": {**TEXT, "ui:widget": "password"}}},
    )  # fmt: skip
    definition = template(*pages)
    data = shown(html_of(form(definition)))
    data["input.ci"] = '"b"'
    swapped, html, _ = ask(definition, data)
    assert swapped == ["form-step-0", "form-marks"]
    data |= shown(html)
    assert ask(definition, data)[0] == ["form-marks"]
    for name in ("image", "key", "no", "pin"):
        data[f"input.{name}"] = f"{name}-x"
    _, html, event = ask(definition, data, step="1", review="1")
    assert event["ok"] is True
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html)
    assert facts == [("ci", "Bee"), ("image", "image-x"), ("key", "***"), ("pin", "••••••")]


def test_pickers_find_what_may_be_picked():
    make_blueprint("service", properties={"tier": TEXT, "rank": {"type": "number"}})
    for name, tier, rank in (("a", "gold", 2), ("b", "tin", 3), ("c", "gold", 10)):
        make_entity("service", name, title=f"The {name}", properties={"tier": tier, "rank": rank})
    make_entity("_team", "core", title="Core")
    make_entity("_user", "bob", title="Bob", properties={"email": "bob@x.io"})
    rule = {"property": "tier", "operator": "=", "value": jq(".form.tier")}
    picked = {**TEXT, "format": "entity", "blueprint": "service"}
    definition = port(
        {
            "tier": {**TEXT, "default": "gold"},
            "one": {**picked, "dataset": {"combinator": "and", "rules": [rule]},
                    "sort": {"property": "rank", "order": "DESC"}},
            "all": {**LIST, "items": picked},
            "team": {**TEXT, "format": "team"},
            "who": {**TEXT, "format": "user"},
        }
    )  # fmt: skip
    browser = make_browser()
    drawn = form(definition, initial={"one": "a", "all": ["b", "zz"]})
    html = html_of(drawn)
    settings = [json.loads(unescape(one)) for one in re.findall(r'data-settings="([^"]*)"', html)]
    assert settings[1]["picked"] == [
        {"value": "b", "label": "The b", "missing": False},
        {"value": "zz", "label": "zz", "missing": True},
    ]

    def found(at, text=""):
        answer = browser.get(f"{settings[at]['url']}&q={text}")
        return [one["value"] for one in answer.json()["results"]]

    assert found(0) == ["c", "a"]
    assert found(0, "the c") == ["c"]
    assert found(1) == ["a", "b", "c"]
    assert found(2) == ["core"]
    assert found(3, "bo") == ["bob@x.io"]
    refs = html_of(form(template({"properties": {"o": {**TEXT, "ui:field": "OwnerPicker"}}})))
    url = json.loads(unescape(re.search(r'data-settings="([^"]*)"', refs)[1]))["url"]
    assert browser.get(url).json()["results"][0]["value"] == "user:default/bob"
    assert browser.get(url.replace("of=", "of=x")).status_code == 400
    browser.logout()
    assert browser.get(url).status_code == 401
