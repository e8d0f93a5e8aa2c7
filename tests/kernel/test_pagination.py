import pytest

from catalog.kernel.errors import InvalidRequest
from catalog.kernel.pagination import decode_cursor, encode_cursor


@pytest.mark.parametrize(
    "values", [[1], ["größe", 5], [None, "2026-03-15T12:00:00+00:00", 2**60], [], ["?&/+=" * 99]]
)
def test_a_cursor_comes_back_and_needs_no_quoting(values):
    cursor = encode_cursor(values)
    assert decode_cursor(cursor, length=len(values)) == values
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "AAAA",
        "=",
        "\x00",
        encode_cursor([1]),
        encode_cursor(["\0", 1]),
        "W3sxfV0",
        "a" * 10_000,
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(cursor):
    with pytest.raises(InvalidRequest, match="is not a cursor of this list") as error:
        decode_cursor(cursor, length=2, field="after")
    assert error.value.details["field"] == "after"
    assert len(error.value.message) < 300
