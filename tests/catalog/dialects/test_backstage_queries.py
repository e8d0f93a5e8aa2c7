"""Filters and predicates against an evaluator so plain that it can be believed."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.cursors import Cursor, SortField
from catalog.dialects.backstage.queries.fields import parse_fields, pick
from catalog.dialects.backstage.queries.pairs import pairs_and_terms
from catalog.dialects.backstage.queries.predicates import (
    MAX_DEPTH,
    compile_predicate,
    parse_filters,
)
from catalog.dialects.backstage.queries.selection import (
    count_facets,
    list_entities,
    query_entities,
)
from catalog.kernel.errors import InvalidRequest
from catalog.models import DocumentRelation, EntityDocument
from tests.factories import make_blueprint, make_entity, make_user

World = tuple[Any, dict[int, dict[str, Any]]]

WORDS = ["a", "A", "ab", "Abc", "b%", "_", "é", "x=y", "", "7", "true"]
KEYS = ["one", "two", "x=y", "deep"]
PATHS = [
    "kind",
    "KIND",
    "metadata.name",
    "metadata.title",
    "spec.one",
    "spec.Two",
    "spec.two.ab",
    "spec.two.A",
    "spec.x=y",
    "spec.deep.one",
    "spec.deep.one.a",
    "relations.up",
    "Relations.upOf",
    "relations",
    "spec.nothing",
]
REFS = ["thing:default/t1", "THING:default/t2", "thing:default/gone"]
VALUES = st.sampled_from([*WORDS, *REFS, "Thing", "t1", 7, 1.5, 2.0, True, False])


def _value(rng: random.Random) -> Any:
    return rng.choice(
        [
            rng.choice(WORDS),
            rng.choice([7, 1.5, 2.0, True, False, None]),
            [rng.choice([*WORDS, 7, None]) for _ in range(rng.randrange(4))],
            {rng.choice(KEYS): rng.choice([*WORDS, 1.5]) for _ in range(rng.randrange(3))},
            [{rng.choice(KEYS): rng.choice(WORDS)} for _ in range(rng.randrange(3))],
            "long " * 50,
        ]
    )


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Forty entities with anything in anything, by pk, each with its relations."""
    rng = random.Random(5)
    with django_db_blocker.unblock(), transaction.atomic():
        up = {"up": {"title": "Up", "target": "thing", "many": True}}
        make_blueprint("thing", relations=up)
        for index in range(40):
            make_entity(
                "thing",
                f"t{index}",
                title=rng.choice([None, *WORDS[:7]]),
                properties={key: _value(rng) for key in KEYS if rng.random() < 0.7},
                relations={"up": rng.sample(["t1", "t2", "t3", "gone"], rng.randrange(3))},
            )
        ensure_current()
        documents = dict(EntityDocument.objects.values_list("pk", "document"))
        for pk, ref in EntityDocument.objects.values_list("pk", "ref"):
            stated = DocumentRelation.objects.filter(source_ref=ref)
            documents[pk]["relations"] = list(stated.values_list("type", "target_ref"))
        yield make_user(), documents
        transaction.set_rollback(True)


# --- the evaluator ----------------------------------------------------------------------------


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if value == 2.0 and isinstance(value, float) else str(value).lower()


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, path)
            if isinstance(one, str):
                yield f"{path}.{one}", "true"
    else:
        yield path, None if value is None or len(str(value)) > 200 else _text(value)


def _pairs(document: dict[str, Any]) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    plain = {key: value for key, value in document.items() if key not in ("relations", "status")}
    for key, value in _leaves(plain, ""):
        if key != "metadata.etag" and len(key) <= 200:
            found.setdefault(key.lower(), []).append(value)
    for relation, target in document["relations"]:
        found.setdefault(f"relations.{relation.lower()}", []).append(target)
    return found


def _holds(predicate: Any, pairs: dict[str, list[str | None]]) -> bool:
    if "$all" in predicate:
        return all(_holds(one, pairs) for one in predicate["$all"])
    if "$any" in predicate:
        return any(_holds(one, pairs) for one in predicate["$any"])
    if "$not" in predicate:
        return not _holds(predicate["$not"], pairs)
    return all(_field(key.lower(), value, pairs) for key, value in predicate.items())


def _field(key: str, value: Any, pairs: dict[str, list[str | None]]) -> bool:
    values = pairs.get(key, [])
    match value:
        case {"$exists": wanted}:
            return (key in pairs) is wanted
        case {"$in": many}:
            return any(_text(one) in values for one in many)
        case {"$hasPrefix": prefix}:
            return any(one is not None and one.startswith(prefix.lower()) for one in values)
        case {"$contains": {"type": relation, **rest}}:
            targets = pairs.get(f"relations.{relation.lower()}", [])
            return bool(targets) if not rest else _text(rest["targetRef"]) in targets
        case {"$contains": one}:
            return _text(one) in values
    return _text(value) in values


# --- the questions ----------------------------------------------------------------------------

OPERANDS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$in": st.lists(VALUES, max_size=3)}),
    st.fixed_dictionaries({"$hasPrefix": st.sampled_from([*WORDS, "thing:d", "t", "%"])}),
    st.fixed_dictionaries({"$contains": VALUES}),
)
RELATED = st.fixed_dictionaries(
    {"type": st.sampled_from(["up", "UPOF", "no"])}, optional={"targetRef": st.sampled_from(REFS)}
).map(lambda relation: {"relations": {"$contains": relation}})
PREDICATES = st.recursive(
    st.one_of(st.dictionaries(st.sampled_from(PATHS), OPERANDS, max_size=3), RELATED),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"$all": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"$any": parts}),
        inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=6,
)
QUICKLY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.django_db
@QUICKLY
@given(predicate=PREDICATES)
def test_a_predicate_selects_what_a_plain_evaluator_does(world: World, predicate: Any) -> None:
    user, documents = world
    found, _ = list_entities(user, predicate=predicate)
    assert set(found) == {
        pk for pk, document in documents.items() if _holds(predicate, _pairs(document))
    }


@pytest.mark.django_db
@QUICKLY
@given(
    filters=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([path for path in PATHS if "=" not in path]),
                st.sampled_from([None, *[one for one in WORDS if one != "x=y"], *REFS]),
            ),
            max_size=4,
        ),
        max_size=3,
    )
)
def test_a_filter_selects_what_a_plain_evaluator_does(
    world: World, filters: list[list[tuple[str, str | None]]]
) -> None:
    user, documents = world
    texts = [
        ", ".join(key if value is None else f" {key} = {value} " for key, value in one)
        for one in filters
    ]
    found, _ = list_entities(user, predicate=parse_filters(texts))

    def matches(pairs: dict[str, list[str | None]]) -> bool:
        sets = [one for one in filters if one]
        return not sets or any(_all_keys(one, pairs) for one in sets)

    assert set(found) == {pk for pk, document in documents.items() if matches(_pairs(document))}


def _all_keys(statements: list[tuple[str, str | None]], pairs: dict[str, list[str | None]]) -> bool:
    for key in {key for key, _ in statements}:
        values = [value.lower() for one, value in statements if one == key and value is not None]
        known = pairs.get(key.lower(), [])
        if not (any(value in known for value in values) if values else key.lower() in pairs):
            return False
    return True


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["metadata.name", "spec.two", "relations.up", "spec.one", ""])
@pytest.mark.parametrize("is_descending", [False, True])
def test_pages_forth_and_back_are_the_whole_in_order(
    world: World, field: str, is_descending: bool
) -> None:
    user, documents = world
    lowest = {
        pk: min((one for one in _pairs(document).get(field, []) if one is not None), default=None)
        for pk, document in documents.items()
    }
    keys = {
        pk: (value or "", document["metadata"]["uid"])
        for (pk, document), value in zip(documents.items(), lowest.values(), strict=True)
        if value is not None or not field
    }
    whole = sorted(keys, key=keys.__getitem__, reverse=is_descending and bool(field))
    order = SortField(field, is_descending) if field else None
    pages, cursor = [], Cursor(order=order)
    while True:
        page = query_entities(user, cursor, limit=7)
        assert page.total == len(whole)
        pages.append(page.pks)
        if page.next is None:
            break
        cursor = Cursor.decode(page.next.encode())
    assert [pk for page in pages for pk in page] == whole
    back = [page.pks]
    while page.previous is not None:
        page = query_entities(user, Cursor.decode(page.previous.encode()), limit=7)
        back.insert(0, page.pks)
    assert back == pages


@pytest.mark.django_db
def test_missing_comes_last_in_both_directions_of_a_page(world: World) -> None:
    user, documents = world
    having = {pk for pk, one in documents.items() if any(_pairs(one).get("spec.one", []))}
    for is_descending in (False, True):
        pks, has_more = list_entities(user, order=[SortField("SPEC.one", is_descending)], limit=100)
        assert not has_more
        assert {bool(pk in having) for pk in pks[: len(having)]} == {True}
        unpaged, _ = list_entities(user, order=[SortField("spec.one", is_descending)])
        assert set(unpaged) >= having


@pytest.mark.django_db
def test_facets_count_entities_in_the_case_of_their_values(world: World) -> None:
    user, documents = world
    counted = count_facets(user, ["Spec.One", "relations.UP", "kind", "no"], {"spec.two": "a"})
    expected: dict[str, int] = {}
    for document in documents.values():
        pairs = _pairs(document)
        if "a" in pairs.get("spec.two", []):
            stored, _ = pairs_and_terms({"spec": document["spec"]})
            for value in {one for one in stored.get("spec.one", []) if one is not None}:
                expected[value] = expected.get(value, 0) + 1
    assert counted["Spec.One"] == sorted(expected.items())
    assert counted["no"] == []
    assert [value for value, _ in counted["kind"]] == ["Thing"]
    assert all(count > 0 for _, count in counted["relations.UP"])


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "predicate"),
    [
        ([], None),
        ([","], None),
        (["a=1,b=2"], {"$all": [{"a": {"$in": ["1"]}}, {"b": {"$in": ["2"]}}]}),
        (["a=1", "b"], {"$any": [{"a": {"$in": ["1"]}}, {"b": {"$exists": True}}]}),
        (["a=1,a=2"], {"a": {"$in": ["1", "2"]}}),
        (["a,a=1"], {"a": {"$in": ["1"]}}),
        (["a="], {"a": {"$in": [""]}}),
        (["a=b=c , "], {"a": {"$in": ["b=c"]}}),
        (["A=1,a=2"], {"$all": [{"A": {"$in": ["1"]}}, {"a": {"$in": ["2"]}}]}),
    ],
)
def test_filters_are_predicates(filters: list[str], predicate: Any) -> None:
    assert parse_filters(filters) == predicate


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ([], "top-level primitive values are not supported"),
        ("kind", "top-level primitive values are not supported"),
        ({"$all": ["kind"]}, "top-level primitive values are not supported"),
        ({"$bad": 1}, 'Validation error: Invalid at "$bad"'),
        ({"$not": {"a": "1"}, "b": "2"}, 'Validation error: Invalid at "$not"'),
        ({"$any": {}}, 'Validation error: Invalid at "$any"'),
        ({"a": None}, 'Validation error: Invalid at "a"'),
        ({"a": []}, 'Validation error: Invalid at "a"'),
        ({"a": {}}, 'Validation error: Invalid at "a"'),
        ({"a": {"$like": "x"}}, 'Validation error: Invalid at "a.$like"'),
        ({"a": {"$exists": "yes"}}, 'Validation error: Invalid at "a.$exists"'),
        ({"a": {"$in": "x"}}, 'Validation error: Invalid at "a.$in"'),
        ({"a": {"$in": [{}]}}, 'Validation error: Invalid at "a.$in"'),
        ({"a": {"$hasPrefix": 1}}, 'Validation error: Invalid at "a.$hasPrefix"'),
        ({"a": {"$contains": {"b": 1}}}, 'Object form of $contains is not supported for field "a"'),
        ({"relations": {"$contains": {}}}, 'Invalid at "relations.$contains.type"'),
        (
            {"relations": {"$contains": {"type": "x", "more": 1}}},
            'Invalid at "relations.$contains.more"',
        ),
        ({"$all": [{"a": "1"}] * 2000}, "more than 2000 parts"),
        ({"a": {"$in": ["1"] * 2001}}, "more than 2000 parts"),
        (
            {"relations": {"$contains": {"type": "x", "targetRef": {"$in": ["1"] * 2001}}}},
            "more than 2000 parts",
        ),
        ({"$any": [{"a": {"$hasPrefix": "1"}}] * 51}, "more than 50 conditions on prefixes"),
        ({"$any": [{"relations.a": {"$exists": True}}] * 51}, "more than 50 conditions"),
    ],
)
def test_what_is_no_predicate_is_refused(predicate: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        compile_predicate(predicate)
    assert message in refused.value.message


def test_a_deep_predicate_is_refused() -> None:
    predicate: Any = {"a": "1"}
    for _ in range(MAX_DEPTH + 1):
        predicate = {"$not": predicate}
    with pytest.raises(InvalidRequest, match="nested more than"):
        compile_predicate(predicate)


def _forged(**changes: Any) -> str:
    document = {
        "orderFields": [{"field": "a", "order": "asc"}],
        "orderFieldValues": ["x", "7c1e9d0c-6c4a-4d39-9a9b-2a1f6f0f5b52"],
        "isPrevious": False,
        "firstSortFieldValues": ["x", "7c1e9d0c-6c4a-4d39-9a9b-2a1f6f0f5b52"],
        "totalItems": 3,
    }
    return base64.b64encode(orjson.dumps({**document, **changes})).decode()


def test_a_cursor_goes_there_and_back() -> None:
    cursor = Cursor.decode(_forged(query={"kind": "api"}, fullTextFilter={"term": "x"}))
    assert (cursor.order, cursor.total, cursor.term) == (SortField("a"), 3, "x")
    assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "zzz",
        "!!",
        "é",
        "",
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b'{"a": "\\u0000"}').decode(),
        _forged(orderFields=[{"field": "a", "order": "up"}]),
        _forged(orderFields=[{"field": "a"}]),
        _forged(orderFieldValues=["x", "nobody"]),
        _forged(orderFieldValues=[None, "7c1e9d0c-6c4a-4d39-9a9b-2a1f6f0f5b52"]),
        _forged(orderFieldValues=None),
        _forged(firstSortFieldValues=["x"]),
        _forged(totalItems=-1),
        _forged(totalItems=True),
        _forged(isPrevious="no"),
        _forged(query=[]),
        _forged(fullTextFilter={"term": 1}),
    ],
)
def test_a_forged_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Malformed cursor: "):
        Cursor.decode(text)


def test_fields_find_keys_with_dots() -> None:
    entity = {
        "kind": "API",
        "metadata": {"name": "x", "annotations": {"a.b/c": "1", "d": "2"}},
        "relations": [],
    }
    fields = parse_fields(["metadata.annotations.a.b/c", "kind", "nope", "metadata.no", "kind.x"])
    assert pick(entity, fields or ()) == {
        "metadata": {"annotations": {"a.b/c": "1"}},
        "kind": "API",
    }
    assert pick(entity, ["metadata.name", "metadata"]) == {"metadata": entity["metadata"]}
    assert pick(entity, ["metadata", "metadata.name"]) == {"metadata": entity["metadata"]}
    with pytest.raises(InvalidRequest, match="array type fields are not supported"):
        parse_fields(["metadata.tags[0]"])
