"""CSV answers: streamed, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run

_BATCH = 500  # lines sent at a time


class _Line:
    """A file for csv.writer that hands back what is written."""

    def write(self, text: str) -> str:
        return text


def csv_response(
    name: str, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> StreamingHttpResponse:
    """`name`.csv; with a byte order mark, without which Excel does not see that it is UTF-8."""

    def lines() -> Iterator[str]:
        writer = csv.writer(_Line())
        batch = ["\ufeff", str(writer.writerow(map(harmless, header)))]
        for row in rows:
            batch.append(str(writer.writerow([harmless(cell) for cell in row])))
            if len(batch) >= _BATCH:
                yield "".join(batch)
                batch = []
        yield "".join(batch)

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def harmless(cell: str) -> str:
    """`cell`, with a quote before what a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
