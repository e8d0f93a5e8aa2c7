"""A table's URL, read: which columns, filters, order and page it asks for.

Everything a table shows is in its query string, so a view is shared by sharing its address:

    q=pay                     words in title or identifier
    f=tier:is:gold            a filter: column, operator, value; values of one column and operator
                              are alternatives ("is gold or silver")
    sort=-relations.system    a column; "-" turns the order round
    columns=$title,tier       what is shown, in this order
    mine=1                    only what the person's teams own
    size=50, after=…, before=…
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import QueryDict
from django.utils import timezone

from catalog.models import TEAM
from catalog.portal.values import LABEL_NAMES
from catalog.selectors.kinds import Kind
from catalog.selectors.tables import (
    OWNER,
    TITLE,
    Column,
    Source,
    columns_of,
    default_columns,
)

SIZES: Final = (25, 50, 100)
MAX_FILTERS: Final = 30
MAX_TEXT: Final = 200
MAX_FACETS: Final = 6
MAX_FACET_VALUES: Final = 15

# By type of column: the name in the URL, and how a chip reads.
_EMPTY_OPS = {"empty": "is empty", "filled": "is not empty"}
_OPERATORS: Final[Mapping[str, Mapping[str, str]]] = {
    "string": {
        "is": "is",
        "not": "is not",
        "contains": "contains",
        "starts": "starts with",
        **_EMPTY_OPS,
    },
    "number": {
        "is": "=",
        "not": "≠",
        "gt": ">",
        "gte": "≥",
        "lt": "<",
        "lte": "≤",
        **_EMPTY_OPS,
    },
    "boolean": {"is": "is", **_EMPTY_OPS},
    "date": {"within": "in the last days", "after": "after", "before": "before", **_EMPTY_OPS},
    "array": {"has": "has", "lacks": "has not", **_EMPTY_OPS},
    "relation": {"has": "is", "lacks": "is not", **_EMPTY_OPS},
    "team": {"has": "is", "lacks": "is not", **_EMPTY_OPS},
    "object": _EMPTY_OPS,
}
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "after": ">", "before": "<"}
_WITHOUT_VALUE = frozenset(_EMPTY_OPS)


def operators_of(column: Column) -> Mapping[str, str]:
    """What can be asked of a column: name in the URL to words."""
    return _OPERATORS.get(column.type, _OPERATORS["string"])


def all_operators() -> dict[str, str]:
    """Every operator, for a form that cannot know the column yet."""
    return {name: words for group in _OPERATORS.values() for name, words in group.items()}


@dataclass(frozen=True, slots=True)
class Filter:
    """One `f` of the URL. problem: why it is not applied, in words for the person."""

    column: Column
    operator: str
    value: str
    problem: str = ""

    @property
    def param(self) -> str:
        return f"{self.column.key}:{self.operator}:{self.value}"

    @property
    def words(self) -> str:
        return operators_of(self.column)[self.operator]


@dataclass(frozen=True, slots=True)
class Chip:
    """Filters that belong together, as one removable label. href: the table without it."""

    title: str
    words: str
    values: Sequence[str]
    href: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column. order: "ascending" or "descending" where the table is sorted by it."""

    column: Column
    href: str
    order: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a column in a menu: its address turns the filter for it on, or off again."""

    label: str
    href: str
    is_on: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """A column as a menu. choices: None where they have to be looked up when it is opened."""

    column: Column
    is_on: bool
    choices: Sequence[Choice] | None = None


@dataclass(frozen=True)
class TableState:
    """What a table's URL asks for."""

    kind: Kind
    columns: Mapping[str, Column]
    shown: Sequence[str]
    filters: Sequence[Filter] = ()
    text: str = ""
    sort: str = TITLE
    descending: bool = False
    mine: bool = False
    size: int = SIZES[1]
    unknown: Sequence[str] = ()
    has_own_columns: bool = False
    place: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, kind: Kind, params: QueryDict, remembered: Sequence[str] = ()) -> TableState:
        """From a query string. remembered: columns of the person, where the URL names none.

        What a URL says of columns that are gone is left out, and named in `unknown`.
        """
        columns = columns_of(kind)
        asked = [key for key in params.get("columns", "").split(",") if key]
        shown = [key for key in dict.fromkeys(asked or remembered) if key in columns]
        sort = params.get("sort", "")
        sort_key = sort.removeprefix("-")
        filters, unknown = _filters(columns, params.getlist("f")[:MAX_FILTERS])
        return cls(
            kind=kind,
            columns=columns,
            shown=shown or default_columns(kind),
            filters=filters,
            text=_clean(params.get("q", ""))[:MAX_TEXT].strip(),
            sort=sort_key if sort_key in columns else TITLE,
            descending=sort.startswith("-") and sort_key in columns,
            mine=params.get("mine") == "1",
            size=_size(params.get("size", "")),
            unknown=unknown,
            has_own_columns=bool(asked),
            place={key: str(params[key]) for key in ("after", "before") if params.get(key)},
        )

    @property
    def shown_columns(self) -> list[Column]:
        return [self.columns[key] for key in self.shown]

    @property
    def sort_column(self) -> Column:
        return self.columns[self.sort]

    @property
    def is_narrowed(self) -> bool:
        return bool(self.filters or self.text or self.mine)

    def query(self, *, without: str = "") -> dict[str, Any]:
        """The filters in the rule language; `without` leaves out those of one column."""
        rules = []
        for column, operator, values in self._groups():
            if column.key != without:
                rules.append(_rule(column, operator, values))
        return {"combinator": "and", "rules": rules}

    def params(self, **changes: Any) -> str:
        """The query string of this state; changes by name, None takes one out.

        The place in the list is not part of it: any change begins at the first page.
        """
        query = QueryDict(mutable=True)
        wanted: dict[str, Any] = {
            "q": self.text,
            "f": [one.param for one in self.filters],
            "sort": f"{'-' if self.descending else ''}{self.sort}",
            "columns": ",".join(self.shown) if self.has_own_columns else "",
            "mine": "1" if self.mine else "",
            "size": str(self.size),
            **changes,
        }
        defaults = {"sort": TITLE, "size": str(SIZES[1])}
        for name, value in wanted.items():
            if isinstance(value, list):
                query.setlist(name, value)
            elif value and value != defaults.get(name):
                query[name] = value
        return query.urlencode(safe=":$,")

    def href(self, **changes: Any) -> str:
        encoded = self.params(**changes)
        return f"?{encoded}" if encoded else "?"

    def heads(self) -> list[Head]:
        """The shown columns; each leads to the table sorted by it, or the other way round."""
        heads = []
        for column in self.shown_columns:
            is_sorted = column.key == self.sort
            order = ("descending" if self.descending else "ascending") if is_sorted else ""
            turn = "-" if is_sorted and not self.descending else ""
            heads.append(Head(column, self.href(sort=f"{turn}{column.key}"), order))
        return heads

    def with_filter(self, column: Column, operator: str, values: Sequence[str]) -> str:
        """The query string with one more filter."""
        new = [Filter(column, operator, value).param for value in values]
        return self.params(f=list(dict.fromkeys([*(one.param for one in self.filters), *new])))

    def facets(self) -> list[Facet]:
        """Menus for the owner, for what the schema lists values of, and for well-known words."""
        facets = []
        for column in self.columns.values():
            listed = _listed(column)
            if listed or column.key == OWNER or column.name in LABEL_NAMES:
                is_on = any(one.column == column for one in self.filters)
                choices = [self.choice(column, text, text) for text in listed] or None
                facets.append(Facet(column, is_on, choices))
        return facets[:MAX_FACETS]

    def choice(self, column: Column, value: str, label: str, count: int | None = None) -> Choice:
        one = Filter(column, next(iter(operators_of(column))), value)
        others = [f.param for f in self.filters if f.param != one.param]
        is_on = len(others) < len(self.filters)
        if column.type == "boolean":
            label = "Yes" if value == "true" else "No"
        return Choice(label, self.href(f=others if is_on else [*others, one.param]), is_on, count)

    def chips(self, labels: Mapping[str, str]) -> list[Chip]:
        """The filters as labels; `labels`: titles of the teams and entities that they name."""
        chips = []
        for column, operator, values in self._groups(with_problems=True):
            mine = [f for f in self.filters if f.column == column and f.operator == operator]
            rest = [f.param for f in self.filters if f not in mine]
            chips.append(
                Chip(
                    title=column.title,
                    words=mine[0].words,
                    values=[labels.get(value, value) for value in values if value],
                    href=self.href(f=rest),
                    problem=mine[0].problem,
                )
            )
        return chips

    def named_entities(self) -> list[tuple[str, str]]:
        """(blueprint, identifier) of what filters name, to show titles for."""
        keys = []
        for one in self.filters:
            if one.column.key == OWNER:
                keys.append((TEAM, one.value))
            elif one.column.link is not None:
                target = one.column.link.target
                kind, _, name = one.value.partition(":")
                keys.append((target, one.value) if target else (kind, name))
        return keys

    def _groups(self, *, with_problems: bool = False) -> Iterator[tuple[Column, str, list[str]]]:
        groups: dict[tuple[str, str], list[str]] = {}
        for one in self.filters:
            if with_problems or not one.problem:
                groups.setdefault((one.column.key, one.operator), []).append(one.value)
        for (key, operator), values in groups.items():
            yield self.columns[key], operator, values


def _listed(column: Column) -> list[str]:
    """The possible values, as a filter writes them, where the schema lists few."""
    items = column.spec.get("items")
    listed = column.spec.get("enum") or (items.get("enum") if isinstance(items, dict) else None)
    if column.type == "boolean":
        listed = ["true", "false"]
    return [str(value) for value in listed or ()] if len(listed or ()) <= MAX_FACET_VALUES else []


def _filters(columns: Mapping[str, Column], texts: Sequence[str]) -> tuple[list[Filter], list[str]]:
    filters, unknown = [], []
    for text in texts:
        key, _, rest = _clean(text).partition(":")
        operator, _, value = rest.partition(":")
        column = columns.get(key)
        if column is None or operator not in operators_of(column):
            unknown.append(text)
            continue
        one = Filter(column, operator, value, _problem(column, operator, value))
        if one not in filters:
            filters.append(one)
    return filters, unknown


def _problem(column: Column, operator: str, value: str) -> str:
    if operator in _WITHOUT_VALUE:
        return ""
    if not value:
        return "needs a value"
    if operator == "within":
        return "" if value.isdigit() and int(value) <= 36_500 else "needs a number of days"
    if column.type == "number" and _number(value) is None:
        return "needs a number"
    if column.type == "boolean" and value not in ("true", "false"):
        return "needs true or false"
    if column.type == "date" and not _is_date(value):
        return "needs a date such as 2026-03-31"
    return ""


def _rule(column: Column, operator: str, values: Sequence[str]) -> dict[str, Any]:
    """A filter in the rule language; several values are alternatives, or all of them are denied."""
    operand = (
        {"relation": column.name} if column.source is Source.RELATION else {"property": column.key}
    )
    if operator in _WITHOUT_VALUE:
        return {**operand, "operator": "isEmpty" if operator == "empty" else "isNotEmpty"}
    typed = [_typed(column, value) for value in values]
    if operator == "within":
        days = max(int(value) for value in values)
        moment = timezone.now() - timedelta(days=days)
        return {**operand, "operator": ">=", "value": moment.isoformat()}
    one = {
        "is": "=",
        "not": "!=",
        "contains": "contains",
        "starts": "beginsWith",
        "has": "contains" if column.type in ("array", "team") else "=",
        "lacks": "doesNotContains" if column.type in ("array", "team") else "!=",
        **_COMPARISONS,
    }[operator]
    combinator = "and" if operator in ("not", "lacks") else "or"
    return {
        "combinator": combinator,
        "rules": [{**operand, "operator": one, "value": value} for value in typed],
    }


def _typed(column: Column, value: str) -> Any:
    if column.type == "number":
        return _number(value)
    if column.type == "boolean":
        return value == "true"
    items = column.spec.get("items") or {}
    if column.type == "array" and items.get("type") == "number":
        return _number(value) if _number(value) is not None else value
    return value


def _number(value: str) -> int | float | None:
    for convert in (int, float):
        try:
            number = convert(value)
        except ValueError:
            continue
        return number if abs(number) < 1e300 else None
    return None


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _size(value: str) -> int:
    return int(value) if value.isdigit() and int(value) in SIZES else SIZES[1]


def _clean(text: str) -> str:
    return text.replace("\x00", "")
