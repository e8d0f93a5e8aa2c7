"""Search over the catalogue, docs and APIs, as Backstage's clients ask: `/api/search/query`.

Parameters come in brackets, `types[0]=techdocs&filters[kind]=Component&filters[lifecycle][0]=…`,
so they are read here and not by their declaration.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Any, Final

from django.http import QueryDict
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView, answer
from catalog.api.openapi import OBJECT, documented, list_of, query, ref
from catalog.dialects.backstage.search import (
    INDEXES,
    MAX_PAGE_LIMIT,
    MAX_TERM,
    PAGE_LIMIT,
    search,
)
from catalog.kernel.errors import InvalidRequest, shorten

MAX_FILTERS: Final = 100  # values of all filters together

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_DIGITS: Final = 6  # of a page's number
_SINGLE: Final = ("term", "pageLimit", "pageCursor")

_STRING = {"type": "string"}
_RESULT = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": list(INDEXES)},
        "document": OBJECT,
        "rank": {"type": "integer"},
        "highlight": {
            "type": "object",
            "properties": {"preTag": _STRING, "postTag": _STRING, "fields": OBJECT},
            "required": ["preTag", "postTag", "fields"],
        },
    },
    "required": ["type", "document", "rank"],
}


class SearchQuery(BackstageView):
    @documented(
        "search_backstage",
        "Search the catalogue, docs and APIs",
        tag="Backstage search",
        answers={
            200: {
                "type": "object",
                "properties": {
                    "results": list_of(_RESULT),
                    "numberOfResults": {"type": "integer"},
                    "nextPageCursor": _STRING,
                    "previousPageCursor": _STRING,
                },
                "required": ["results", "numberOfResults"],
            }
        },
        params=[
            query("term", f"Words, at most {MAX_TERM} characters; without it everything is found."),
            query(
                "types[0]",
                f"An index: {', '.join(f'`{name}`' for name in INDEXES)}. `types[1]` is one more.",
            ),
            query(
                "filters[kind]",
                "The value of a field of documents: `kind`, `namespace`, `lifecycle`, `owner`, "
                "`type` or `name`. `filters[kind][0]`, `filters[kind][1]`: any of several.",
            ),
            query("pageLimit", f"Results of a page, 1 to {MAX_PAGE_LIMIT}.", kind=int),
            query("pageCursor", "`nextPageCursor` or `previousPageCursor` of an answer."),
        ],
        errors=[400],
        error=ref("BackstageError"),
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = _read(request.query_params)
        page, limit = asked["page"], asked["limit"]
        found = search(principal=self.principal, **asked)
        body: dict[str, Any] = {"results": found.results, "numberOfResults": found.total}
        if (page + 1) * limit < found.total:
            body["nextPageCursor"] = _cursor(page + 1)
        if page:
            body["previousPageCursor"] = _cursor(page - 1)
        return answer(body)


def _read(sent: QueryDict) -> dict[str, Any]:
    """The arguments of `search`. Raises InvalidRequest."""
    single: dict[str, str] = {}
    indexes: list[str] = []
    filters: dict[str, list[str]] = {}
    for name, values in sent.lists():
        root, bracket, _ = name.partition("[")
        keys = _BRACKETS.findall(name)
        if bracket and name != root + "".join(f"[{key}]" for key in keys):
            raise _refused(f'"{shorten(name)}" is no parameter: its brackets do not match')
        if any("\x00" in value for value in values) or "\x00" in name:
            raise _refused(f'"{shorten(root)}" must be text without NUL characters')
        if root in _SINGLE and not keys:
            if len(values) > 1:
                raise _refused(f'"{root}" stands there {len(values)} times; expected once')
            single[root] = values[0]
        elif root == "types" and len(keys) <= 1:
            indexes += values
        elif root == "filters" and keys and keys[0] and len(keys) <= 2:
            filters.setdefault(keys[0], []).extend(values)
        else:
            raise InvalidRequest(f"Unknown query parameter '{shorten(name)}'")
    for index in indexes:
        if index not in INDEXES:
            known = ", ".join(INDEXES)
            raise _refused(f'"{shorten(index)}" at "types" is not an index; expected {known}')
    if sum(map(len, filters.values())) > MAX_FILTERS:
        raise _refused(f'more than {MAX_FILTERS} values at "filters"')
    return {
        "term": _term(single.get("term", "")),
        "indexes": list(dict.fromkeys(indexes)),
        "filters": filters,
        "limit": _limit(single.get("pageLimit")),
        "page": _page(single.get("pageCursor")),
    }


def _term(value: str) -> str:
    if len(value) > MAX_TERM:
        raise _refused(f'The term length "{len(value)}" is greater than "{MAX_TERM}" at "term"')
    return value


def _limit(value: str | None) -> int:
    if value is None:
        return PAGE_LIMIT
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS and int(value) > 0):
        raise _refused(f'"{shorten(value)}" at "pageLimit" is not a number from 1')
    if int(value) > MAX_PAGE_LIMIT:
        raise _refused(f'The pageLimit "{value}" is greater than "{MAX_PAGE_LIMIT}" at "pageLimit"')
    return int(value)


def _page(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        number = b64decode(cursor, validate=True).decode()
    except (NotBase64, ValueError):
        number = ""
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS):
        raise _refused(f'"{shorten(cursor)}" at "pageCursor" is not a cursor of an answer')
    return int(number)


def _cursor(page: int) -> str:
    return b64encode(str(page).encode()).decode()


def _refused(fault: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid query string: {fault}")
