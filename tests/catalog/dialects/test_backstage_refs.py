from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.dialects.backstage.refs import EntityRef, RefError, parse_ref


@pytest.mark.parametrize(
    ("ref", "parts"),
    [
        ("a", ("Group", "ns", "a")),
        ("k:a", ("k", "ns", "a")),
        ("n/a", ("Group", "n", "a")),
        ("k:n/a", ("k", "n", "a")),
        ("a/b:c", ("Group", "a", "b:c")),  # the slash comes first: the colon is the name's
        ("k:n/x/y", ("k", "n", "x/y")),
        ("k:a:b", ("k", "ns", "a:b")),
        ("Component:default/A.b_c", ("Component", "default", "A.b_c")),
        ("service@example.com", ("Group", "ns", "service@example.com")),
        ({"name": "a"}, ("Group", "ns", "a")),
        ({"kind": "User", "namespace": "n", "name": "a"}, ("User", "n", "a")),
    ],
)
def test_parts_and_defaults(ref, parts):
    assert parse_ref(ref, default_kind="Group", default_namespace="ns") == EntityRef(*parts)


def test_no_namespace_at_all_is_the_default_one():
    assert str(parse_ref("System:A", default_namespace="")) == "system:default/a"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("", "an entity reference must not be empty"),
        (None, "an entity reference must not be empty"),
        ({}, "an entity reference must not be empty"),
        (":a", 'reference ":a" is not of the form [kind:][namespace/]name'),
        ("a/", 'reference "a/" is not of the form [kind:][namespace/]name'),
        ("/x", 'reference "/x" is not of the form [kind:][namespace/]name'),
        ("group:", 'reference "group:" is not of the form [kind:][namespace/]name'),
        ("k:/x", 'reference "k:/x" is not of the form [kind:][namespace/]name'),
        ("orders-db", 'reference "orders-db" needs a kind in front, as in component:orders-db'),
        (7, "7 is not an entity reference; expected [kind:][namespace/]name"),
        ({"kind": 1, "name": "a"}, "kind of an entity reference must be text, not 1"),
    ],
)
def test_what_is_no_reference(ref, message):
    with pytest.raises(RefError) as caught:
        parse_ref(ref)
    assert str(caught.value) == message


PART = st.text(st.characters(codec="utf-8", exclude_characters=":/"), min_size=1, max_size=20)


@given(PART, PART, PART)
def test_a_full_reference_survives_writing_and_reading(kind, namespace, name):
    written = str(EntityRef(kind, namespace, name))
    read = parse_ref(written)
    assert str(read) == written
    assert str(parse_ref({"kind": kind, "namespace": namespace, "name": name})) == written


@given(st.text(max_size=12), st.sampled_from(["Group", None]))
def test_any_text_is_a_reference_or_refused_as_none(text, default_kind):
    try:
        ref = parse_ref(text, default_kind=default_kind)
    except RefError:
        return
    assert all([ref.kind, ref.namespace, ref.name])
