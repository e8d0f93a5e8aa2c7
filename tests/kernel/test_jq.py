"""JQ and templates of users: what comes out, and how faults are told."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.kernel import jq, jq_pool
from catalog.kernel.errors import InvalidExpression

ROOT = Path(__file__).resolve().parents[2]


def run_one(item, /, **program):
    [outcome] = jq.run(jq.Program(**program), [item])
    return outcome


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        (".a.b", {"a": {"b": [1, {"c": None}]}}, [1, {"c": None}]),
        (".missing.deep", {}, None),
        ("empty", {}, None),
        (".[]", [3, 4], 3),
        ("range(infinite)", None, 0),
        (".", 12345678901234567890, 12345678901234567890),
        (".a", {"a": 9007199254740993}, 9007199254740993),
        (".a + 0", {"a": 9007199254740993}, 9007199254740992),  # arithmetic is in doubles
        (".", 0.1, 0.1),
        (".", 'é "\\ 𝄞\x00', 'é "\\ 𝄞\x00'),
        ('"\\(.a) and \\(.b)"', {"a": 1, "b": "x"}, "1 and x"),
        ("keys_unsorted", {"z": 1, "a": 2}, ["z", "a"]),
        (". # the item itself", 1, 1),
        ("\n.a\n", {"a": 1}, 1),
        ("def f: . + 1; f", 1, 2),
        ("nan", None, None),
        ('"constant"', None, "constant"),
        ("'constant'", None, "constant"),
        ("if .a == 'x' then 'yes' else \"it's\" end", {"a": "x"}, "yes"),
        ("if .a == 'x' then 'yes' else \"it's\" end", {"a": 1}, "it's"),
        ("'say \"\\(.a + '!')\" and it\\'s'", {"a": "x"}, 'say "x!" and it\'s'),
        ("\"\\(.a | tostring + ')')\" # don't", {"a": 1}, "1)"),
        (".['a b']", {"a b": 1}, 1),
    ],
)
def test_the_first_output_comes_back_as_it_is(expression, value, expected):
    result = jq.evaluate(expression, value)
    assert (result, type(result)) == (expected, type(expected))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_whatever_is_handed_on_is_unchanged(value):
    result = jq.evaluate("{value: .value}", {"value": value})
    assert result == {"value": value}
    if isinstance(value, int):
        assert isinstance(result["value"], int)


def test_fields_fail_one_by_one_with_the_words_of_jq():
    outcome = run_one(
        {"a": 1},
        fields={"good": ".a", "bad": ".a.b", "worse": ".a |", "own": 'error({"no": .a})'},
    )
    assert outcome.values == {"good": 1, "bad": None, "worse": None, "own": None}
    assert outcome.errors == {
        "bad": 'Cannot index number with string ("b")',
        "worse": "does not compile: syntax error, unexpected end of file (line 1, column 4)",
        "own": '{"no":1}',
    }
    assert outcome.selected
    assert outcome.failure is None


@pytest.mark.parametrize(
    ("when", "selected", "error"),
    [
        ("true", True, None),
        (".a == 1", True, None),
        (".a == 2", False, None),
        (".a", False, "gave a number (1), not true or false"),
        (".nothing", False, "gave null, not true or false"),
        (".a.b", False, 'Cannot index number with string ("b")'),
        (".a ==", False, "does not compile: syntax error, unexpected end of file "
         "(line 1, column 4)"),
    ],
)  # fmt: skip
def test_when_must_be_true_or_false(when, selected, error):
    outcome = run_one({"a": 1}, fields={"a": ".a"}, when=when)
    [row] = outcome.rows
    assert (row.selected, row.when_error) == (selected, error)
    assert row.values == ({"a": 1} if selected else {})


def test_fields_can_be_asked_for_although_the_item_is_left_out():
    [row] = run_one({"a": 1}, fields={"a": ".a"}, when="false", always=True).rows
    assert (row.selected, row.values) == (False, {"a": 1})


def test_each_goes_through_an_array():
    outcome = run_one(
        {"name": "n", "tags": [1, 2, 3], "deep": {"kept": 1}},
        fields={"id": '.name + "-" + (.item | tostring)', "tags": ".tags"},
        when=".item != 2",
        each=".tags",
        drop=".tags",
    )
    assert [(row.selected, row.values) for row in outcome.rows] == [
        (True, {"id": "n-1", "tags": None}),
        (False, {}),
        (True, {"id": "n-3", "tags": None}),
    ]


@pytest.mark.parametrize(
    ("each", "is_null", "error"),
    [
        (".nothing", True, None),
        (".name", False, 'gave text ("n"), not an array'),
        (".name.x", False, 'Cannot index string with string ("x")'),
        (".[", False, "does not compile: syntax error, unexpected end of file (line 1, column 2)"),
    ],
)
def test_each_must_be_an_array(each, is_null, error):
    outcome = run_one({"name": "n"}, fields={"a": ".item"}, each=each)
    assert (outcome.each_is_null, outcome.each_error) == (is_null, error)
    assert list(outcome.rows) == []


def test_the_environment_holds_what_the_caller_gives_and_nothing_else(monkeypatch):
    monkeypatch.setenv("SOME_SECRET", "do not tell")
    jq_pool.stop()
    fields = {"env": "env", "dollar": "$ENV", "inside": 'def f: "\\(env | length)"; f'}
    assert run_one(None, fields=fields).values == {"env": {}, "dollar": {}, "inside": "0"}
    given = {"NAME": 'a"\\(1)'}
    assert run_one(None, fields=fields, env=given).values == {
        "env": given,
        "dollar": given,
        "inside": "1",
    }


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 +", 'f: the JQ expression "1 +" is wrong: syntax error, unexpected end of file '
         "(line 1, column 3)"),
        ("\n\n.a | foo", "foo/0 is not defined (line 3, column 6)"),
        ("", "unexpected end of file"),
        ("def f: 1;", "unexpected end of file"),
        ("1) , (2", "unexpected INVALID_CHARACTER"),
        ("1 # to be continued \\", "a comment at its end may not end in a backslash"),
        ('import "x" as $x; .', "unexpected import (line 1, column 1)"),
        ('include "x"; .', "unexpected include (line 1, column 1)"),
        (".a\0.b", "it holds a NUL character"),
        ("." * 60_000, "it has more than 50,000 characters"),
    ],
)  # fmt: skip
def test_check_says_what_is_wrong_and_where(expression, message):
    with pytest.raises(InvalidExpression) as caught:
        jq.check(expression, field="f")
    assert message in caught.value.message
    assert caught.value.details["field"] == "f"
    assert run_one({}, fields={"bad": expression, "good": "1"}).values == {"bad": None, "good": 1}


def test_items_that_are_no_json_fail_alone():
    class Odd:
        __slots__ = ()

        def __str__(self):
            return "odd"

    deep = []
    for _ in range(2000):
        deep = [deep]
    outcomes = jq.run(
        jq.Program({"x": "."}), [1, Odd(), 10**30, "\ud800", deep, "x" * (17 << 20), 2]
    )
    assert [one.values.get("x") for one in outcomes] == [1, "odd", 1e30, "\ufffd", None, None, 2]
    assert [one.failure for one in outcomes] == [
        None,
        None,
        None,
        None,
        "It is nested too deeply",
        "It is larger than 16 MB",
        None,
    ]


def test_threads_share_the_children():
    def work(n):
        return [jq.evaluate(".n * 2", {"n": n + i}) for i in range(20)]

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(work, range(0, 600, 100)))
    assert results == [[2 * (n + i) for i in range(20)] for n in range(0, 600, 100)]
    assert len(jq_pool._the_pool._all) <= jq_pool.POOL_SIZE


def children_of(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_that_was_killed_is_replaced():
    jq.evaluate(".", 1)
    for child in list(jq_pool._the_pool._all):
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait()
    assert jq.evaluate(".", 2) == 2


def test_a_child_has_no_environment_little_memory_and_hardly_any_file():
    jq_pool.stop()
    jq.evaluate(".", 1)
    [child] = jq_pool._the_pool._all
    process = Path(f"/proc/{child.process.pid}")
    assert process.joinpath("environ").read_bytes() == b""
    limits = process.joinpath("limits").read_text()
    rows = {line[:25].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert int(rows["Max address space"]) < 400 << 20
    assert (rows["Max core file size"], rows["Max file size"], rows["Max open files"]) == (
        "0",
        "0",
        "16",
    )


@pytest.fixture
def parent():
    """A process of its own that has used JQ; its children hang on it alone."""
    code = (
        "import sys, time; from catalog.kernel import jq\n"
        "jq.evaluate('.', 1); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_children_die_with_their_parent(parent):
    [child] = children_of(parent.pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def test_a_forked_process_has_children_of_its_own():
    code = """
import os
from catalog.kernel import jq, jq_pool
assert jq.evaluate(".", 1) == 1
mine = {c.process.pid for c in jq_pool._the_pool._all}
read, write = os.pipe()
if os.fork() == 0:
    assert jq.evaluate(". + 1", 1) == 2
    theirs = {c.process.pid for c in jq_pool._the_pool._all}
    os.write(write, b"good" if len(theirs) == 1 and not theirs & mine else b"bad")
    jq_pool.stop()
    os._exit(0)
assert os.read(read, 10) == b"good"
os.wait()
assert jq.evaluate(". + 2", 1) == 3
assert {c.process.pid for c in jq_pool._the_pool._all} == mine
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (b"done\n", b"")


# --- templates


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hello {{ name }}!\n", "Hello Ada!\n"),
        ("{% for t in tags %}{{ t | upper }}{% endfor %}", "AB"),
        ("{{ '<b>' }}", "<b>"),
        ("{{ tags | tojson }}", '["a", "b"]'),
    ],
)
def test_templates_are_filled_in(template, expected):
    assert jq.render(template, {"name": "Ada", "tags": ["a", "b"]}) == expected


def test_templates_may_use_other_delimiters():
    assert jq.render("${{ name }} {{ x }}", {"name": "A"}, delimiters=("${{", "}}")) == "A {{ x }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n{{ name", "unexpected end of template"),
        ("{{ nobody }}", "UndefinedError: 'nobody' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ tags.append(1) }}", "SecurityError"),
        ("{% for x in range(10**9) %}x{% endfor %}", "OverflowError"),
        ("{% include 'x' %}", "TypeError: no loader"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{% for x in range(90000) %}{{ 'x' * 100 }}{% endfor %}", "more than 1,000,000 char"),
    ],
)
def test_templates_that_fail_say_why(template, message):
    with pytest.raises(InvalidExpression, match=message.replace("(", "\\(")):
        jq.render(template, {"tags": []})
