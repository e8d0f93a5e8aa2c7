"""One number, or one number per value, of the entities that a query finds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from math import ceil, isfinite
from typing import Any, Final

from django.db import connection
from django.db.models import Aggregate, Avg, Count, F, FloatField, JSONField, Max, Min, Sum, Value

from catalog import registry
from catalog.kernel.actors import Principal
from catalog.models import EntityQuerySet
from catalog.selectors.search import Scope, search
from catalog.selectors.search.operands import Property
from catalog.selectors.search.rules import checked_name, no_scorecard, wrong
from catalog.selectors.search.scope import COLUMNS
from catalog.selectors.sql import Sql

MAX_VALUES: Final = 10_000  # different ones that are counted


class Median(Aggregate):
    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


FUNCTIONS: Final[Mapping[str, type[Aggregate]]] = {
    "sum": Sum,
    "average": Avg,
    "min": Min,
    "max": Max,
    "median": Median,
}
PERIODS: Final = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
_MOMENTS: Final = {"$createdAt": "created_at", "$updatedAt": "updated_at"}

_EXACT: Final = 2**53  # below it, JSON's readers keep every digit of a whole number


def aggregate(body: Mapping[str, Any], *, principal: Principal) -> Any:
    """The answer to an aggregation: a number, {value: count}, or None where nothing has a value.

    - {"func": "count"}: how many entities
    - {"func": "sum" | "average" | "min" | "max" | "median", "property"}: of the numbers in a
      property; what is no number does not count
    - {"func": "average", "averageOf": "hour" | "day" | "week" | "month" | "total",
      "measureTimeBy"?, "property"?}: entities, or the sum of a property, per period; periods run
      from the first `measureTimeBy` (a date; "$createdAt") until now, begun ones count whole
    - {"func": "countValues", "property" | "relation" | "scorecard", "rule"?}: how many entities
      have each value (of a scorecard each level, or each status of a rule), the most frequent
      first; each element of a list counts, absent values do not

    Each with an optional "query". At most three statements.
    Raises InvalidQuery naming the field.
    """
    scope = Scope(principal)
    function = str(body.get("func"))
    entities = search(body.get("query"), principal=principal, scope=scope)
    if function == "count":
        return entities.count()
    if function == "countValues":
        return count_values(entities, values_of(body, scope))
    if function not in FUNCTIONS:
        raise wrong("func", function, f"one of count countValues {' '.join(FUNCTIONS)}")
    if function == "average" and body.get("averageOf", "total") != "total":
        return _average_per_period(entities, body, scope)
    if function == "average" and "property" not in body:
        return entities.count()
    number = property_of(body.get("property"), "property", scope).number()
    return plain(entities.aggregate(value=FUNCTIONS[function](number))["value"])


def count_values(entities: EntityQuerySet, value: Any) -> dict[str, int]:
    """How many of the entities have each value; value: a jsonb expression."""
    sql, params = entities.annotate(value=value).values_list("value").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            # the query is Django's, its parameters are apart
            f"SELECT one #>> '{{}}', count(*) FROM ({sql}) AS found(value), "  # noqa: S608
            f"{EACH_VALUE} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_VALUES}",
            params,
        )
        return dict(cursor.fetchall())


# Lateral: the values to count of `found.value`, a list being opened.
EACH_VALUE: Final = (
    "jsonb_array_elements(CASE jsonb_typeof(found.value) WHEN 'array' THEN found.value "
    "ELSE jsonb_build_array(found.value) END) AS each_value(one) "
    "WHERE jsonb_typeof(one) NOT IN ('null', 'object', 'array')"
)


def values_of(body: Mapping[str, Any], scope: Scope) -> Any:
    """The jsonb expression of what a body counts by: a property, a relation or a scorecard."""
    if "scorecard" in body:
        return _of_scorecard(body)
    if "relation" in body:
        name = checked_name(body["relation"], "relation")
        return Sql("({} -> {})", F("relations"), Value(name), output_field=JSONField())
    name = checked_name(body.get("property"), "property")
    if name == "$blueprint":
        return Sql("to_jsonb({})", F("blueprint__identifier"), output_field=JSONField())
    if name in COLUMNS:
        return Sql("to_jsonb({})", F(COLUMNS[name]), output_field=JSONField())
    return Sql("{}", property_of(name, "property", scope).value, output_field=JSONField())


def _of_scorecard(body: Mapping[str, Any]) -> Any:
    scorecard = checked_name(body["scorecard"], "scorecard")
    rule = None if body.get("rule") is None else checked_name(body["rule"], "rule")
    queries = registry.scorecard_queries()
    if queries is None:
        raise no_scorecard("scorecard", scorecard)
    return queries.value(scorecard, rule, "")


def property_of(value: object, where: str, scope: Scope) -> Property:
    """The operand of a property that is not a meta one."""
    name = checked_name(value, where)
    if name.startswith("$"):
        raise wrong(where, name, "a property of the entities")
    return Property(name, computed_in=scope.kinds.computed_in.get(name, ()))


def moment_of(value: object, where: str, scope: Scope) -> Any:
    """The expression of when a thing counts: a meta property or a property that is a date."""
    name = checked_name(value, where)
    if name in _MOMENTS:
        return F(_MOMENTS[name])
    if name.startswith("$"):
        raise wrong(where, name, "$createdAt, $updatedAt or a property that is a date")
    return property_of(name, where, scope).moment()


def period_of(value: object, where: str) -> timedelta:
    if not isinstance(value, str) or value not in PERIODS:
        raise wrong(where, value, f"one of {' '.join(PERIODS)}")
    return PERIODS[value]


def plain(value: Any) -> Any:
    """A number as JSON has it: whole ones without a fraction, None for one beyond all bounds."""
    if not isinstance(value, Decimal | float):
        return value
    if -_EXACT < value < _EXACT and value == int(value):
        return int(value)
    number = float(value)
    return number if isfinite(number) else None


def _average_per_period(entities: EntityQuerySet, body: Mapping[str, Any], scope: Scope) -> Any:
    moment = moment_of(body.get("measureTimeBy", "$createdAt"), "measureTimeBy", scope)
    period = period_of(body.get("averageOf"), "averageOf")
    total: Any = Count("pk")
    if "property" in body:
        total = Sum(property_of(body["property"], "property", scope).number())
    dated = entities.annotate(moment=moment).filter(moment__isnull=False)
    found: dict[str, Any] = dated.aggregate(total=total, first=Min("moment"))
    if found["total"] is None or found["first"] is None:
        return None
    periods = max(1, ceil((scope.now - found["first"]) / period))
    return plain(Decimal(found["total"]) / periods)
