import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog.kernel.yaml_reader import load_document, read_documents
from catalog.kernel.yaml_writer import write_yaml, write_yaml_documents

# Texts that a reader of YAML may take for something else, and any other text.
WORDS = (
    "yes no on off y N ~ null true 1e3 0o17 0x1F 010 1_000 12:30:45 2020-01-01 .5 +1 1. -0 .inf "
    ".NaN - -- --- ... << = ? : # & * ! | > % @ ` {} [] , ' \""
)
SPACED = ["", " ", "a ", " a", "a\n", "\na", "a\n\n", " a\nb", "a: b", "a #b", "\t", "a\tb\n"]
TEXTS = st.one_of(
    st.sampled_from(WORDS.split() + SPACED),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda one: not one.is_integer()),
    TEXTS,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_back_equal(value: dict) -> None:
    assert load_document(write_yaml(value), name="x") == value


@given(st.lists(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), max_size=3))
def test_many_documents(values: list) -> None:
    text = write_yaml_documents(values)
    assert [one.value for one in read_documents(text, name="x")] == values


@pytest.mark.parametrize("text", ["yes", "1e3", "0o17", "1_000", "12:30", "<<", "null", ""])
def test_readers_of_both_versions_take_a_text_for_a_text(text: str) -> None:
    written = write_yaml({"a": text})
    assert yaml.safe_load(written) == {"a": text}
    assert load_document(written, name="x") == {"a": text}


def test_it_looks_as_a_person_would_write_it() -> None:
    shared = ["java"]
    value = {"name": "orders", "text": "one\ntwo\n", "tags": shared, "labels": shared, "size": "1"}
    assert write_yaml(value) == (
        "name: orders\ntext: |\n  one\n  two\ntags:\n- java\nlabels:\n- java\nsize: '1'\n"
    )
