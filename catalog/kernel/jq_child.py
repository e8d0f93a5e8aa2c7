"""The limited process in which users' JQ and templates run. Started by `catalog.kernel.jq` alone.

It is a script, not a module: nothing of ours and no Django is imported, the environment is empty,
and once the libraries are loaded the process can take little memory, open hardly any file, write
to none and dump no core. Each item has a budget of CPU time; the kernel ends the process that
goes beyond it, since an endless JQ program cannot be interrupted from inside. So the process may
die at any item: what it has answered by then is with the parent, which starts another one.

Frames, both ways: four bytes of length (big-endian), then the payload.
    in:   header (JSON), newline, items (JSON each) with newlines between
    out:  first b"" (ready), then one frame per item, in order: b"=" and JSON, or b"!" and a message
An answer of b"!…" in the place of b"" means that no item could be begun.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NoReturn

import jq

Handler = Callable[[bytes], bytes]  # item (JSON) -> answer (JSON)

STDIN, STDOUT = 0, 1
MAX_RESULT_BYTES: Final = 8 << 20
MAX_MESSAGE: Final = 500
KEPT_PROGRAMS: Final = 32
SETUP_CPU_S: Final = 1.5
SETUP_CPU_S_PER_FIELD: Final = 0.005  # compiling one takes about 0.0015
PARENT_CHECK_MS: Final = 5000

# What JQ offers beyond its input, taken away. Standing first, these definitions also make
# `import` and `include` syntax errors, as those may only open a program. One line: the position
# in an error message is then that of the expression, plus one line.
TAKEN_AWAY: Final = "".join(
    f"def {name}: {body}; "
    for name, body in {
        "debug": ".",
        "debug(f)": ".",
        "stderr": ".",
        "input": 'error("input is not available")',
        "inputs": "empty",
        "input_filename": "null",
        "input_line_number": "0",
        "halt": 'error("halt is not available")',
        "halt_error": 'error("halt_error is not available")',
        "halt_error(f)": 'error("halt_error is not available")',
        "get_search_list": "[]",
        "get_prog_origin": "null",
        "get_jq_origin": "null",
        "modulemeta": 'error("modulemeta is not available")',
    }.items()
)


class Refused(Exception):
    """Nothing came of it; the message says why."""


# --- JQ


def prefix(env: dict[str, str]) -> str:
    values = json.dumps(env)  # JSON is JQ: a backslash can begin no interpolation in it
    return f"{TAKEN_AWAY}def env: {values}; {values} as $ENV |\n"


def compiled(text: str) -> Any:
    try:
        return jq.compile(text)
    except ValueError as error:
        raise Refused(json.dumps(explain(str(error)))) from None


_WHERE = re.compile(r" at <top-level>, line (\d+), column (\d+)")


def explain(text: str) -> dict[str, Any]:
    """JQ's complaint about PREFIX + expression: {"message"} and, where known, "line", "column"."""
    first = text.removeprefix("jq: error: ").split("\n", 1)[0].rstrip(":")
    if where := _WHERE.search(first):
        line = int(where[1]) - 1
        said = first[: where.start()] + first[where.end() :]
        if line >= 1:
            return {"message": said[:MAX_MESSAGE], "line": line, "column": int(where[2])}
        first = said
    return {"message": first[:MAX_MESSAGE]}


def double_quoted(expression: str) -> str:
    """JQ whose texts stand in double quotes. Port's engine knows single ones, too: 'a' is "a"."""
    if "'" not in expression:
        return expression
    parts: list[str] = []
    within: list[str] = []  # texts by their quote, and brackets of what is worked out in one
    place = 0
    while place < len(expression):
        sign, step = expression[place], 1
        quote = within[-1] if within and within[-1] != "(" else ""
        if quote:
            if sign == "\\":
                step = 2
                sign = expression[place : place + step]
                if sign == "\\(":
                    within.append("(")
                elif sign == "\\'":
                    sign = "'"
            elif sign == quote:
                within.pop()
                sign = '"'
            elif sign == '"':
                sign = '\\"'
        elif sign in "\"'":
            within.append(sign)
            sign = '"'
        elif sign == "#":
            end = expression.find("\n", place)
            sign = expression[place:] if end < 0 else expression[place:end]
            step = len(sign)
        elif within and sign == "(":
            within.append(sign)
        elif within and sign == ")":
            within.pop()
        parts.append(sign)
        place += step
    return expression if within else "".join(parts)


def check(expression: str, env: dict[str, str]) -> None:
    """Raises Refused (with `explain`'s JSON) unless it can stand in brackets among others."""
    if "\0" in expression:
        raise Refused(json.dumps({"message": "it holds a NUL character"}))
    expression = double_quoted(expression)
    start = prefix(env)
    compiled(start + expression)
    if "#" in expression:  # a comment that ends in a backslash would go on into our bracket
        try:
            jq.compile(f"{start}(\n{expression}\n)")
        except ValueError:
            message = "a comment at its end may not end in a backslash"
            raise Refused(json.dumps({"message": message})) from None


def attempt(expression: str | None, env: dict[str, str]) -> str:
    """JQ that gives [first output or null], or the error as a string. It never fails itself."""
    if expression is None:
        return "[true]"
    expression = double_quoted(expression)
    try:
        check(expression, env)
    except Refused as error:
        known = json.loads(str(error))
        return json.dumps(place(known))
    return f"(try [first((\n{expression}\n), null)] catch tostring)"


def place(known: dict[str, Any]) -> str:
    where = f" (line {known['line']}, column {known['column']})" if "line" in known else ""
    return f"does not compile: {known['message']}{where}"


def row(header: dict[str, Any]) -> str:
    """JQ of one row: [when, [field, …]?]; each as `attempt` gives it."""
    env = header["env"]
    fields = "[" + ",".join(attempt(one, env) for one in header["fields"]) + "]"
    if header["always"]:
        return f"[{attempt(header['when'], env)},{fields}]"
    if header["when"] is None:
        return f"[[true],{fields}]"
    return (
        f"({attempt(header['when'], env)} as $__when | "
        f"if $__when == [true] then [$__when,{fields}] else [$__when] end)"
    )


def program(header: dict[str, Any]) -> str:
    """JQ that gives {"rows": [row, …]}, or {"each": …} where the array to go through is none."""
    start = prefix(header["env"])
    if header["each"] is None:
        return f'{start}{{"rows":[{row(header)}]}}|tojson'
    drop = f"(. as $__item | try del({header['drop']}) catch $__item)" if header["drop"] else "."
    return (
        f"{start}{attempt(header['each'], header['env'])} as $__each | {drop} as $__base | "
        f'if ($__each|type) == "array" and ($__each[0]|type) == "array" then '
        f'{{"rows":[$__each[0][] as $__one | $__base | '
        f".[{json.dumps(header['name'])}] = $__one | {row(header)}]}} "
        f'else {{"each":$__each}} end | tojson'
    )


def runner(header: dict[str, Any]) -> Handler:
    try:
        ready = jq.compile(program(header))
    except ValueError as error:
        raise Refused(f"The mapping as a whole {place(explain(str(error)))}") from None

    def run(item: bytes) -> bytes:
        try:
            text: str = ready.input_text(item.decode()).first()
        except ValueError as error:
            raise Refused(str(error)[:MAX_MESSAGE]) from None
        return text.encode()

    return run


def checker(header: dict[str, Any]) -> Handler:
    def run(item: bytes) -> bytes:
        try:
            check(json.loads(item), header["env"])
        except Refused as error:
            return str(error).encode()
        return b"null"

    return run


# --- templates


def renderer(header: dict[str, Any]) -> Handler:
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    opening, closing = header["delimiters"]
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        optimized=False,  # or constants would be worked out while compiling
        variable_start_string=opening,
        variable_end_string=closing,
    )
    try:
        template = environment.from_string(header["template"])
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise Refused(f"{error}{f' (line {line})' if line else ''}") from None

    def run(item: bytes) -> bytes:
        parts: list[str] = []
        size = 0
        try:
            for part in template.generate(json.loads(item)):
                size += len(part)
                if size > header["max_chars"]:
                    raise Refused(f"The result has more than {header['max_chars']:,} characters")
                parts.append(part)
        except (Refused, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a template can raise anything
            raise Refused(f"{type(error).__name__}: {error}"[:MAX_MESSAGE]) from None
        return json.dumps("".join(parts)).encode()

    return run


# --- the process

HANDLERS: Final[dict[str, Callable[[dict[str, Any]], Handler]]] = {
    "run": runner,
    "check": checker,
    "render": renderer,
}
_kept: OrderedDict[bytes, Handler] = OrderedDict()


def handler(header: bytes, parsed: dict[str, Any]) -> Handler:
    if header in _kept:
        _kept.move_to_end(header)
        return _kept[header]
    _kept[header] = made = HANDLERS[parsed["do"]](parsed)
    if len(_kept) > KEPT_PROGRAMS:
        _kept.popitem(last=False)
    return made


def serve(frame: bytes) -> None:
    header, *items = frame.split(b"\n")
    parsed = json.loads(header)
    allow_cpu(SETUP_CPU_S + SETUP_CPU_S_PER_FIELD * len(parsed.get("fields", ())))
    try:
        handle = handler(header, parsed)
    except Refused as error:
        allow_cpu(0)
        send(b"!" + str(error).encode(errors="replace"))
        return
    except (MemoryError, RecursionError):
        allow_cpu(0)
        send(b"!It is too large to compile")
        return
    send(b"")
    base, per_mb = parsed["cpu_s"]
    for item in items:
        allow_cpu(base + per_mb * len(item) / (1 << 20))
        try:
            answer = b"=" + handle(item)
            if len(answer) > MAX_RESULT_BYTES:
                answer = b"!The result is larger than %d MB" % (MAX_RESULT_BYTES >> 20)
        except Refused as error:
            answer = b"!" + str(error).encode(errors="replace")
        except MemoryError:
            answer = b"!It needed too much memory"
        except RecursionError:
            answer = b"!It is nested too deeply"
        send(answer)
    allow_cpu(0)


def allow_cpu(seconds: float) -> None:
    """From now on; the process ends when they are used up. 0 lifts the limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def send(payload: bytes) -> None:
    """At once, item by item, so that the parent knows at which one the process died."""
    view = memoryview(len(payload).to_bytes(4, "big") + payload)
    while view:
        view = view[os.write(STDOUT, view) :]


def receive(size: int, parent: int) -> bytes:
    """Exactly `size` bytes; ends the process when there is nobody left to send them."""
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    parts: list[bytes] = []
    while size:
        # A process forked from the parent may hold the pipe open after its death.
        while not poll.poll(PARENT_CHECK_MS):
            if os.getppid() != parent:
                leave()
        if not (part := os.read(STDIN, min(size, 1 << 20))):
            leave()
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def leave() -> NoReturn:
    os._exit(0)  # nothing to flush; a clean exit would only wait for the garbage collector


def limit(memory_bytes: int) -> None:
    """What the process may take from here on; the libraries loaded so far do not count."""
    if sys.platform == "linux":  # elsewhere the kernel keeps no such limit
        with open("/proc/self/statm") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def main(parent: int, memory_bytes: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    limit(memory_bytes)
    while True:
        serve(receive(int.from_bytes(receive(4, parent), "big"), parent))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
