"""Pieces of SQL that go where Django's own expressions do not reach."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Self

from django.db.models import BooleanField, Expression, Field, Value


class Sql(Expression):
    """SQL of ours with expressions in it: `Sql("{} @> {}::jsonb", F("properties"), Value("…"))`.

    The template is a constant of the code; what a user wrote goes in as a `Value`, which becomes
    a parameter. Columns go in as `F`, so that they follow the aliases of the query around them.
    Without `output_field` it is a condition, fit for `filter()`.
    """

    def __init__(
        self, template: str, *parts: Any, output_field: Field[Any, Any] | None = None
    ) -> None:
        super().__init__(output_field=output_field or BooleanField())
        self.template = template
        self.parts = [*parts]

    def get_source_expressions(self) -> list[Any]:
        return self.parts

    def set_source_expressions(self, exprs: Any) -> None:
        self.parts = list(exprs)

    def copy(self) -> Self:
        clone = super().copy()
        clone.parts = [*self.parts]
        return clone

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        pieces, params = [], []
        for part in self.parts:
            piece, its_params = compiler.compile(part)
            pieces.append(piece)
            params += its_params
        return self.template.format(*pieces), params


NOTHING = Sql("false")
EVERYTHING = Sql("true")


def all_of(conditions: Iterable[Any]) -> Any:
    return _joined(list(conditions), " AND ", EVERYTHING)


def any_of(conditions: Iterable[Any]) -> Any:
    return _joined(list(conditions), " OR ", NOTHING)


def negated(condition: Any) -> Sql:
    """True where the condition is false *or unknown*: what is absent is not equal to anything."""
    return Sql("({}) IS NOT TRUE", condition)


def json_value(value: Any) -> Value:
    """A JSON parameter, to be cast `::jsonb`."""
    return Value(json.dumps(value, ensure_ascii=False, allow_nan=False))


def like_pattern(text: str) -> str:
    """`text` with the wildcards of LIKE taken literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _joined(conditions: list[Any], word: str, if_none: Sql) -> Any:
    if len(conditions) <= 1:
        return conditions[0] if conditions else if_none
    return Sql("(" + word.join(["{}"] * len(conditions)) + ")", *conditions)
