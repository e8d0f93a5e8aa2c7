"""Cursors of `by-query`: base64 of JSON that says where a page begins and what is asked for.

Clients look into them: where there is a `query`, they send the next request as a POST.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self, TypeVar
from uuid import UUID

import orjson

from catalog.kernel.errors import InvalidInput, InvalidRequest
from catalog.kernel.identifiers import is_storable
from catalog.kernel.schema import check_json

_T = TypeVar("_T")
_MAX_TOTAL = 2**53
_SHOWN = 40  # characters of what is no cursor


@dataclass(frozen=True, slots=True)
class SortField:
    """What to order by, and in which direction."""

    field: str
    is_descending: bool = False

    @property
    def direction(self) -> Literal["ASC", "DESC"]:
        return "DESC" if self.is_descending else "ASC"


class Key(NamedTuple):
    """Where an entity is in the order: by the value of the sort field, if any, and its uid."""

    value: str | None
    uid: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """A question and a place among its answers.

    at: the row beside which the page begins; None at the beginning. first: the first row of the
    first page. total: as counted for that page. is_previous: the page lies before `at`.
    """

    query: Any = None
    order: SortField | None = None
    term: str = ""
    term_fields: tuple[str, ...] = ()
    at: Key | None = None
    first: Key | None = None
    total: int | None = None
    is_previous: bool = False

    def moved(self, *, to: Key, first: Key, total: int, is_previous: bool = False) -> Cursor:
        return replace(self, at=to, first=first, total=total, is_previous=is_previous)

    def encode(self) -> str:
        document: dict[str, Any] = {
            "orderFields": [{"field": self.order.field, "order": self.order.direction.lower()}]
            if self.order
            else [],
            "orderFieldValues": self._values(self.at),
            "isPrevious": self.is_previous,
            "firstSortFieldValues": self._values(self.first),
            "totalItems": self.total,
        }
        if self.query is not None:
            document["query"] = self.query
        if self.term:
            text: dict[str, Any] = {"term": self.term}
            if self.term_fields:
                text["fields"] = self.term_fields
            document["fullTextFilter"] = text
        return base64.b64encode(orjson.dumps(document)).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises InvalidRequest for what is no cursor of ours."""
        raw = decoded(text)
        try:
            document = orjson.loads(raw)
        except ValueError:
            begin = raw.decode(errors="replace")[:_SHOWN]
            raise InvalidRequest(
                f"Malformed cursor: SyntaxError: Unexpected token '{begin[:1]}', \"{begin}\" "
                "is not valid JSON"
            ) from None
        try:
            check_json(document)
            return cls._read(document)
        except (ValueError, KeyError, TypeError, InvalidInput):
            raise InvalidRequest(
                "Malformed cursor: it is not one that this list gave out"
            ) from None

    @classmethod
    def _read(cls, document: Any) -> Self:
        if not isinstance(document, dict):
            raise TypeError
        fields = [_sort_field(one) for one in _typed(document["orderFields"], list)]
        order = fields[0] if fields else None
        total = document["totalItems"]
        if type(total) is not int or not 0 <= total <= _MAX_TOTAL:
            raise TypeError
        query = document.get("query")
        if query is not None:
            _typed(query, dict)
        text = _typed(document.get("fullTextFilter", {}), dict)
        return cls(
            query=query,
            order=order,
            term=_typed(text.get("term", ""), str),
            term_fields=tuple(_typed(one, str) for one in _typed(text.get("fields", []), list)),
            at=_key(document["orderFieldValues"], order),
            first=_key(document["firstSortFieldValues"], order),
            total=total,
            is_previous=_typed(document["isPrevious"], bool),
        )

    def _values(self, key: Key | None) -> list[str | None] | None:
        if key is None:
            return None
        return [key.value, key.uid] if self.order else [key.uid]


def decoded(text: str) -> bytes:
    """What base64 of either alphabet says, padded or not; nothing where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except ValueError:
        return b""


def _sort_field(value: Mapping[str, Any]) -> SortField:
    if value["order"] not in ("asc", "desc"):
        raise ValueError
    return SortField(_typed(value["field"], str), value["order"] == "desc")


def _key(values: Any, order: SortField | None) -> Key:
    *rest, uid = _typed(values, list)
    if len(rest) != (1 if order else 0):
        raise ValueError
    value = _typed(rest[0], str) if rest else None
    if value is not None and not is_storable(value):
        raise ValueError
    return Key(value, str(UUID(_typed(uid, str))))


def _typed(value: Any, kind: type[_T]) -> _T:
    if type(value) is not kind:
        raise TypeError
    return value
