"""JQ and templates that users wrote, run where they can do no harm.

They run in limited processes beside this one (`jq_pool.py`): no environment, no files, little
memory, and a budget of CPU time per item. An item that goes beyond it is reported, and the other
items come out as if nothing had been. Threads may share the functions below.

What JQ does with values: text and structures come back unchanged. So do numbers that a program
only passes on, however many digits they have; arithmetic is done in doubles, which are exact for
integers up to 2^53. Texts in a program may stand in single quotes. `env` and `$ENV` hold what the
caller gives and nothing else; `import`, `include`, `input`, `halt` and the like are taken away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from catalog.kernel.errors import InvalidExpression, shorten
from catalog.kernel.jq_pool import Failed, encode, work

MAX_EXPRESSION: Final = 50_000  # characters
MAX_OUTPUT_CHARS: Final = 1_000_000  # of a template


@dataclass(frozen=True, slots=True)
class Program:
    """A set of expressions over one item, compiled together.

    fields: {name: expression}; each is evaluated by itself: its first output, null where there is
    none, and an error costs only this field. when: must give true or false; false leaves the item
    out. each: must give an array (or null, which is an empty one); the fields and `when` are then
    evaluated once for each element, which stands in the item under `each_name`, and the path
    `drop` is taken out of the item first. always: evaluate the fields also where `when` is not
    true. env: what `env` and `$ENV` hold; no secrets.
    """

    fields: Mapping[str, str]
    when: str | None = None
    each: str | None = None
    each_name: str = "item"
    drop: str | None = None
    always: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """What the fields gave. errors: {field: JQ's own words}; such a field's value is None."""

    selected: bool
    values: dict[str, Any]
    errors: dict[str, str]
    when_error: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. rows: one; with `each`, as many as the array has elements.

    failure: why nothing came of the item at all (time, memory, not JSON). each_error: why there is
    no array to go through; each_is_null: it is null.
    """

    rows: Sequence[Row] = ()
    failure: str | None = None
    each_error: str | None = None
    each_is_null: bool = False

    @property
    def values(self) -> dict[str, Any]:
        return self.rows[0].values if self.rows else {}

    @property
    def errors(self) -> dict[str, str]:
        return self.rows[0].errors if self.rows else {}

    @property
    def selected(self) -> bool:
        return bool(self.rows) and self.rows[0].selected


def run(program: Program, items: Sequence[Any]) -> list[Outcome]:
    """Run `program` on each of `items` (JSON values); one outcome per item, in order.

    Never raises for what an item or an expression does. Takes at most about CALL_S; items left
    over then are failures.
    """
    shared = _Shared(program)
    encoded = [encode(item) for item in items]
    answers = work(shared.header(), encoded)
    if any(isinstance(one, Failed) and one.in_setup for one in answers):
        # JQ works out constants as it compiles, and can die of it: then one field is to blame.
        shared = _Shared(program, check_all(program.fields))
        answers = work(shared.header(), encoded)
    return [shared.outcome(answer) for answer in answers]


def check(expression: str, *, field: str) -> None:
    """Raises InvalidExpression, naming field, JQ's message and the place, where it cannot run."""
    if error := check_all({field: expression}).get(field):
        raise error


def check_all(expressions: Mapping[str, str]) -> dict[str, InvalidExpression]:
    """The errors of those of `expressions`, by field, that do not compile."""
    wrong: dict[str, InvalidExpression] = {}
    found: dict[str, Any] = {}  # by expression: mappings repeat themselves
    wanted = [one for one in dict.fromkeys(expressions.values()) if len(one) <= MAX_EXPRESSION]
    answers = work({"do": "check", "env": {}}, [encode(one) for one in wanted])
    for expression, answer in zip(wanted, answers, strict=True):
        found[expression] = (
            {"message": answer.message} if isinstance(answer, Failed) else orjson.loads(answer)
        )
    for name, expression in expressions.items():
        too_long = {"message": f"it has more than {MAX_EXPRESSION:,} characters"}
        if known := found.get(expression, too_long if expression not in found else None):
            wrong[name] = _invalid(name, expression, known)
    return wrong


def evaluate(expression: str, value: Any, *, env: Mapping[str, str] | None = None) -> Any:
    """The first output of `expression` over `value`; None where there is none.

    Raises InvalidExpression, with JQ's message, where it fails.
    """
    [outcome] = run(Program(fields={"": expression}, env=env or {}), [value])
    if message := outcome.failure or outcome.errors.get(""):
        raise InvalidExpression(
            f'JQ "{shorten(expression)}" failed: {message}',
            details={"expression": expression, "message": message},
        )
    return outcome.values[""]


def render(
    template: str, context: Mapping[str, Any], *, delimiters: tuple[str, str] = ("{{", "}}")
) -> str:
    """`template` (Jinja) filled in from `context`, which holds JSON values only.

    A name that is not in the context is an error. Raises InvalidExpression.
    """
    header = {
        "do": "render",
        "template": template,
        "delimiters": delimiters,
        "max_chars": MAX_OUTPUT_CHARS,
    }
    [answer] = work(header, [encode(context)])
    if isinstance(answer, Failed):
        raise InvalidExpression(
            f"The template failed: {answer.message}", details={"message": answer.message}
        )
    text: str = orjson.loads(answer)
    return text


def _invalid(name: str, expression: str, known: Mapping[str, Any]) -> InvalidExpression:
    where = f" (line {known['line']}, column {known['column']})" if "line" in known else ""
    return InvalidExpression(
        f'{name}: the JQ expression "{shorten(expression)}" is wrong: {known["message"]}{where}',
        details={"field": name, "expression": expression, **known},
    )


class _Shared:
    """A program in the child's terms: constants left out, equal expressions evaluated once."""

    def __init__(
        self, program: Program, wrong: Mapping[str, InvalidExpression] | None = None
    ) -> None:
        self.program = program
        self.constants: dict[str, Any] = {}
        self.refused = {name: error.details["message"] for name, error in (wrong or {}).items()}
        self.places: dict[str, int] = {}
        expressions: dict[str, int] = {}
        for name, expression in program.fields.items():
            if len(expression) > MAX_EXPRESSION:
                self.refused[name] = f"it has more than {MAX_EXPRESSION:,} characters"
            if name in self.refused:
                continue
            if is_constant(expression):
                self.constants[name] = orjson.loads(expression)
            else:
                self.places[name] = expressions.setdefault(expression, len(expressions))
        self.expressions = list(expressions)

    def header(self) -> dict[str, Any]:
        program = self.program
        return {
            "do": "run",
            "fields": self.expressions,
            "when": None if program.when in (None, "true") else program.when,
            "each": program.each,
            "name": program.each_name,
            "drop": program.drop,
            "always": program.always,
            "env": dict(program.env),
        }

    def outcome(self, answer: bytes | Failed) -> Outcome:
        if isinstance(answer, Failed):
            return Outcome(failure=answer.message)
        try:
            known = orjson.loads(answer)
        except orjson.JSONDecodeError:  # JQ writes any depth; we read, and store, a thousand
            return Outcome(failure="The result is nested too deeply")
        if "rows" in known:
            return Outcome(rows=[self._row(*row) for row in known["rows"]])
        each = known["each"]
        if isinstance(each, str):
            return Outcome(each_error=each)
        if each[0] is None:
            return Outcome(each_is_null=True)
        return Outcome(each_error=f"gave {describe(each[0])}, not an array")

    def _row(self, when: list[Any] | str, fields: list[list[Any] | str] | None = None) -> Row:
        when_error = None
        if isinstance(when, str):
            when_error = when
        elif not isinstance(when[0], bool):
            when_error = f"gave {describe(when[0])}, not true or false"
        selected = when_error is None and when[0] is True
        if fields is None:
            return Row(selected, {}, {}, when_error)
        values = dict.fromkeys(self.program.fields)
        values.update(self.constants)
        errors = dict(self.refused)
        for name, place in self.places.items():
            given = fields[place]
            if isinstance(given, str):
                errors[name] = shorten(given, 500)
            else:
                values[name] = given[0]
        return Row(selected, values, errors, when_error)


def is_constant(expression: str) -> bool:
    """Whether it is JSON for a text, a number, true, false or null: the same in JQ.

    What JQ alone knows in a text, an interpolation, is no JSON.
    """
    try:
        return not isinstance(orjson.loads(expression), list | dict)
    except orjson.JSONDecodeError:
        return False


def describe(value: Any) -> str:
    """A value in a message: its kind and, cut short, itself."""
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "an array"}
    if value is None:
        return "null"
    text = json.dumps(value, ensure_ascii=False)
    return f"{kinds.get(type(value), 'an object')} ({shorten(text, 60)})"
