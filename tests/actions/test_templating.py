"""`{{ JQ }}`: where it ends, what comes in for it, and what nobody may see."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.services import templating
from actions.services.templates import Expression, parse
from actions.services.templating import fill_in
from catalog.kernel.errors import InvalidExpression, InvalidInput
from catalog.models import Secret
from catalog.services.secrets import create_secret
from tests.factories import ACTOR

CONTEXT = {
    "inputs": {
        "name": "pay",
        "replicas": 3,
        "ratio": 0.5,
        "on": True,
        "missing": None,
        "key": "tier",
        "port": 8080,
        "tags": ["a", "b"],
        "object": {"x": {"y": 1}},
        "trick": "{{ .run.id }}",
        "secrets": {"TOKEN": "an input that is called so"},
    },
    "run": {"id": "r_1"},
    "trigger": {"by": {"user": {"email": "ada@example.com"}}},
}


def filled(value, **context):
    return fill_in(value, {**CONTEXT, **context}, field="invocationMethod")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        # only one template: the value with its type
        ("{{ .inputs.replicas }}", 3),
        ("{{.inputs.ratio}}", 0.5),
        ("{{ .inputs.on }}", True),
        ("{{ .inputs.missing }}", None),
        ("{{ .inputs.nothing.at.all }}", None),
        ("{{ .inputs.object }}", {"x": {"y": 1}}),
        ("\n{{ .inputs.tags }}\n", ["a", "b"]),
        ("{{ empty }}", None),
        ("{{ .inputs.tags[] }}", "a"),
        ("{{ 7 }}", 7),
        # text around it, or several: text
        ("n: {{ .inputs.replicas }}", "n: 3"),
        ("{{ .inputs.name }}{{ .inputs.name }}", "paypay"),
        ("{{ .inputs.ratio }}/{{ .inputs.on }}/{{ .inputs.missing }}", "0.5/true/null"),
        ("x={{ .inputs.object }}", 'x={"x":{"y":1}}'),
        ("https://ci.example.com/{{ .inputs.name | @uri }}?a=1", "https://ci.example.com/pay?a=1"),
        # where it ends
        ("{{ {a: {b: 1}} }}", {"a": {"b": 1}}),
        ("{{{a: {b: 1}}}}", {"a": {"b": 1}}),
        ('{{ "}}" }}', "}}"),
        ('{{ "\\"}}" }}', '"}}'),
        ('{{ "\\(.inputs.tags | map({a: .}) | length)}}" }}', "2}}"),
        ('{{ "\\("}}" + "\\({a: 1})")" }}', '}}{"a":1}'),
        ("{{ [.inputs.tags[] | {n: .}] | length }}", 2),
        ("{{ .inputs.name # a }} comment\n }}", "pay"),
        ('{{ "it\'s {{ }}" }}', "it's {{ }}"),
        ("{{ 'say \"}}' + .inputs.name }}", 'say "}}pay'),
        ("a }} b {{ .inputs.name }} }}", "a }} b pay }}"),
        # as actions of Port write it
        ("{{ .inputs | tojson | fromjson | .name }}", "pay"),
        ('{{ .inputs.nothing // "x" }}', "x"),
        ("{{ .trigger.by.user.email }}", "ada@example.com"),
        ('{{ .inputs."name" }}{{ .inputs["key"] }}', "paytier"),
        ('{{ if .inputs.on then "yes" else "no" end }}', "yes"),
        # what came in is not looked into
        ("{{ .inputs.trick }}", "{{ .run.id }}"),
        ("-{{ .inputs.trick }}", "-{{ .run.id }}"),
    ],
)
def test_texts(template, value):
    assert filled({"a": [template]}) == {"a": [value]}


def test_keys_and_spreading():
    value = {
        "first": 1,
        "{{ .inputs.key }}": "gold",
        "{{ .inputs.missing }}": "dropped",
        '{{ "" }}': "dropped",
        "p{{ .inputs.port }}": 2,
        "{{ .inputs.port }}": 3,
        "{{spreadValue()}}": "{{ .inputs.object }}",
        "{{ spreadValue( ) }}": {"z": "{{ .run.id }}", "first": "again"},
        "plain": {"{{ spreadValue() }}": None},
    }
    assert json.dumps(filled(value)) == json.dumps(
        {
            "first": "again",
            "tier": "gold",
            "p8080": 2,
            "8080": 3,
            "x": {"y": 1},
            "z": "r_1",
            "plain": {},
        }
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"body": {"name": "{{ .inputs.name | tonumber }}"}},
            'invocationMethod.body.name: the JQ ".inputs.name | tonumber" failed: '
            'string ("pay") cannot be parsed as a number',
        ),
        (
            {"body": ["", "a {{ if }}"]},
            'invocationMethod.body[1]: the JQ "if" failed: does not compile',
        ),
        ({"url": "{{ .a"}, 'invocationMethod.url: the template that begins with "{{ .a" is not'),
        ({"url": '{{ "}}'}, "is not closed"),
        ({"url": "{{ (.a }}"}, "is not closed"),
        ({"url": "{{ }}"}, "is empty"),
        ({"{{ .inputs.tags }}": 1}, "the key gave an array"),
        ({"{{ .inputs.on }}": 1}, "the key gave a boolean"),
        ({"{{ spreadValue() }}": "{{ .inputs.name }}"}, "spreadValue() got text"),
    ],
)
def test_errors_name_the_place_and_what_jq_says(value, message):
    with pytest.raises(InvalidExpression) as caught:
        filled(value)
    assert message in str(caught.value)


def test_what_could_never_work_is_refused_at_once():
    templating.check({"a": "{{ .x }}", "b": [1, "plain"]}, field="invocationMethod")
    with pytest.raises(InvalidExpression, match=r"^invocationMethod\.b\[0\]: the JQ expression"):
        templating.check({"a": "{{ .x }}", "b": ["{{ if }}"]}, field="invocationMethod")


def test_expressions_see_the_values_of_the_whole_call_only():
    assert filled("{{ $ENV.HOME }} {{ env }}") == "null {}"


# Secrets


@pytest.fixture
def token(db):
    create_secret(name="TOKEN", value="tok-4711-abcdef", actor=ACTOR)
    create_secret(name="my-token", value="other-4711", actor=ACTOR)
    return "tok-4711-abcdef"


def with_secrets(value):
    known = templating.secrets_named(templating.secret_names(value))
    return filled(value, secrets=known)


def test_secrets_come_in_where_they_are_named(token):
    value = {
        "url": "https://ci.example.com/?token={{ .secrets.TOKEN }}",
        "headers": {
            "Authorization": "Bearer {{ .secrets.TOKEN }}",
            "X-Other": '{{ .secrets["my-token"] }}',
            "X-Single": "{{ .secrets['my-token'] }}",
            "X-Basic": '{{ "ada:" + .secrets."TOKEN" | @base64 }}',
        },
        "body": {
            "input": "{{ .inputs.secrets.TOKEN }}",
            "either": '{{ if .inputs.on then .secrets?.TOKEN else "" end }}',
            "bound": "{{ . as $all | $all.secrets.TOKEN }}",
        },
    }
    assert templating.secret_names(value) == {"TOKEN", "my-token"}
    done = with_secrets(value)
    assert done["url"].endswith(token)
    assert done["headers"] == {
        "Authorization": f"Bearer {token}",
        "X-Other": "other-4711",
        "X-Single": "other-4711",
        "X-Basic": "YWRhOnRvay00NzExLWFiY2RlZg==",
    }
    assert done["body"] == {
        "input": "an input that is called so",
        "either": token,
        "bound": token,
    }


def test_who_names_no_secret_sees_none(token):
    value = {"headers": {"a": "{{ .secrets.TOKEN }}"}, "body": "{{ keys | sort }}"}
    assert with_secrets(value)["body"] == ["inputs", "run", "secrets", "trigger"]
    value["body"] = '{{ .["sec" + "rets"] }}'
    assert with_secrets(value)["body"] == {}


@pytest.mark.parametrize(
    "expression",
    [
        ".secrets.TOKEN | tonumber",
        ".secrets.TOKEN | error",
        '.secrets.TOKEN as $t | {a: "x"} | .a[$t]',
        '.secrets.TOKEN | explode | .[0:3] | implode | error("got \\(.)")',
    ],
)
def test_errors_tell_nothing_of_secrets(token, expression):
    with pytest.raises(InvalidExpression) as caught:
        with_secrets({"headers": {"a": f"{{{{ {expression} }}}}"}})
    shown = str(caught.value) + str(caught.value.details)
    assert "not shown" in shown
    assert token[:3] not in shown


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"workflowInputs": {"a": "{{ .secrets.TOKEN }}"}}, "allowed in url, headers and body"),
        ({"mapping": {"title": "{{ .secrets.TOKEN }}"}}, "allowed in url, headers and body"),
        ({"body": "{{ .secrets }}"}, "without naming one"),
        ({"body": "{{ .secrets | .TOKEN }}"}, "without naming one"),
        ({"body": "{{ .secrets[.inputs.name] }}"}, "without naming one"),
    ],
)
def test_secrets_elsewhere_or_unnamed_are_refused(value, message):
    with pytest.raises(InvalidInput, match=message):
        templating.check(value, field="invocationMethod")


def test_an_unknown_secret_is_named(db):
    with pytest.raises(InvalidInput, match="There is no secret NOPE"):
        with_secrets({"body": "{{ .secrets.NOPE }}"})
    assert not Secret.objects.exists()


def test_credentials_that_nobody_called_secrets():
    payload = {
        "url": "https://gitlab.example.com/trigger/pipeline?token=glptt-0123456789&ref=main",
        "headers": {
            "Authorization": "Bearer literal-4711",
            "X-Api-Key": "short",
            "Idempotency-Key": "not-a-secret-at-all",
            "X-Port": "hello-hello",
        },
    }
    assert templating.credentials_in(payload) == {
        "glptt-0123456789",
        "Bearer literal-4711",
        "literal-4711",
    }
    assert templating.credentials_in({"url": "http://[", "headers": None}) == set()


# Whatever there is

_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text().filter(lambda text: "{{" not in text),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text().filter(lambda text: "{{" not in text), inner, max_size=3)
    ),
    max_leaves=8,
)
_pieces = st.lists(
    st.sampled_from(["{{ .inputs.name }}", "{{ .inputs.object }}", "a", "}}", " ", '"', "{", "#"]),
    max_size=5,
).map("".join)


@given(_plain)
def test_a_value_without_templates_is_unchanged(value):
    before = copy.deepcopy(value)
    assert filled(value) == before


@given(st.text(alphabet='{}"\\()[]# \n.a', max_size=40))
def test_every_text_is_parsed_or_refused(text):
    try:
        template = parse(text, where="t")
    except InvalidExpression:
        assert "{{" in text
        return
    if template is None:
        assert "{{" not in text
        return
    bare = text.replace(" ", "").replace("\n", "")
    again = "".join(
        f"{{{{{part.jq}}}}}" if isinstance(part, Expression) else part for part in template.parts
    )
    assert again.replace(" ", "").replace("\n", "") == bare


@given(_pieces)
def test_filling_in_changes_no_template_and_gives_the_same_again(text):
    value = {"a": text, "b": [text]}
    try:
        first = filled(value)
    except InvalidExpression:
        return
    assert value == {"a": text, "b": [text]}
    assert filled(value) == first
