"""${NAME} in texts: what stands for it, and how a name that leads nowhere is told."""

import pytest

from catalog.kernel.errors import InvalidInput
from catalog.kernel.placeholders import expand, names_in

ENVIRON = {"TOKEN": "t-1", "HOST": "git.example.com", "EMPTY": "", "NESTED": "${TOKEN}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${TOKEN}", "t-1"),
        ("https://${HOST}/api?t=${TOKEN}", "https://git.example.com/api?t=t-1"),
        ("${MISSING:-https://x.example:80/}", "https://x.example:80/"),
        ("${MISSING:-}", ""),
        ("${TOKEN:-other}", "t-1"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("$${TOKEN}", "${TOKEN}"),
        ("$$${TOKEN}", "$${TOKEN}"),
        ("pa$$word $TOKEN ${ ${} ${a b}", "pa$$word $TOKEN ${ ${} ${a b}"),
        ("${NESTED}", "${TOKEN}"),
    ],
)
def test_placeholders(text, expanded):
    assert expand(text, ENVIRON, what="variable") == expanded


def test_a_whole_document_keeps_its_shape_and_its_keys():
    document = {"a": [{"${TOKEN}": "${TOKEN}", "n": 1, "b": None}], "c": True}
    assert expand(document, ENVIRON, what="variable") == {
        "a": [{"${TOKEN}": "t-1", "n": 1, "b": None}],
        "c": True,
    }
    assert names_in(document) == {"TOKEN"}


def test_a_missing_name_is_named_with_its_place():
    document = {"sources": [{"token": "x"}, {"token": "Bearer ${NOWHERE}"}]}
    with pytest.raises(InvalidInput) as caught:
        expand(document, ENVIRON, what="variable")
    assert str(caught.value) == "sources[1].token: there is no variable NOWHERE"
    assert caught.value.details["field"] == "sources[1].token"
