"""The functions that every template has: `range`, `cycler`, `joiner`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .budget import Meter
from .errors import Fault
from .values import UNDEFINED, Invocable, add, order, truthy


def generators(meter: Meter) -> Mapping[str, Invocable]:
    """Fresh ones for one evaluation."""
    return {
        "range": Invocable("range", partial(_range, meter)),
        "cycler": Invocable("cycler", _cycler),
        "joiner": Invocable("joiner", _joiner),
    }


def _only_positional(name: str, positional: list[Any], named: dict[str, Any], most: int) -> None:
    if named:
        raise Fault(f"Built-in global {name} does not accept keyword arguments")
    if len(positional) > most:
        raise Fault(f"Built-in global {name} accepts at most {most} positional arguments")


def _range(meter: Meter, positional: list[Any], named: dict[str, Any]) -> list[Any]:
    _only_positional("range", positional, named, 3)
    start, stop, step = [*positional, UNDEFINED, UNDEFINED, UNDEFINED][:3]
    if stop is UNDEFINED:
        start, stop, step = 0, start, 1
    step = step if truthy(step) else 1
    is_rising = order(step, 0, meter) > 0
    result: list[Any] = []
    value = start
    while order(value, stop, meter) < 0 if is_rising else order(value, stop, meter) > 0:
        result.append(value)
        if len(result) > meter.budget.items:
            meter.items(len(result))
        meter.spend()
        value = add(value, step, meter)
    return result


def _cycler(positional: list[Any], named: dict[str, Any]) -> Invocable:
    _only_positional("cycler", positional, named, len(positional))
    state = {"index": -1}

    def following(_: list[Any], __: dict[str, Any]) -> Any:
        if not positional:
            return UNDEFINED
        state["index"] = (state["index"] + 1) % len(positional)
        return positional[state["index"]]

    def reset(_: list[Any], __: dict[str, Any]) -> Any:
        state["index"] = -1
        return UNDEFINED

    def member(key: str) -> Any:
        if key == "current":
            return None if state["index"] < 0 else positional[state["index"]]
        calls = {"next": following, "reset": reset}
        return Invocable(key, calls[key]) if key in calls else UNDEFINED

    def refuse(_: list[Any], __: dict[str, Any]) -> Any:
        raise Fault("a cycler is not called itself; use next()")

    return Invocable("cycler", refuse, member)


def _joiner(positional: list[Any], named: dict[str, Any]) -> Invocable:
    """Empty the first time, the separator from then on."""
    _only_positional("joiner", positional, named, 1)
    separator = positional[0] if positional and truthy(positional[0]) else ","
    state = {"text": ""}

    def call(_: list[Any], __: dict[str, Any]) -> Any:
        text, state["text"] = state["text"], separator
        return text

    return Invocable("joiner", call)
