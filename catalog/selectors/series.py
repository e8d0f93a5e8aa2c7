"""Numbers over time: of the entities that a query finds, and of the past of one entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import connection
from django.db.models import Aggregate, Count, F, IntegerField, JSONField, QuerySet, Value

from catalog.kernel import feed
from catalog.kernel.actors import Principal
from catalog.kernel.errors import LimitExceeded, NotFound
from catalog.models import Blueprint, Change, Entity, EntityQuerySet
from catalog.selectors.aggregate import (
    EACH_VALUE,
    FUNCTIONS,
    moment_of,
    period_of,
    plain,
    property_of,
    values_of,
)
from catalog.selectors.history import undone
from catalog.selectors.search import Scope, search
from catalog.selectors.search.moments import PRESETS, Range, parse_range, preset_range
from catalog.selectors.search.rules import checked_name, wrong
from catalog.selectors.sql import Sql

MAX_STEPS: Final = 5000
MAX_PROPERTIES: Final = 20
MAX_CHANGES: Final = 20_000

# Names of intervals to PostgreSQL's, with the least time one takes.
_INTERVALS: Final = {
    "hour": ("hour", timedelta(hours=1)),
    "day": ("day", timedelta(hours=23)),
    "isoWeek": ("week", timedelta(days=6)),
    "month": ("month", timedelta(days=28)),
    "quarter": ("quarter", timedelta(days=89)),
}


@dataclass(frozen=True, slots=True)
class Series:
    """data: a row per step, in order: {"date": milliseconds, name: value, …}."""

    start: datetime
    end: datetime
    data: Sequence[Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "minDate": _milliseconds(self.start),
            "maxDate": _milliseconds(self.end),
            "data": list(self.data),
        }


def aggregate_over_time(body: Mapping[str, Any], *, principal: Principal) -> Series:
    """Entities of a blueprint by when they count, one row per step of time.

    Body: {"blueprint", "query"?, "timeRange": {"preset" | "from" and "to", "timeZone"?},
    "timeInterval": "hour" | "day" | "isoWeek" | "month" | "quarter", "measureTimeBy"?} with

    - {"aggregationType": "countEntities", "func": "count", "breakdownProperty"?}: rows
      {"date", "count"}, or a column for each value; "average" with "averageOf" ("day") instead
      divides by how many of those periods a step has
    - {"aggregationType": "aggregatePropertiesValues", "func": "sum" | "average" | "min" | "max" |
      "median" | "last", "properties": […]}: rows {"date", property: value or None, …}

    Raises InvalidQuery naming the field, NotFound, LimitExceeded for too many steps.
    """
    scope = Scope(principal)
    blueprint = _blueprint(body.get("blueprint"), "blueprint")
    steps = _steps(body, scope)
    entities = search(body.get("query"), principal=principal, blueprint=blueprint, scope=scope)
    moment = moment_of(body.get("measureTimeBy", "$createdAt"), "measureTimeBy", scope)
    stepped = steps.number(entities.annotate(moment=moment))
    kind = body.get("aggregationType")
    if kind == "countEntities":
        return _counts(stepped, body, steps, scope)
    if kind == "aggregatePropertiesValues":
        return _aggregates(stepped, body, steps, scope)
    raise wrong("aggregationType", kind, '"countEntities" or "aggregatePropertiesValues"')


def properties_history(body: Mapping[str, Any], *, principal: Principal) -> Series:
    """What properties of one entity were at the end of each step: rows {"date", name: value}.

    Body: {"blueprintIdentifier", "entityIdentifier", "propertyNames", "timeInterval",
    "timeRange"}. The past of computed properties is not kept: they are None, as is what was
    before the entity.

    Raises InvalidQuery naming the field, NotFound, LimitExceeded.
    """
    scope = Scope(principal)
    steps = _steps(body, scope)
    names = _names(body.get("propertyNames"), "propertyNames")
    identifier = checked_name(body.get("entityIdentifier"), "entityIdentifier")
    blueprint = _blueprint(body.get("blueprintIdentifier"), "blueprintIdentifier")
    entity = scope.entities.filter(blueprint=blueprint, identifier=identifier).first()
    if entity is None:
        raise NotFound.of("Entity", identifier)
    changes = Change.objects.filter(
        model=Change.ENTITY, object_id=entity.pk, at__gt=steps.starts[0]
    ).order_by("-id")
    past = _Past(entity, list(changes[: MAX_CHANGES + 1]))
    rows = {}
    for number in range(len(steps.starts), 0, -1):
        properties = past.before(steps.end(number))
        rows[number] = {name: properties.get(name) for name in names}
    return steps.series(rows, names, missing=None)


class _Past:
    """The properties of an entity, walked back from now."""

    def __init__(self, entity: Entity, changes: Sequence[Change]) -> None:
        if len(changes) > MAX_CHANGES:
            raise LimitExceeded(
                f"The entity has more than {MAX_CHANGES} changes in that time",
                hint="Ask for a shorter time.",
                details={"field": "timeRange", "expected": f"at most {MAX_CHANGES} changes"},
            )
        self.content: dict[str, Any] = {"properties": entity.properties}
        self.changes = list(changes)  # newest first

    def before(self, moment: datetime) -> Mapping[str, Any]:
        """The properties just before `moment`, which must not be later than last time."""
        while self.changes and self.changes[0].at >= moment:
            change = self.changes.pop(0)
            if change.action == feed.CREATE:
                self.content = {"properties": {}}
            elif change.action == feed.UPDATE:
                before, after = (
                    {"properties": (part or {}).get("properties", {})}
                    for part in (change.before, change.after)
                )
                self.content = undone(self.content, before, after)
        properties: Mapping[str, Any] = self.content["properties"]
        return properties


@dataclass(frozen=True, slots=True)
class _Steps:
    """range: the time asked for. starts: when each step begins, in UTC; the first may begin before
    the range. Steps are numbered from 1."""

    range: Range
    unit: str
    zone: ZoneInfo
    starts: Sequence[datetime]

    def end(self, number: int) -> datetime:
        return _next(self.starts[number - 1], self.unit, self.zone)

    def number(self, dated: EntityQuerySet) -> QuerySet[Any]:
        """The entities whose `moment` is in the range, annotated with `step`."""
        upper = "moment__lte" if self.range.has_end else "moment__lt"
        step = Sql(
            "width_bucket({}, {}::timestamptz[])",
            F("moment"),
            Value(list(self.starts)),
            output_field=IntegerField(),
        )
        within = {"moment__gte": self.range.start, upper: self.range.end}
        return dated.filter(**within).annotate(step=step)

    def series(
        self, rows: Mapping[int, Mapping[str, Any]], names: Iterable[str], *, missing: Any
    ) -> Series:
        """A row for each step; `missing` where there is none by its number."""
        every = dict.fromkeys(names, missing)
        data = [
            {"date": _milliseconds(start), **every, **rows.get(number, {})}
            for number, start in enumerate(self.starts, 1)
        ]
        return Series(self.range.start, self.range.end, data)


class _Last(Aggregate):
    """The latest value that is there, by the moment given after it."""

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        (value, of_value), (moment, of_moment) = map(compiler.compile, self.source_expressions[:2])
        return (
            f"(array_agg({value} ORDER BY {moment} DESC) FILTER (WHERE {value} IS NOT NULL))[1]",
            [*of_value, *of_moment, *of_value],
        )


def _counts(stepped: QuerySet[Any], body: Mapping[str, Any], steps: _Steps, scope: Scope) -> Series:
    function = body.get("func", "count")
    if function not in ("count", "average"):
        raise wrong("func", function, '"count" or "average"')
    if "breakdownProperty" in body:
        value = values_of({"property": body["breakdownProperty"]}, scope)
        rows, names = _broken_down(stepped, value)
    else:
        counted = stepped.values("step").annotate(count=Count("pk")).values_list("step", "count")
        rows, names = {step: {"count": count} for step, count in counted}, ["count"]
    if function == "average":
        period = period_of(body.get("averageOf", "day"), "averageOf")
        for number, row in rows.items():
            share = max(1.0, (steps.end(number) - steps.starts[number - 1]) / period)
            rows[number] = {name: plain(count / share) for name, count in row.items()}
    return steps.series(rows, names, missing=0)


def _broken_down(stepped: QuerySet[Any], value: Any) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Counts by step and value, and the values in order."""
    query = stepped.annotate(value=value).order_by().values_list("step", "value").query
    sql, params = query.sql_with_params()
    rows: dict[int, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            # the query is Django's, its parameters are apart
            f"SELECT step, one #>> '{{}}', count(*) FROM ({sql}) AS found(step, value), "  # noqa: S608
            f"{EACH_VALUE} GROUP BY 1, 2",
            params,
        )
        for step, name, count in cursor.fetchall():
            rows.setdefault(step, {})[name] = count
    return rows, sorted({name for row in rows.values() for name in row})


def _aggregates(
    stepped: QuerySet[Any], body: Mapping[str, Any], steps: _Steps, scope: Scope
) -> Series:
    names = _names(body.get("properties"), "properties")
    function = body.get("func")
    if function != "last" and function not in FUNCTIONS:
        raise wrong("func", function, f"one of {' '.join(FUNCTIONS)} last")
    columns: dict[str, Any] = {}
    for index, name in enumerate(names):
        operand = property_of(name, f"properties[{index}]", scope)
        # numbered, since a property may be called like a field
        columns[f"value_{index}"] = (
            _Last(operand.value, F("moment"), output_field=JSONField())
            if function == "last"
            else FUNCTIONS[str(function)](operand.number())
        )
    grouped = stepped.values("step").annotate(**columns).values_list("step", *columns)
    rows = {
        step: {name: plain(value) for name, value in zip(names, values, strict=True)}
        for step, *values in grouped
    }
    return steps.series(rows, names, missing=None)


def _steps(body: Mapping[str, Any], scope: Scope) -> _Steps:
    asked = body.get("timeRange")
    if not isinstance(asked, Mapping):
        raise wrong("timeRange", asked, 'like {"preset": "lastMonth", "timeZone": "UTC"}')
    zone = _zone(asked.get("timeZone") or "UTC")
    if "preset" in asked:
        if asked["preset"] not in PRESETS:
            raise wrong("timeRange.preset", asked["preset"], f"one of {' '.join(PRESETS)}")
        span = preset_range(asked["preset"], scope.now, zone)
    else:
        given = parse_range(asked.get("from"), asked.get("to"))
        if given is None:
            raise wrong("timeRange", dict(asked), "a preset, or ISO 8601 dates in from and to")
        span = given
    interval = body.get("timeInterval")
    if not isinstance(interval, str) or interval not in _INTERVALS:
        raise wrong("timeInterval", interval, f"one of {' '.join(_INTERVALS)}")
    unit, least = _INTERVALS[interval]
    if (span.end - span.start) / least > MAX_STEPS:
        raise LimitExceeded(
            f"timeRange has more than {MAX_STEPS} steps of {interval}",
            hint="Ask for longer steps or a shorter time.",
            details={"field": "timeInterval", "expected": f"at most {MAX_STEPS} steps"},
        )
    try:
        starts = [_start(span.start, unit, zone)]
        while (following := _next(starts[-1], unit, zone)) < span.end:
            starts.append(following)
    except (OverflowError, ValueError) as error:  # before the year 1, after 9999
        raise wrong("timeRange", dict(asked), "years that calendars have") from error
    return _Steps(span, unit, zone, starts)


def _start(moment: datetime, unit: str, zone: ZoneInfo) -> datetime:
    """When the step that `moment` is in begins, in UTC; days are those of `zone`."""
    local = moment.astimezone(zone)
    if unit == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    day = local.date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit in ("month", "quarter"):
        months = 3 if unit == "quarter" else 1
        day = day.replace(month=(day.month - 1) // months * months + 1, day=1)
    return _midnight(day, zone)


def _next(start: datetime, unit: str, zone: ZoneInfo) -> datetime:
    """When the step after the one that begins at `start` does."""
    if unit == "hour":
        return start + timedelta(hours=1)
    day = start.astimezone(zone).date()
    if unit in ("day", "week"):
        return _midnight(day + timedelta(days=7 if unit == "week" else 1), zone)
    months = day.month + (3 if unit == "quarter" else 1)
    return _midnight(date(day.year + (months - 1) // 12, (months - 1) % 12 + 1, 1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise wrong("timeRange.timeZone", name, "a time zone like Europe/Berlin") from error


def _names(value: object, where: str) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not 1 <= len(names) <= MAX_PROPERTIES:
        raise wrong(where, value, f"a list of 1 to {MAX_PROPERTIES} properties")
    return [checked_name(name, f"{where}[{index}]") for index, name in enumerate(names)]


def _blueprint(value: object, where: str) -> Blueprint:
    identifier = checked_name(value, where)
    blueprint = Blueprint.objects.filter(identifier=identifier).first()
    if blueprint is None:
        raise NotFound.of("Blueprint", identifier)
    return blueprint


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
