"""Which names are taken, per kind of name, and that a refusal says why."""

import pytest

from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import (
    check_blueprint_identifier,
    check_entity_identifier,
    check_property_identifier,
    is_storable,
    new_entity_identifier,
)

BLUEPRINT, ENTITY, PROPERTY = (
    check_blueprint_identifier,
    check_entity_identifier,
    check_property_identifier,
)


@pytest.mark.parametrize(
    ("name", "taken_by"),
    [
        ("service", {BLUEPRINT, ENTITY, PROPERTY}),
        ("_user", {BLUEPRINT, ENTITY, PROPERTY}),
        ("Größe", {BLUEPRINT, ENTITY}),
        ("サービス", {BLUEPRINT, ENTITY}),
        ("a/b:c.d+e@f\\g", {BLUEPRINT, ENTITY}),
        ("a=b", {ENTITY, PROPERTY}),
        ("x" * 100, {BLUEPRINT, ENTITY, PROPERTY}),
        ("x" * 101, {ENTITY}),
        ("x" * 1000, {ENTITY}),
        ("x" * 1001, set()),
        ("語" * 100, {BLUEPRINT, ENTITY}),
        ("語" * 667, set()),
        ("...", {BLUEPRINT, ENTITY}),
        (".", set()),
        ("..", set()),
        ("", set()),
        (" ", set()),
        ("a b", set()),
        ("a\n", set()),
        ("a%2Fb", set()),
        ("a\x00", set()),
        ("🚀", set()),
        ("e\u0301", set()),
        (None, set()),
        (5, set()),
        ({"a": 1}, set()),
    ],
)
def test_names(name, taken_by):
    for check in (BLUEPRINT, ENTITY, PROPERTY):
        if check in taken_by:
            assert check(name) == name
            continue
        with pytest.raises(InvalidInput) as error:
            check(name)
        assert error.value.details["expected"]
        assert len(error.value.message) < 400


def test_made_up_names_are_names_and_differ():
    names = {new_entity_identifier() for _ in range(1000)}
    assert len(names) == 1000
    assert all(check_entity_identifier(name) == name for name in names)


@pytest.mark.parametrize(
    ("text", "expected"), [("a", True), ("🚀", True), ("a\x00", False), ("\ud83d", False)]
)
def test_what_could_be_stored(text, expected):
    assert is_storable(text) is expected
