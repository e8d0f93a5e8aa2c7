"""Reading a long list page by page: no counting, no skipping, always on the order's index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import FieldError, ValidationError
from django.db.models import Expression, F, Field, Func, Model, QuerySet, TextField, Value
from django.db.models.lookups import GreaterThan, LessThan

from catalog.kernel.errors import InvalidRequest
from catalog.kernel.pagination import decode_cursor, encode_cursor

AFTER, BEFORE = "after", "before"


@dataclass(frozen=True, slots=True)
class Key:
    """One part of an order. `expression` is a field path or an expression that is never null."""

    name: str
    expression: str | Expression
    field: Field[Any, Any]


@dataclass(frozen=True, slots=True)
class KeysetPage:
    """rows: at most `size`. after, before: the cursor of the next and previous page, or None."""

    rows: list[Any]
    after: str | None
    before: str | None


class _Row(Func):
    """`(a, b, c)`: PostgreSQL compares whole rows, and can do it on an index."""

    template = "(%(expressions)s)"
    output_field = TextField()


@dataclass(frozen=True, slots=True)
class Keyset:
    """A total order: the last key must be unique. All keys go the same way."""

    keys: Sequence[Key]
    descending: bool = False

    def page(
        self, queryset: QuerySet[Any], parameters: Mapping[str, str], *, size: int
    ) -> KeysetPage:
        """The page that `after` or `before` in `parameters` names, else the first.

        Raises InvalidRequest for a cursor that is not of this list.
        """
        annotated = queryset.annotate(
            **{
                self._alias(key): F(key.expression)
                if isinstance(key.expression, str)
                else key.expression
                for key in self.keys
            }
        )
        backward = bool(parameters.get(BEFORE))
        cursor = parameters.get(BEFORE) or parameters.get(AFTER)
        if cursor:
            annotated = annotated.filter(self._beyond(cursor, backward=backward))
        falling = self.descending != backward
        ordered = annotated.order_by(
            *(F(self._alias(key)).desc() if falling else F(self._alias(key)) for key in self.keys)
        )
        found = list(ordered[: size + 1])
        rows = found[:size]
        has_more = len(found) > size
        if backward:
            rows.reverse()
        has_next, has_previous = (bool(cursor), has_more) if backward else (has_more, bool(cursor))
        return KeysetPage(
            rows=rows,
            after=self._cursor(rows[-1]) if rows and has_next else None,
            before=self._cursor(rows[0]) if rows and has_previous else None,
        )

    def _beyond(self, cursor: str, *, backward: bool) -> Expression:
        values = decode_cursor(cursor, length=len(self.keys), field=BEFORE if backward else AFTER)
        try:
            place = _Row(
                *(
                    Value(key.field.to_python(value), output_field=key.field)
                    for key, value in zip(self.keys, values, strict=True)
                )
            )
        except (ValidationError, FieldError, TypeError) as error:
            raise InvalidRequest(f"The cursor is not of this list: {error}") from None
        here = _Row(*(F(self._alias(key)) for key in self.keys))
        compare = LessThan if self.descending != backward else GreaterThan
        return compare(here, place)

    def _cursor(self, row: Model) -> str:
        values = [getattr(row, self._alias(key)) for key in self.keys]
        return encode_cursor([v.isoformat() if isinstance(v, datetime) else v for v in values])

    @staticmethod
    def _alias(key: Key) -> str:
        return f"keyset_{key.name}"
