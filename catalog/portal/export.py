"""A table as CSV: every row that its filters keep."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from django.http import StreamingHttpResponse
from django.utils import timezone

from catalog.kernel.csv_lines import csv_response
from catalog.models import EntityQuerySet
from catalog.portal.tables import TableState
from catalog.selectors import tables


def table_csv(rows: EntityQuerySet, state: TableState) -> StreamingHttpResponse:
    """The shown columns, the identifier always among them."""
    columns = state.shown_columns
    if tables.IDENTIFIER not in state.shown:
        columns = [state.columns[tables.IDENTIFIER], *columns]
    ordered = tables.in_order(rows, state.sort_column, descending=state.descending)
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in state.kind.identifier)
    return csv_response(
        f"{name}-{timezone.now():%Y-%m-%d}",
        [column.title for column in columns],
        ([as_cell(value) for value in row] for row in tables.plain_rows(ordered, columns)),
    )


def as_cell(value: Any) -> str:
    """A value as text: lists of words joined, objects as JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(timespec="seconds")
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value)
    return orjson.dumps(value).decode()
