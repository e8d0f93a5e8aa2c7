"""What all views below /api/v1 share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView
from catalog.api.openapi import JSON, OBJECT, Schema, documented, query, ref
from catalog.kernel.errors import InvalidRequest, shorten

TAG: Final = "Cortex"
MAX_PAGE_SIZE: Final = 1000
PAGE_SIZE: Final = 250  # as Cortex's own client asks for
MAX_PAGE: Final = 1_000_000

PAGING: Final = (
    query("page", "Which page, from 0 on.", kind={"type": "integer", "minimum": 0}),
    query(
        "pageSize",
        "How many on a page.",
        kind={"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    ),
)

_Method = TypeVar("_Method", bound=Callable[..., Any])
_Rows = QuerySet[Any] | Sequence[Any]


def call(
    operation_id: str,
    summary: str,
    *,
    answers: Mapping[int, Schema],
    path: Sequence[str] = (),
    params: Sequence[OpenApiParameter] = (),
    body: Schema | None = None,
    errors: Sequence[int] = (),
    description: str = "",
    body_type: str = JSON,
    answer_type: str = JSON,
) -> Callable[[_Method], _Method]:
    """Describe a method of a `CortexView`. errors: statuses besides 400, 401 and 404."""
    return documented(
        f"cortex_{operation_id}",
        summary,
        tag=TAG,
        answers=answers,
        path=path,
        params=params,
        body=body,
        errors=[400, 404, *errors],
        description=description,
        error=ref("CortexError"),
        body_type=body_type,
        answer_type=answer_type,
    )


class CortexView(ApiView):
    """Base of all; sends a page of a list as Cortex's client finds it: the one key of the answer
    that holds a list."""

    def page(self) -> int:
        """`?page=`, from 0 on. Raises InvalidRequest."""
        value = self.request.query_params.get("page") or "0"
        if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) <= MAX_PAGE):
            raise InvalidRequest(
                f'page is "{shorten(value)}"; expected a whole number from 0 to {MAX_PAGE}',
                details={
                    "field": "page",
                    "value": shorten(value),
                    "expected": f"0 to {MAX_PAGE}",
                },
            )
        return int(value)

    def page_size(self) -> int:
        """Raises InvalidRequest."""
        return params.whole(self.request, "pageSize", default=PAGE_SIZE, high=MAX_PAGE_SIZE)

    def paged(
        self,
        name: str,
        rows: _Rows,
        shape: Callable[[Sequence[Any]], list[Any]],
        **more: Any,
    ) -> Response:
        """The page that the request asks for. shape: of the rows of a page, all at once."""
        page, size = self.page(), self.page_size()
        total = rows.count() if isinstance(rows, QuerySet) else len(rows)
        part = list(rows[page * size : (page + 1) * size])
        return Response(
            {
                **more,
                name: shape(part),
                "page": page,
                "totalPages": -(-total // size),
                "total": total,
            }
        )


def page_of(name: str, **more: Schema) -> Schema:
    """The answer of `CortexView.paged`."""
    whole = {"type": "integer"}
    return {
        "type": "object",
        "properties": {
            **more,
            name: {"type": "array", "items": OBJECT},
            "page": whole,
            "totalPages": whole,
            "total": whole,
        },
        "required": [name, "page", "totalPages", "total"],
    }
