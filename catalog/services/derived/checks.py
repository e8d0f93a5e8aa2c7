"""The checks of computed properties that need to know other blueprints, made on saving one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.kernel import jq
from catalog.kernel.errors import InvalidBlueprint, InvalidInput
from catalog.services.derived.plan import cycle_error, load_plan
from catalog.services.derived.specs import TEAM_NAME
from catalog.services.derived.values import check_query, new_scope

_GROUPS = ("mirrorProperties", "calculationProperties", "aggregationProperties")


def check_definitions(blueprint: str, *, before: Mapping[str, Any] | None = None) -> None:
    """Check what a saved blueprint computes, in the transaction that saved it.

    before: its document as it was; what has not changed since is not asked for again, apart from
    circles, which any path may close. Raises InvalidBlueprint naming the field.
    """
    plan = load_plan()
    if plan.cycles:
        raise _refusal(cycle_error(plan.cycles[0]))
    computed = plan.of(blueprint)
    if computed is None:
        return
    kind, old = computed.kind, before or {}
    known = {**kind.computed, **({TEAM_NAME: kind.team_path} if kind.team_path else {})}
    stored = {name: one for group in _GROUPS for name, one in (old.get(group) or {}).items()}
    stored[TEAM_NAME] = _path(old.get("ownership")) or _path(old.get("teamInheritance"))
    new = [name for name, document in known.items() if stored.get(name) != document]
    for name in new:
        if problem := computed.problems.get(name):
            raise _refusal(problem)
    expressions = {
        f"calculationProperties.{name}.calculation": one.expression
        for name, one in computed.calculations.items()
        if name in new
    }
    for error in jq.check_all(expressions).values() if expressions else ():
        raise _refusal(error)
    scope = new_scope()
    for name, one in computed.aggregations.items():
        if name in new:
            try:
                check_query(one, scope)
            except InvalidInput as error:
                raise _refusal(error) from error


def _path(document: Any) -> str | None:
    return document.get("path") if isinstance(document, Mapping) else None


def _refusal(error: InvalidInput) -> InvalidBlueprint:
    return InvalidBlueprint(error.message, hint=error.hint, details=error.details)
