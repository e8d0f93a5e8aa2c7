"""`debug:*`: what helps to write a template."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from actions.scaffolder.registry import (
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    titled,
)
from catalog.kernel.errors import InvalidInput, shorten

MAX_WAIT_S = 600.0
_LOOK_EVERY_S = 1.0
_SHOWN = 10_000  # characters of a file
_UNITS_S = {"minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}


def _log(context: ActionContext) -> None:
    message = context.input.get("message")
    if message is not None:
        context.log(message if isinstance(message, str) else orjson.dumps(message).decode())
    listing = context.input.get("listWorkspace")
    if not listing:
        return
    files = context.workspace.files()
    if listing == "with-contents":
        for file in files:
            text = "" if file.link else context.workspace.read(file.path).decode(errors="replace")
            context.log(f"{file.path}\n\n{shorten(text, _SHOWN)}")
    else:
        context.log("Workspace:\n" + "\n".join(f"  - {file.path}" for file in files))


def _wait(context: ActionContext) -> None:
    given = {unit: context.input.get(unit, 0) for unit in _UNITS_S}
    seconds = sum(given[unit] * size for unit, size in _UNITS_S.items())
    if not any(unit in context.input for unit in _UNITS_S):
        seconds = 1.0
    if seconds > MAX_WAIT_S:
        raise InvalidInput.of("debug:wait", f"{seconds:g} s", f"at most {MAX_WAIT_S:g} s")
    if context.is_dry_run:
        context.log(f"Would wait for {seconds:g} s")
        return
    context.log(f"Waiting for {seconds:g} s")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_EVERY_S))
        context.check_in()


_NUMBER: Mapping[str, Any] = {"type": "number", "minimum": 0}

ACTIONS = (
    TemplateAction(
        id="debug:log",
        description="Writes a message into the log, or lists the workspace.",
        input=inputs(
            (),
            message=titled({}, "Message"),
            listWorkspace={
                "title": "List the workspace",
                "enum": [True, False, "with-filenames", "with-contents"],
            },
            extra=titled({}, "More to show"),
        ),
        run=_log,
        examples=(
            Example(
                "Write a message",
                "steps:\n  - action: debug:log\n    input:\n      message: Hello\n",
            ),
        ),
        supports_dry_run=True,
    ),
    TemplateAction(
        id="debug:wait",
        description="Waits for a while, at most ten minutes.",
        input=inputs((), **{unit: titled(_NUMBER, unit.capitalize()) for unit in _UNITS_S}),
        run=_wait,
        supports_dry_run=True,
    ),
)
