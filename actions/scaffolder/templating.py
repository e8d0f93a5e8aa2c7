"""The engine as the scaffolder sets it up, with what plugins add to its filters and globals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from actions.scaffolder.expressions import UNDEFINED, Environment, Function, Value

template_filters: dict[str, Function] = {}
template_globals: dict[str, Function | Value] = {}


def register_template_filter(name: str, function: Function) -> None:
    """Let templates use a filter. Raises ValueError when the name is taken."""
    if name in template_filters:
        raise ValueError(f"A template filter is already called {name!r}")
    template_filters[name] = function


def register_template_global(name: str, item: Function | Value) -> None:
    """Let templates use a function or a value. Raises ValueError when the name is taken."""
    if name in template_globals:
        raise ValueError(f"A template global is already called {name!r}")
    template_globals[name] = item


@cache
def environment(
    *, is_cookiecutter: bool = False, trim_blocks: bool = False, lstrip_blocks: bool = False
) -> Environment:
    """For steps and skeletons. A repository's host need not be known to be taken apart; publishing
    to it is what asks for a source."""
    return Environment(
        template_filters,
        template_globals,
        is_cookiecutter=is_cookiecutter,
        trim_blocks=trim_blocks,
        lstrip_blocks=lstrip_blocks,
    )


def render(value: Any, context: Mapping[str, Any], problems: list[str]) -> Any:
    """See `Environment.render_value`; None for what is undefined as a whole."""
    found = environment().render_value(value, context, problems)
    return None if found is UNDEFINED else found


def render_condition(
    condition: str, context: Mapping[str, Any], problems: list[str], *, is_failing: bool
) -> Any:
    """The value of a step's `if`, which may ask for `always()` and `failure()`."""
    return _for_conditions(is_failing).render_value(condition, context, problems)


@cache
def _for_conditions(is_failing: bool) -> Environment:
    status = {"always": Function(lambda: True), "failure": Function(lambda: is_failing)}
    return Environment(template_filters, {**template_globals, **status})
