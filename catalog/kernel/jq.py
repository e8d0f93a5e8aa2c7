"""JQ and templates that users wrote, run where they can do no harm.

They run in a limited process beside this one (`jq_child.py`): no environment, no files, little
memory, and a budget of CPU time per item. A process that goes beyond it dies; then the item it
died at is reported, another process takes over the rest, and the other items come out as if
nothing had been. Processes start when first needed, stay warm, and end with this one. Threads may
share the functions below, and a process forked from this one starts children of its own.

What JQ does with values: text and structures come back unchanged. So do numbers that a program
only passes on, however many digits they have; arithmetic is done in doubles, which are exact for
integers up to 2^53. `env` and `$ENV` hold what the caller gives and nothing else; `import`,
`include`, `input`, `halt` and the like are taken away.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from catalog.kernel.errors import InvalidExpression, shorten

MAX_EXPRESSION: Final = 50_000  # characters
MAX_ITEM_BYTES: Final = 16 << 20
MAX_OUTPUT_CHARS: Final = 1_000_000  # of a template
CPU_S: Final = 2.0  # an item's budget, …
CPU_S_PER_MB: Final = 2.0  # … and more for a large one
MEMORY_BYTES: Final = 256 << 20
CALL_S: Final = 45.0  # for all items of one call; a sync is given up for dead after a minute
MAX_STOPS: Final = 5  # items of one call that may cost a process
POOL_SIZE: Final = 2  # so that a long batch does not hold up a quick one
_FRAME_BYTES: Final = 2 << 20  # measured: larger ones gain nothing
_WAIT_FACTOR: Final = 4  # wall time for a second of CPU time, on a busy machine; and beside that:
_START_S: Final = 10.0
_CHILD: Final = Path(__file__).with_name("jq_child.py")


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
    encoded = [_encode(item) for item in items]
    answers = _work(shared.header(), encoded)
    if any(isinstance(one, _Failed) and one.in_setup for one in answers):
        # JQ works out constants as it compiles, and can die of it: then one field is to blame.
        shared = _Shared(program, check_all(program.fields))
        answers = _work(shared.header(), encoded)
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
    answers = _work({"do": "check", "env": {}}, [_encode(one) for one in wanted])
    for expression, answer in zip(wanted, answers, strict=True):
        found[expression] = (
            {"message": answer.message} if isinstance(answer, _Failed) else orjson.loads(answer)
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
    [answer] = _work(header, [_encode(context)])
    if isinstance(answer, _Failed):
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

    def outcome(self, answer: bytes | _Failed) -> Outcome:
        if isinstance(answer, _Failed):
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


# --- frames and failures


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why there is no answer. in_setup: the program did not get as far as an item."""

    message: str
    in_setup: bool = False


def _encode(item: Any) -> bytes | _Failed:
    try:
        text = orjson.dumps(item)
    except TypeError:  # beyond orjson: long integers, lone surrogates, dates in keys
        try:
            loose = json.dumps(item, ensure_ascii=False, default=str)
        except RecursionError:
            return _Failed("It is nested too deeply")
        except (TypeError, ValueError) as error:
            return _Failed(f"It is not JSON: {error}")
        text = loose.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if len(text) > MAX_ITEM_BYTES:
        return _Failed(f"It is larger than {MAX_ITEM_BYTES >> 20} MB")
    return text


def _work(header: dict[str, Any], items: Sequence[bytes | _Failed]) -> list[bytes | _Failed]:
    """The child's answer to each item, or why there is none."""
    answers = {n: item for n, item in enumerate(items) if isinstance(item, _Failed)}
    head = orjson.dumps({**header, "cpu_s": [CPU_S, CPU_S_PER_MB]})
    call = _Call(head, {n: item for n, item in enumerate(items) if isinstance(item, bytes)})
    call.work_off()
    return [answers.get(n) or call.answers[n] for n in range(len(items))]


class _Call:
    """One call's way through one or, when items end them, several children."""

    def __init__(self, head: bytes, items: Mapping[int, bytes]) -> None:
        self.head, self.items = head, items
        self.answers: dict[int, bytes | _Failed] = {}
        self.ends_at = time.monotonic() + CALL_S
        self.stops = 0

    def work_off(self) -> None:
        """Answer all items."""
        waiting = list(self.items)
        while waiting:
            if self.stops >= MAX_STOPS:
                reason = f"Not tried: {MAX_STOPS} items before it had to be stopped"
                return self._fail(waiting, reason)
            if time.monotonic() > self.ends_at:
                return self._fail(waiting, f"Not tried: its batch took more than {CALL_S:.0f} s")
            try:
                with _the_pool.child() as child:
                    done = self._send(child, list(self._frame(waiting)))
            except _Unstartable as error:
                return self._fail(waiting, str(error), in_setup=True)
            waiting = waiting[done:]
        return None

    def _frame(self, waiting: list[int]) -> Iterator[int]:
        size = 0
        for n in waiting:
            size += len(self.items[n]) + 1
            if size > _FRAME_BYTES and n != waiting[0]:
                return
            yield n

    def _send(self, child: _Child, frame: list[int]) -> int:
        """Have `frame` worked off by `child`; returns how many of it have their answer."""
        was_fresh, child.is_fresh = child.is_fresh, False
        try:
            child.send(b"\n".join([self.head, *(self.items[n] for n in frame)]))
            began = child.receive(_START_S * _WAIT_FACTOR)
        except _Died as death:
            if was_fresh or death.is_sure:
                raise _Unstartable(f"It does not compile. {death}") from None
            return 0
        if began:
            raise _Unstartable(began[1:].decode())
        for position, n in enumerate(frame):
            budget = CPU_S + CPU_S_PER_MB * len(self.items[n]) / (1 << 20)
            try:
                answer = child.receive(_START_S + budget * _WAIT_FACTOR)
            except _Died as death:
                return self._died(frame, position, death, is_sure=was_fresh and position == 0)
            good = answer[:1] == b"="
            self.answers[n] = answer[1:] if good else _Failed(answer[1:].decode())
            if time.monotonic() > self.ends_at and position + 1 < len(frame):
                child.kill()  # it would go on with the rest
                return position + 1
        return len(frame)

    def _died(self, frame: list[int], position: int, death: _Died, *, is_sure: bool) -> int:
        """Put the death down to the item at `position`, or let a fresh child try it again.

        What earlier items left in memory is not this one's fault; time always is.
        """
        if not (is_sure or death.is_sure):
            return position
        self.stops += 1
        self.answers[frame[position]] = _Failed(str(death))
        return position + 1

    def _fail(self, numbers: Sequence[int], message: str, *, in_setup: bool = False) -> None:
        self.answers.update(dict.fromkeys(numbers, _Failed(message, in_setup)))


# --- children


class _Died(Exception):
    """The child ended before it answered. is_sure: the item at hand is to blame."""

    def __init__(self, message: str, *, is_sure: bool = False) -> None:
        super().__init__(message)
        self.is_sure = is_sure


class _Unstartable(Exception):
    """The program cannot run on any item."""


class _Child:
    """One limited process; used by one thread at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", _CHILD, str(os.getpid()), str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what users' programs make it say is not for our log
            env={},
            cwd="/",
            process_group=0,  # a signal to our group is for us; we end it ourselves
        )
        self._pipes = [one for one in (self.process.stdin, self.process.stdout) if one]
        self._to, self._from = (pipe.fileno() for pipe in self._pipes)
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._buffer = bytearray()
        self.is_fresh = True

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def send(self, payload: bytes) -> None:
        """Raises _Died when the child does not take it."""
        ends_at = time.monotonic() + _START_S * _WAIT_FACTOR
        view = memoryview(len(payload).to_bytes(4, "big") + payload)
        while view:
            self._wait(self._to, select.POLLOUT, ends_at)
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._end() from None

    def receive(self, timeout_s: float) -> bytes:
        """The next answer. Raises _Died when the child ends, or is ended for taking too long."""
        ends_at = time.monotonic() + timeout_s
        while True:
            size = int.from_bytes(self._buffer[:4], "big") + 4
            if len(self._buffer) >= max(4, size):
                payload = bytes(self._buffer[4:size])
                del self._buffer[:size]
                return payload
            self._wait(self._from, select.POLLIN, ends_at)
            part = os.read(self._from, 1 << 20)
            if not part:
                raise self._end()
            self._buffer += part

    def _wait(self, descriptor: int, event: int, ends_at: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0, math.ceil((ends_at - time.monotonic()) * 1000))):
            self.kill()
            raise _Died("It took too long and was stopped", is_sure=True)

    def _end(self) -> _Died:
        """Why the child, which has closed its pipe, is dead."""
        try:
            code = self.process.wait(_START_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return _Died("It ended the process without a word")
        if code == -signal.SIGPROF:
            limit = f"{CPU_S:g} s and {CPU_S_PER_MB:g} s per MB"
            return _Died(f"It ran longer than an item may ({limit}) and was stopped", is_sure=True)
        if code == -signal.SIGABRT:
            return _Died(f"It needed more than {MEMORY_BYTES >> 20} MB of memory and was stopped")
        if code == -signal.SIGSEGV:
            return _Died("It went too deep (endless recursion?) and was stopped")
        return _Died(f"It ended the process (code {code})")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self.forget()

    def forget(self) -> None:
        """Let go of it without ending it: after a fork it is the other process's child."""
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.close()
        self.process.returncode = self.process.returncode or 0


class _Pool:
    """The children of this process: at most POOL_SIZE, started when needed."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(POOL_SIZE)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    @contextmanager
    def child(self) -> Iterator[_Child]:
        """A child of one's own; the caller waits until one is free."""
        with self._slots:
            child = self._take()
            try:
                yield child
            except BaseException:  # in the middle of an answer: nobody could read on
                self._drop(child)
                raise
            if child.is_alive:
                with self._lock:
                    self._idle.append(child)
            else:
                self._drop(child)

    def _take(self) -> _Child:
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                child = _Child()
                with self._lock:
                    self._all.add(child)
                return child
            if child.is_alive:
                return child
            self._drop(child)

    def _drop(self, child: _Child) -> None:
        with self._lock:
            self._all.discard(child)
        child.close()

    def close(self) -> None:
        for child in list(self._all):
            self._drop(child)

    def forget(self) -> None:
        for child in self._all:
            child.forget()


_the_pool = _Pool()


def _after_fork() -> None:
    global _the_pool
    _the_pool.forget()
    _the_pool = _Pool()


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def stop() -> None:
    """End the children now; the next call starts new ones."""
    _the_pool.close()
