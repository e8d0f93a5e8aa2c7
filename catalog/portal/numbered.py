"""Lists in numbered pages: which one is asked for, and the addresses of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from django.db.models import QuerySet

from catalog.portal.shell import PortalRequest
from catalog.portal.values import read_number

MAX_NUMBER: Final = 10_000  # a person who looks further narrows the list

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """One page of a list. before, after: addresses of its neighbours, "" where there is none."""

    rows: Sequence[T]
    number: int
    before: str
    after: str


def page_number(request: PortalRequest, *, most: int = MAX_NUMBER) -> int:
    """The page that `page` of an address asks for, counted from 1; anything else is the first."""
    return min(max(read_number(request.GET.get("page", "")) or 1, 1), most)


def part_of(request: PortalRequest, found: QuerySet[Any, T], *, size: int) -> Part[T]:
    """The page of `found` that is asked for; one query."""
    number = page_number(request)
    first = (number - 1) * size
    rows = list(found[first : first + size + 1])
    return Part(
        rows[:size],
        number,
        before=_url(request, number - 1) if number > 1 else "",
        after=_url(request, number + 1) if len(rows) > size and number < MAX_NUMBER else "",
    )


def _url(request: PortalRequest, number: int) -> str:
    query = request.GET.copy()
    query["page"] = str(number)
    return f"{request.path}?{query.urlencode()}"
