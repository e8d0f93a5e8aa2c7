"""JSON Schema as the kernel compiles it: formats, linear patterns, nothing from outside."""

import time

import pytest

from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import MAX_DEPTH, check_json, compile_schema


def problems(schema, value, **options):
    found = compile_schema({"type": "object", "properties": {"x": schema}}).problems(
        {"x": value}, **options
    )
    return [(p.path, p.message, p.expected) for p in found]


@pytest.mark.parametrize(
    ("format_", "right", "wrong"),
    [
        (
            "url",
            ["https://a.example/b?c#d", "http://localhost:8000", "ssh://git@h/x", "mailto:a@b.c"],
            ["", "a.example", "//a.example", "https://", "https://a b", "https://a\n", "1a:b"],
        ),
        ("email", ["ann@example.com", "a+b@c.example"], ["ann", "@example.com", "ann@"]),
        (
            "date-time",
            ["2026-03-15T12:00:00Z", "2026-03-15T12:00:00.5+02:00"],
            ["2026-03-15", "2026-13-15T12:00:00Z", "now"],
        ),
        ("timer", ["2026-03-15T12:00:00Z"], ["2026-03-15", "10:00"]),
        ("ipv4", ["10.0.0.1"], ["10.0.0", "10.0.0.256", "::1"]),
        ("ipv6", ["::1", "2001:db8::1"], ["10.0.0.1", ":::"]),
        ("uuid", ["8f3a4f9e-6a43-4f4e-9d0c-2f0c1b6e7d10"], ["8f3a4f9e"]),
        ("user", ["ann@example.com", "anything"], []),
        ("team", ["core"], []),
        ("yaml", ["a: [1"], []),
        ("markdown", ["# x"], []),
        ("something of tomorrow", ["x"], []),
    ],
)
def test_formats(format_, right, wrong):
    schema = {"type": "string", "format": format_}
    assert [value for value in right if problems(schema, value)] == []
    assert [value for value in wrong if not problems(schema, value)] == []
    for value in wrong:
        assert problems(schema, value)[0][2] == f"format: {format_}"


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "string"}, 5, ("x", '5 is not of type "string"', "type: string")),
        (
            {"enum": ["a", 1]},
            "b",
            ("x", '"b" is not one of "a" or 1', 'enum: ["a",1]'),
        ),
        ({"type": "number"}, True, ("x", 'true is not of type "number"', "type: number")),
        ({"minimum": 3}, 2, ("x", "2 is less than the minimum of 3", "minimum: 3")),
        ({"maxLength": 1}, "ab", ("x", '"ab" is longer than 1 character', "maxLength: 1")),
        ({"pattern": "^a$"}, "b", ("x", '"b" does not match "^a$"', "pattern: ^a$")),
        ({"items": {"type": "string"}}, ["a", 1], ("x.1", '1 is not of type "string"', None)),
        (
            {"properties": {"y": {"required": ["z"]}}},
            {"y": {}},
            ("x.y", '"z" is a required property', "required: z"),
        ),
    ],
)
def test_a_problem_names_path_value_and_expectation(schema, value, problem):
    [(path, message, expected)] = problems(schema, value)
    assert (path, message) == problem[:2]
    assert expected == problem[2] or problem[2] is None


def test_long_values_and_many_problems_are_cut():
    [(_, message, _)] = problems({"enum": ["a"]}, "b" * 1_000_000)
    assert len(message) == 400
    many = {"items": {"type": "string"}}
    assert len(problems(many, list(range(1000)))) == 20
    assert len(problems(many, list(range(1000)), limit=500)) == 500


@pytest.mark.parametrize("value", ["a" * 50_000 + "!", "x" * 200_000])
def test_patterns_take_linear_time(value):
    schema = {"type": "string", "pattern": "^(a+)+$"}
    started = time.monotonic()
    assert problems(schema, value)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "(?<!a)b", r"(a)\1", "[z-a]", "a{2,1}"])
def test_patterns_that_cannot_be_linear_are_refused(pattern):
    with pytest.raises(InvalidInput, match="regular expression without look-around") as error:
        compile_schema({"properties": {"x": {"pattern": pattern}}})
    assert error.value.details["field"] == "schema.properties.x.pattern"
    assert error.value.details["value"] == pattern


@pytest.mark.parametrize(
    "ref",
    ["https://example.com/x.json", "http://127.0.0.1:1/x", "file:///etc/passwd", "other.json"],
)
def test_nothing_is_fetched(ref):
    with pytest.raises(InvalidInput, match="may only point inside the schema"):
        compile_schema({"properties": {"x": {"$ref": ref}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "txt"},
        {"properties": []},
        {"required": "x"},
        {"minLength": -1},
        {"properties": {"x": {"$ref": "#/nowhere"}}},
        {"description": "d" * 600_000},
    ],
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(InvalidInput) as error:
        compile_schema(schema)
    assert len(error.value.message) < 500


def test_references_inside_work_and_circles_end():
    schema = {
        "type": "object",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "properties": {"list": {"$ref": "#/$defs/node"}, "self": {"$ref": "#/properties/self"}},
    }
    compiled = compile_schema(schema)
    assert compiled.is_valid({"list": {"next": {"next": {}}}, "self": {"self": 1}})
    assert [p.path for p in compiled.problems({"list": {"next": {"next": 1}}})] == [
        "list.next.next"
    ]


def test_equal_schemas_are_compiled_once():
    schema = {"type": "object", "properties": {"cached": {"type": "string"}}}
    assert compile_schema(schema) is compile_schema({**schema})
    assert compile_schema(schema) is not compile_schema({**schema, "required": ["cached"]})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "the number nan"),
        ([1, {"a": float("inf")}], "the number inf"),
        ("\x00", "NUL"),
        ({"a": ["b", {"\x00": 1}]}, "NUL"),
        ("\udcff", "surrogates"),
        (2**64, "64-bit"),
        ({1: 1}, "str"),
        (object(), "not JSON serializable"),
    ],
)
def test_what_is_no_json_is_refused(value, reason):
    with pytest.raises(InvalidInput, match=reason) as error:
        check_json(value)
    assert f"depth up to {MAX_DEPTH}" in error.value.details["expected"]


def test_what_only_looks_odd_is_json():
    check_json({"null": None, "text": "\\u0000 null NaN", "n": [2**64 - 1, -(2**63), 1e308, -0.0]})
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    check_json(deep)
    with pytest.raises(InvalidInput, match="Recursion"):
        check_json([deep])
