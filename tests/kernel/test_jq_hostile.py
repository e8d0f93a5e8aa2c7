"""Programs that want all of the machine, or what is none of their business."""

import time

import pytest

from catalog.kernel import jq, jq_pool
from catalog.kernel.errors import InvalidExpression

TIME, MEMORY = "It ran longer than an item may", "It needed more than 256 MB of memory"
GOOD = [{"n": 1, "bad": False}, {"n": 2, "bad": False}]
BAD = {"n": 3, "bad": True}


@pytest.fixture(autouse=True)
def _short_budget(monkeypatch):
    monkeypatch.setattr(jq_pool, "CPU_S", 0.5)


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("last(range(infinite))", TIME),
        ("def f: f; f", TIME),
        ("until(false; .)", TIME),
        ("[range(infinite)]", ""),  # time or memory, whichever ends first
        ("def f: [f]; f", ""),
        ("def f: 1 + f; f", ""),
        ('"a" * ([1000000000] | first)', MEMORY),
        ('reduce range(60) as $i ("a"; . + .)', MEMORY),
        ("reduce range(100000) as $i (null; [.])", "The result is nested too deeply"),
        ('[range(100000) | "x" * 1000] | join(",") | test("^(x+x+)+y")', ""),
    ],
)
def test_an_item_that_wants_too_much_is_reported_and_the_others_are_unharmed(expression, failure):
    hostile = f"if .bad then ({expression}) else .n end"
    began = time.monotonic()
    outcomes = jq.run(jq.Program({"x": hostile, "n": ".n"}), [*GOOD, BAD, *GOOD])
    assert time.monotonic() - began < 30  # less than one, on an idle machine
    assert [one.values for one in outcomes] == [
        {"x": 1, "n": 1},
        {"x": 2, "n": 2},
        {},
        {"x": 1, "n": 1},
        {"x": 2, "n": 2},
    ]
    assert [bool(one.failure) for one in outcomes] == [False, False, True, False, False]
    assert failure in outcomes[2].failure


@pytest.mark.parametrize(
    ("expression", "value", "error"),
    [
        ("env", {}, None),
        ("$ENV", {}, None),
        ("$ENV.PATH", None, None),
        ("input", None, "input is not available"),
        ("[inputs]", [], None),
        ("debug", {"a": 1}, None),
        ('debug("x")', {"a": 1}, None),
        ("stderr", {"a": 1}, None),
        ("halt", None, "halt is not available"),
        ("halt_error", None, "halt_error is not available"),
        ('"x" | halt_error(1)', None, "halt_error is not available"),
        ("input_filename", None, None),
        ("get_search_list", [], None),
        ("get_prog_origin", None, None),
        ('"c" | modulemeta', None, "modulemeta is not available"),
        ("$__prog_args", None, "does not compile: $__prog_args is not defined (line 1, column 1)"),
        ("getpath([range(100000)])", None, "Path too deep"),
        ('"[" * 100000 | fromjson | 1', None, "Exceeds depth limit for parsing"),
        ('"a" * 50 + "!" | test("^(a+)+$")', None, "Regex failure: retry-limit-in-match over"),
        ('"$(id)" | @sh', "'$(id)'", None),
        ("label $out | break $out", None, None),
        ("error(null)", None, "null"),
        ("[99999999999] | implode", "\ufffd", None),
    ],
)
def test_what_reaches_beyond_the_input_is_taken_away(expression, value, error):
    [outcome] = jq.run(jq.Program({"x": expression, "after": ".a"}), [{"a": 1}])
    assert outcome.failure is None
    assert outcome.values == {"x": value, "after": 1}
    if error is None:
        assert outcome.errors == {}
    else:
        assert outcome.errors["x"].startswith(error)


def test_a_constant_that_is_too_large_to_compile_costs_its_field():
    """JQ works out `"a" * 1000000000` before there is an item."""
    bomb = '"a" * 1000000000'
    outcomes = jq.run(jq.Program({"x": bomb, "n": ".n"}), GOOD)
    assert [one.values for one in outcomes] == [{"x": None, "n": 1}, {"x": None, "n": 2}]
    assert MEMORY in outcomes[0].errors["x"]
    with pytest.raises(InvalidExpression, match=f"title.*{MEMORY}"):
        jq.check(bomb, field="title")


def test_no_file_is_read(tmp_path):
    tmp_path.joinpath("data.json").write_text('"secret"')
    tmp_path.joinpath("code.jq").write_text("def f: 1;")
    for expression in (
        f'import "data" as $d {{search: "{tmp_path}"}}; $d',
        f'include "code" {{search: "{tmp_path}"}}; f',
        f'. | import "data" as $d {{search: "{tmp_path}"}}; $d',
    ):
        with pytest.raises(InvalidExpression):
            jq.evaluate(expression, None)


def test_a_result_that_is_too_large_is_reported(monkeypatch):
    monkeypatch.setattr(jq_pool, "CPU_S", 5)
    program = jq.Program({"x": 'if . == 2 then "a" * 9000000 else . end'})
    outcomes = jq.run(program, [1, 2, 3])
    assert [one.failure for one in outcomes] == [None, "The result is larger than 8 MB", None]


def test_a_program_that_stops_every_item_is_given_up(monkeypatch):
    monkeypatch.setattr(jq_pool, "CPU_S", 0.1)
    outcomes = jq.run(jq.Program({"x": "last(range(infinite))"}), [1] * 50)
    assert [one.failure for one in outcomes[jq_pool.MAX_STOPS :]] == [
        "Not tried: 5 items before it had to be stopped"
    ] * 45
    assert all(TIME in one.failure for one in outcomes[: jq_pool.MAX_STOPS])


def test_a_call_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(jq_pool, "CALL_S", 0.2)
    slow = "[range(150000)] | length"
    outcomes = jq.run(jq.Program({"x": slow}), [1] * 50)
    assert outcomes[0].values == {"x": 150000}
    assert outcomes[-1].failure == "Not tried: its batch took more than 0 s"
    assert jq.evaluate(".", 1) == 1


def test_what_earlier_items_left_behind_is_not_the_blame_of_a_good_one():
    big = {"bad": False, "n": "x" * 3_000_000}
    outcomes = jq.run(jq.Program({"x": ".n | length"}), [big] * 10)
    assert [one.values for one in outcomes] == [{"x": 3_000_000}] * 10


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**9 }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{{ (('a' * 10000) * 10000) | length }}{{ 10 ** (10 ** 8) }}",
    ],
)
def test_templates_are_bounded(template):
    began = time.monotonic()
    with pytest.raises(InvalidExpression):
        jq.render(template, {})
    assert time.monotonic() - began < 30  # less than one, on an idle machine


def test_an_expression_that_compiles_forever_is_bounded():
    outcomes = jq.run(jq.Program({"x": "[" * 20000 + "1" + "]" * 20000}), [1, 2])
    assert all(one.failure or one.errors or one.values for one in outcomes)
    with pytest.raises(InvalidExpression):
        jq.check("(" * 24000 + "1" + ")" * 24000, field="deep")
