"""JSON as people type it."""

import pytest

from catalog.kernel.errors import InvalidInput
from catalog.kernel.json_text import read_json, write_json


def test_order_and_kinds_of_numbers_are_kept() -> None:
    value = read_json('{"b": 1, "a": [1.0, 9007199254740993, "é"]}')
    assert list(value) == ["b", "a"]
    assert repr(value["a"]) == "[1.0, 9007199254740993, 'é']"
    assert list(read_json(write_json(value))) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Line 1, column 1: Expecting value"),
        ('{"a": 1,\n "b" 2}', "Line 2, column 6: Expecting ':' delimiter"),
        ('{"a": {"b": 1, "b": 2}}', 'The key "b" is given twice'),
        ("[NaN]", "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("[" * 100_000, "The nesting is too deep"),
        ("1" * 5000, "Exceeds the limit"),
        ("123456789012345678901", "64-bit"),
        ('"\\u0000"', "NUL character"),
        ('"\\ud800"', "cannot be stored"),
    ],
)
def test_what_cannot_be_stored_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace("(", "\\(")):
        read_json(text)
