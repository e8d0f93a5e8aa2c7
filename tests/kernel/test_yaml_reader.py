from __future__ import annotations

import json
import time

import pytest

from catalog.kernel.yaml_reader import (
    YamlError,
    YamlLimits,
    load_document,
    read_documents,
)

SMALL = YamlLimits(max_bytes=2000, max_depth=10, max_nodes=50, max_documents=5)
BIG = 5_000_000


def values(text, **kwargs):
    return [d.value for d in read_documents(text, name="f.yaml", **kwargs)]


def error_of(text, **kwargs) -> YamlError:
    [error] = [d.error for d in read_documents(text, name="f.yaml", **kwargs) if d.error]
    return error


def test_every_recorded_document_reads_as_it_does_in_backstage(test_data):
    cases = json.loads((test_data / "backstage" / "golden-yaml.json").read_text())
    assert len(cases) == 66
    for case in cases:
        read = [
            {"error": True} if d.error else {"value": d.value}
            for d in read_documents(case["yaml"], name="f.yaml")
        ]
        # compared as text: 1 and 1.0 and true are not the same
        assert json.dumps(read) == json.dumps(case["documents"]), case["yaml"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: -0x1F", "-0x1F"),
        ("a: .5e1", 5),
        ("a: 1e999", "1e999"),
        ("a: .inf", ".inf"),
        ("a: 9223372036854775807", 2**63 - 1),
        ("a: 12345678901234567890", 12345678901234567890.0),
        ("a: " + "9" * 5000, "9" * 5000),
        ("a: !!int '7'", 7),
        ("a: !!int x", "x"),
        ("a: !!float 1.5", 1.5),
        ("a: !!binary aGk=", "aGk="),
        ("a: ! 1", "1"),
        ("a: |\n  no last line break", "no last line break\n"),
        ('a: "\\u00e9"', "é"),
    ],
)
def test_scalars(text, value):
    [document] = values(text)
    assert document == {"a": value}
    assert type(document["a"]) is type(value)


def test_keys_become_text():
    assert values("1: a\n1.50: b\nfalse: c\n~: d\n{x}: e\n[y, 2]: f") == [
        {"1": "a", "1.5": "b", "false": "c", "": "d", "{ x }": "e", "[ y, 2 ]": "f"}
    ]


def test_yaml_1_1_holds_for_its_own_document_only():
    text = (
        "%YAML 1.1\n---\na: [off, y, 0b11, 010, 0x1_F, 1_000, 1:30, 2020-01-01]\n"
        "b: &b {p: 1, q: 2}\nc: {<<: *b, q: 3}\n...\n---\na: [off, 010]\n"
    )
    assert values(text) == [
        {
            "a": [False, True, 3, 8, 31, 1000, 90, "2020-01-01"],
            "b": {"p": 1, "q": 2},
            "c": {"p": 1, "q": 3},
        },
        {"a": ["off", 10]},
    ]


def test_text_and_bytes():
    for text in ("a: 1", "\ufeffa: 1", b"a: 1", b"\xef\xbb\xbfa: 1", "a: 1".encode("utf-16")):
        assert values(text) == [{"a": 1}]


def test_json_may_write_one_letter_as_two_escapes():
    assert values('{"a": "\\ud83d\\ude00", "b": 1.0}') == [{"a": "😀", "b": 1}]
    [document] = read_documents('[\n {"a": "\\ud83d\\ude00"},\n {"b": 1}\n]', name="f.json")
    assert document.value == [{"a": "😀"}, {"b": 1}]
    assert document.line_of((1, "b")) == 3


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "problem", "hint"),
    [
        ("a: 1\nb: {c: 1,\n c: 2}", 3, 'key "c" stands twice in the same map (first on line 2)',
         "Remove or rename one of the two."),
        ("a: 1\n\tb: 2", 2, "a tab where YAML wants spaces", "Indent with spaces."),
        ("a: 1\nb: @x", 2, "a value cannot begin with @", "Put quotes around the value."),
        ("a: {% if x %}", 1, "a value cannot begin with %",
         "This looks like a template that has not been filled in."),
        ("a: x: y", 1, "mapping values are not allowed in this context",
         "Put quotes around a value that holds a colon and a space, or check the indentation."),
        ("a: 1\nb\nc: 2", 2, "could not find expected ':'",
         "A line may lack its colon, or its indentation is off."),
        ('a: 1\nb: "x', 2, "found unexpected end of stream", "A quote is not closed."),
        ("a: *b", 1, "alias *b has no anchor before it",
         "Put quotes around a value that begins with *."),
        ("&a [*a]", 1, "alias *a stands inside its own anchor", ""),
        ('a: "\\0"', 1, "text must not hold the character U+0000", ""),
        ("é: 1\nb: \x01", 2, "the character U+0001 is not allowed in YAML",
         "Remove it, or write it as an escape in a double-quoted text."),
        ('{"a": "\\ud83d"}', 1, "found invalid Unicode character escape code", ""),
        ('{"a": 1,\n "a": 2}', 2, 'key "a" stands twice in the same map (first on line 1)',
         "Remove or rename one of the two."),
    ],
)  # fmt: skip
def test_an_error_names_line_problem_and_way_out(text, line, problem, hint):
    error = error_of(text)
    assert (error.line, error.problem, error.hint) == (line, problem, hint)
    assert error.message == f"f.yaml:{line}: {problem}"
    assert error.code == "invalid_yaml"


def test_a_broken_document_does_not_hide_the_others():
    text = (
        "a: 1\n---\nb: [1\n---\nc: 1\nc: 2\n---\nd: 😀\n--- # e\n- *x\n...\n"
        "%YAML 1.1\n---\nf: yes\n---\n'g\n---\nh: 1\n]\n"
    )
    documents = list(read_documents(text, name="f.yaml"))
    assert [d.value if d.error is None else d.error.line for d in documents] == [
        {"a": 1}, 3, 6, {"d": "😀"}, 10, {"f": True}, 16, 19,
    ]  # fmt: skip
    assert [d.line for d in documents if d.error is None] == [1, 8, 14]


def test_strict_reads_all_or_nothing():
    with pytest.raises(YamlError, match=r"^f\.yaml:4: "):
        read_documents("a: 1\n---\nb:\n - [\n", name="f.yaml", strict=True)
    assert values("a: 1\n---\nb: 2", strict=True) == [{"a": 1}, {"b": 2}]


def test_bytes_that_are_not_utf_8():
    with pytest.raises(YamlError) as caught:
        read_documents("a: 1\nb: é".encode("latin-1"), name="f.yaml")
    assert (caught.value.line, caught.value.problem) == (2, "byte 8 is not UTF-8")


def test_exactly_one_document():
    assert load_document("---\na: 1\n---\n", name="f.yaml") == {"a": 1}
    for text, found, line in (("# nothing", 0, 1), ("a: 1\n---\nb: 2\n", 2, 3)):
        with pytest.raises(YamlError) as caught:
            load_document(text, name="f.yaml")
        assert caught.value.problem == f"expected exactly one document, found {found}"
        assert caught.value.line == line


# --- places -----------------------------------------------------------------------------------


def test_the_line_of_a_path():
    text = (
        "x: 1\n---\n# comment\nmetadata:\n  ? {complex: [key]}\n  : - v\n  tags:\n    - a\n"
        "    - [b,\n       c]\n  links:\n  - url: u\n    title: t\nspec: {a: 1,\n  type: s}\n"
    )
    document = list(read_documents(text, name="f.yaml"))[1]
    assert document.line == 4
    lines = {
        (): 4,
        ("metadata",): 4,
        ("metadata", "tags", 0): 8,
        ("metadata", "tags", 1, 1): 10,
        ("metadata", "links", 0, "title"): 13,
        ("metadata", "links", 0, "missing", "deeper"): 12,
        ("metadata", "missing"): 4,
        ("spec", "type"): 15,
        ("type",): 4,
    }
    assert {path: document.line_of(path) for path in lines} == lines


def test_the_line_of_a_path_behind_a_broken_document():
    documents = list(read_documents("a: [\n---\nb: 1\n---\nc:\n  d: 1\n", name="f.yaml"))
    assert documents[2].line_of(("c", "d")) == 6


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 11 + "]" * 11, "nested more than 10 levels deep"),
        ('{"a":' * 11 + "1" + "}" * 11, "nested more than 10 levels deep"),
        ("[" + "a," * 50 + "]", "more than 50 values, aliases expanded"),
        ('{"a": [' + "1," * 50 + "1]}", "more than 50 values, aliases expanded"),
        ("- &a [x, x]\n" + "- *a\n" * 20, "more than 50 values, aliases expanded"),
        (
            "- &a " + "x" * 1000 + "\n- *a\n- *a\n- *a",
            "aliases expand to more than 2,000 characters",
        ),
    ],
)
def test_a_document_over_a_limit(text, problem):
    assert error_of(text, limits=SMALL).problem == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 2001, "the text has 2,001 bytes; at most 2,000 are read"),
        ("---\n" * 6, "more than 5 documents"),
        (
            "".join(f"%TAG !a{i}! x\n" for i in range(102)) + "--- a",
            "more than 100 %TAG directives",
        ),
    ],
)
def test_a_text_over_a_limit(text, problem):
    with pytest.raises(YamlError) as caught:
        list(read_documents(text, name="f.yaml", limits=SMALL))
    assert caught.value.problem == problem


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "x" * BIG,
        "[" * BIG,
        "- " * (BIG // 2),
        "&a " * (BIG // 3),
        "[a," * (BIG // 3),
        "{a: b," * (BIG // 6),
        '"' + "x" * BIG,
        "'\n" * (BIG // 2),
        "a\n" * (BIG // 2),
        "---\n[\n" * (BIG // 60),
        "---\n{a: 1, a: 2}\n" * (BIG // 170),
        "...\n" * (BIG // 4),
        '{"a":' * (BIG // 5),
        "".join(f"- &a{i} x\n- *a{i}\n" for i in range(10_000)),
        "\n".join(["a0: &a0 [x,x]", *(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]" for i in range(1, 90))]),
    ],
    ids=lambda text: repr(text[:15]),
)
def test_hostile_text_ends_soon(text):
    started = time.monotonic()
    try:
        for document in read_documents(text, name="f.yaml"):
            document.line_of(("a", 1))
    except YamlError:
        pass
    assert time.monotonic() - started < 10  # most take a tenth of a second, none grows faster
