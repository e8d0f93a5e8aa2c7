"""What may stand to the left in a rule, and the SQL of each question asked of it.

Every operand has the methods that `rules.OPERATORS` name. A condition may be unknown (NULL) where
the value is absent; negative operators are made by `sql.negated`, which counts that as "is not".
Values come checked from `rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import DateTimeField, DecimalField, F, JSONField, Value

from catalog.selectors.kinds import Kinds, Link
from catalog.selectors.search.moments import (
    MOMENT_PATTERN,
    USUAL_MOMENT_PATTERN,
    Range,
    parse_moment,
)
from catalog.selectors.search.rules import Scalar
from catalog.selectors.sql import (
    EVERYTHING,
    NOTHING,
    Sql,
    all_of,
    any_of,
    json_value,
    like_pattern,
)

# Up to here a list of values is looked up one by one in the index; longer ones are scanned for.
_MAX_LOOKUPS: Final = 50
_MIN_TRIGRAM: Final = 3

Values = Sequence[Scalar]


class Unfit(Exception):
    """A value that the operand cannot be compared with; the argument says what is expected."""


class Operand:
    """A question that makes no sense of it is answered by None, which the compiler refuses."""

    def actual(self) -> Any:
        """What it is, as jsonb; NULL where it is absent."""
        raise NotImplementedError

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        return None

    def compares(self, sign: str, value: int | float | datetime) -> Any:
        return None

    def contains(self, value: Scalar) -> Any:
        return None

    def contains_any(self, values: Values) -> Any:
        return None

    def begins_with(self, text: str) -> Any:
        return None

    def ends_with(self, text: str) -> Any:
        return None

    def is_in(self, values: Values) -> Any:
        return None

    def is_empty(self) -> Any:
        return None

    def is_within(self, span: Range) -> Any:
        return None

    def is_expired(self, now: datetime) -> Any:
        return self.compares("<=", now)

    def is_running(self, now: datetime) -> Any:
        return self.compares(">", now)


class Json(Operand):
    """A JSON value: whatever a property may hold. Equality is strict about types.

    value: an expression of type jsonb, NULL where absent. type: the JSON type the value is known
    to have, which spares asking and lets an index answer; None when anything may stand there.
    """

    def __init__(self, value: Any, *, type: str | None = None) -> None:
        self.value = value
        self.type = type

    def actual(self) -> Any:
        return Sql("{}", self.value, output_field=JSONField())

    def holds(self, part: Any) -> Any:
        """It is this scalar; or, for a list of one, it is a list that has it as an element."""
        if isinstance(part, list):
            return Sql("({} @> {}::jsonb AND {})", self.value, json_value(part), self._is("array"))
        return Sql("{} = {}::jsonb", self.value, json_value(part))

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        if value is None:
            return Sql("coalesce({}, 'null') = 'null'", self.value)
        if isinstance(value, tuple):
            return Sql("{} = {}::jsonb", self.value, json_value(value))
        return self.holds(value)

    def compares(self, sign: str, value: int | float | datetime) -> Any:
        if isinstance(value, datetime):
            return _compared(self.moment(), sign, value)
        return Sql(
            f"({{}} AND {{}} {sign} {{}}::jsonb)",
            self._is("number"),
            self.value,
            json_value(value),
        )

    def contains(self, value: Scalar) -> Any:
        ways = []
        if self.type != "string":
            ways.append(self.holds([value]))
        if self.type != "array" and isinstance(value, str):
            ways.append(self._text_that("strpos({}, {}) > 0", Value(value)))
        return any_of(ways)

    def contains_any(self, values: Values) -> Any:
        if len(values) <= _MAX_LOOKUPS:
            return any_of(self.holds([value]) for value in values)
        return Sql(
            "EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN {} THEN {} END) AS e(x) "
            "WHERE x IN (SELECT jsonb_array_elements({}::jsonb)))",
            self._is("array"),
            self.value,
            json_value(values),
        )

    def begins_with(self, text: str) -> Any:
        return self._text_that("starts_with({}, {})", Value(text))

    def ends_with(self, text: str) -> Any:
        return self._text_that("{} LIKE {}", Value(f"%{like_pattern(text)}"))

    def is_in(self, values: Values) -> Any:
        given = [value for value in values if value is not None]
        ways = [self.equals(None)] if len(given) < len(values) else []
        if len(given) <= _MAX_LOOKUPS:
            return any_of([*ways, *(self.equals(value) for value in given)])
        return any_of([*ways, self._is_one_of(given)])

    def is_empty(self) -> Any:
        return Sql(
            "coalesce({}, 'null') IN ('null'::jsonb, '\"\"'::jsonb, '[]'::jsonb, '{{}}'::jsonb)",
            self.value,
        )

    def is_within(self, span: Range) -> Any:
        return _within(self.moment(), span)

    def _is_one_of(self, values: Values) -> Any:
        return Sql("{} IN (SELECT jsonb_array_elements({}::jsonb))", self.value, json_value(values))

    def _is(self, type: str) -> Any:
        return Sql(f"jsonb_typeof({{}}) = '{type}'", self.value)

    def _text(self) -> Sql:
        return Sql("({} #>> '{{}}')", self.value)

    def _text_that(self, template: str, *parts: Any) -> Any:
        return all_of([self._is("string"), Sql(template, self._text(), *parts)])

    def number(self) -> Sql:
        """It as a number; NULL where it is none."""
        return Sql(
            "CASE WHEN {} THEN {}::numeric END",
            self._is("number"),
            self.value,
            output_field=DecimalField(),
        )

    def moment(self) -> Sql:
        """It as a moment; NULL where it is not text that is a date."""
        # CASE, so that other text is never cast
        return Sql(
            "CASE WHEN {} ~ {} THEN {}::timestamptz WHEN {} ~ {} THEN {}::timestamptz END",
            self._text(),
            Value(USUAL_MOMENT_PATTERN),
            self._text(),
            self._text(),
            Value(MOMENT_PATTERN),
            self._text(),
            output_field=DateTimeField(),
        )


class Property(Json):
    """A property of the entity: its own, one its blueprint does not know, or a computed one.

    computed_in: blueprints (pks) that compute a property of this name. type: as declared, which
    nobody checks of computed ones.
    """

    def __init__(
        self, name: str, *, computed_in: Sequence[int] = (), type: str | None = None
    ) -> None:
        own = Sql("({} -> {})", F("properties"), Value(name))
        value = (
            Sql("coalesce({}, {} -> {})", own, F("computed"), Value(name)) if computed_in else own
        )
        super().__init__(value, type=None if computed_in else type)
        self.name = name
        self.computed_in = list(computed_in)

    def holds(self, part: Any) -> Any:
        own = Sql("{} @> {}::jsonb", F("properties"), json_value({self.name: part}))
        if not self.computed_in:
            return own
        return any_of([own, all_of([is_of(self.computed_in), super().holds(part)])])


class Members(Json):
    """A list of names in which a single name means "is among them"."""

    def has_any(self, names: Sequence[str]) -> Any:
        raise NotImplementedError

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        if isinstance(value, str):
            return self.has_any([value])
        return super().equals(value)

    def contains_any(self, values: Values) -> Any:
        return self.has_any([value for value in values if isinstance(value, str)])

    def is_in(self, values: Values) -> Any:
        ways = [self.contains_any(values)]
        return any_of([*ways, self.is_empty()] if None in values else ways)

    def compares(self, sign: str, value: int | float | datetime) -> Any:
        return None

    def is_within(self, span: Range) -> Any:
        return None


class Team(Members):
    """`$team`: the teams that own the entity."""

    def __init__(self) -> None:
        super().__init__(Sql("to_jsonb({})", F("team"), output_field=JSONField()), type="array")

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        return self.is_empty() if value is None else super().equals(value)

    def contains(self, value: Scalar) -> Any:
        return self.has_any([value]) if isinstance(value, str) else NOTHING

    def begins_with(self, text: str) -> Any:
        return None

    def ends_with(self, text: str) -> Any:
        return None

    def has_any(self, names: Sequence[str]) -> Any:
        return Sql("{} && {}::varchar[]", F("team"), Value([*names])) if names else NOTHING


class RelationValue(Members):
    """The stated targets of a relation: identifiers, or blueprint:identifier to any kind."""

    def __init__(self, links: Sequence[Link], kinds: Kinds) -> None:
        are_many = {link.many for link in links}
        type = None if len(are_many) > 1 else "array" if are_many == {True} else "string"
        super().__init__(Sql("({} -> {})", F("relations"), Value(links[0].identifier)), type=type)
        self.links = links
        self.kinds = kinds

    def contains(self, value: Scalar) -> Any:
        if self.type == "array":
            return self.has_any([value]) if isinstance(value, str) else NOTHING
        return super().contains(value)

    def has_any(self, names: Sequence[str]) -> Any:
        """By the rows of `Relation`, which have indexes and say the same as the value."""
        queries: list[str] = []
        parts: list[Any] = []
        for target in {link.target for link in self.links}:
            links = Value([link.pk for link in self.links if link.target == target])
            for blueprint, identifiers in _by_blueprint(target, names).items():
                queries += [_SOURCES, _SOURCES_OF_DANGLING]
                parts += [Value(self.kinds.pk_of(blueprint) or 0), Value(identifiers), links]
                parts += [Value(blueprint), Value(identifiers), links]
        if not queries:
            return NOTHING
        return Sql(f"{{}} IN ({' UNION ALL '.join(queries)})", F("pk"), *parts)


_SOURCES = (
    "SELECT r.source_id FROM catalog_entity t JOIN catalog_relation r ON r.target_id = t.id "
    "WHERE t.blueprint_id = {} AND t.identifier = ANY({}::text[]) AND r.definition_id = ANY({})"
)
_SOURCES_OF_DANGLING = (
    "SELECT r.source_id FROM catalog_relation r WHERE r.target_id IS NULL AND "
    "r.target_blueprint = {} AND r.target_identifier = ANY({}::text[]) "
    "AND r.definition_id = ANY({})"
)


def _by_blueprint(target: str | None, names: Sequence[str]) -> dict[str, list[str]]:
    """Identifiers by the blueprint they are of; a relation to any kind names both."""
    if target is not None:
        return {target: [*names]} if names else {}
    found: dict[str, list[str]] = {}
    for name in names:
        blueprint, _, identifier = name.partition(":")
        found.setdefault(blueprint, []).append(identifier)
    return found


class Given(Members):
    """Values known beforehand: a property of the calling user or of their teams."""

    def __init__(self, values: Values) -> None:
        super().__init__(Sql("{}::jsonb", json_value([*values])), type="array")
        self.values = values

    def has_any(self, names: Sequence[str]) -> Any:
        return EVERYTHING if set(names) & set(self.values) else NOTHING

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        if value is None or isinstance(value, tuple):
            return super().equals(value)
        is_flag = isinstance(value, bool)
        same = (one == value and isinstance(one, bool) is is_flag for one in self.values)
        return EVERYTHING if any(same) else NOTHING

    def is_in(self, values: Values) -> Any:
        return any_of(self.equals(value) for value in values)


class Column(Operand):
    """A column of text."""

    def __init__(self, name: str) -> None:
        self.column = F(name)

    def actual(self) -> Any:
        return Sql("to_jsonb({}::text)", self.column, output_field=JSONField())

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        if value is None:
            return Sql("{} IS NULL", self.column)
        return Sql("{} = {}", self.column, Value(value)) if isinstance(value, str) else NOTHING

    def is_in(self, values: Values) -> Any:
        texts = [value for value in values if isinstance(value, str)]
        ways = [Sql("{} = ANY({}::text[])", self.column, Value(texts))] if texts else []
        return any_of([*ways, self.equals(None)] if None in values else ways)

    def contains(self, value: Scalar) -> Any:
        if not isinstance(value, str):
            return NOTHING
        return self._with(value, Sql("strpos({}, {}) > 0", self.column, Value(value)))

    def begins_with(self, text: str) -> Any:
        return self._with(text, Sql("starts_with({}, {})", self.column, Value(text)))

    def ends_with(self, text: str) -> Any:
        pattern = Value(f"%{like_pattern(text)}")
        return self._with(text, Sql("{} LIKE {}", self.column, pattern))

    def is_empty(self) -> Any:
        return Sql("coalesce({}, '') = ''", self.column)

    def _with(self, text: str, condition: Sql) -> Any:
        """The condition, which is true only where `text` is somewhere in the column."""
        return condition


class Name(Column):
    """`$identifier` and `$title`, whose lower-case text together has a trigram index."""

    def _with(self, text: str, condition: Sql) -> Any:
        # other alphabets have letters whose lower case depends on where they stand
        if len(text) < _MIN_TRIGRAM or not text.isascii():
            return condition
        pattern = Value(f"%{like_pattern(text.lower())}%")
        return all_of([Sql("{} LIKE {}", F("label"), pattern), condition])


class Title(Name):
    """`$title`: for the whole of it there is no other index."""

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        condition = super().equals(value)
        return self._with(value, condition) if isinstance(value, str) else condition


class Datasource(Column):
    """`$datasource`: the User-Agent of the program that wrote last.

    There are few different ones. They are gone through beforehand, and what those that fit wrote
    is looked up; so the planner knows how much that is. seen: all of them; None when too many.
    """

    def __init__(self, name: str, seen: Sequence[str] | None) -> None:
        super().__init__(name)
        self.seen = seen

    def contains(self, value: Scalar) -> Any:
        fits = self._that_fit(lambda name: isinstance(value, str) and value in name)
        return super().contains(value) if fits is None else fits

    def begins_with(self, text: str) -> Any:
        fits = self._that_fit(lambda name: name.startswith(text))
        return super().begins_with(text) if fits is None else fits

    def ends_with(self, text: str) -> Any:
        fits = self._that_fit(lambda name: name.endswith(text))
        return super().ends_with(text) if fits is None else fits

    def _that_fit(self, test: Callable[[str], bool]) -> Any:
        return None if self.seen is None else self.is_in([one for one in self.seen if test(one)])


class KindName(Operand):
    """`$blueprint`: answered from the blueprints themselves, and then looked up by their keys."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    def actual(self) -> Any:
        return Sql("to_jsonb({}::text)", F("blueprint__identifier"), output_field=JSONField())

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        return self._that(lambda name: name == value)

    def is_in(self, values: Values) -> Any:
        return self._that(lambda name: name in values)

    def contains(self, value: Scalar) -> Any:
        return self._that(lambda name: isinstance(value, str) and value in name)

    def begins_with(self, text: str) -> Any:
        return self._that(lambda name: name.startswith(text))

    def ends_with(self, text: str) -> Any:
        return self._that(lambda name: name.endswith(text))

    def is_empty(self) -> Any:
        return NOTHING

    def _that(self, test: Callable[[str], bool]) -> Any:
        return is_of([kind.pk for kind in self.kinds if test(kind.identifier)])


class Moment(Operand):
    """A column of a date and time. What is compared with it must be a date."""

    def __init__(self, name: str) -> None:
        self.column = F(name)

    def actual(self) -> Any:
        return Sql("to_jsonb({})", self.column, output_field=JSONField())

    def equals(self, value: Scalar | tuple[Scalar, ...]) -> Any:
        if value is None:
            return NOTHING
        moment = parse_moment(value)
        if moment is None:
            raise Unfit("an ISO 8601 date")
        return _compared(self.column, "=", moment)

    def compares(self, sign: str, value: int | float | datetime) -> Any:
        if not isinstance(value, datetime):
            raise Unfit("an ISO 8601 date")
        return _compared(self.column, sign, value)

    def is_within(self, span: Range) -> Any:
        return _within(self.column, span)

    def is_empty(self) -> Any:
        return NOTHING


def is_of(blueprints: Sequence[int]) -> Sql:
    """Entities of these blueprints (pks)."""
    if len(blueprints) == 1:
        return Sql("{} = {}", F("blueprint_id"), Value(blueprints[0]))
    return Sql("{} = ANY({}::bigint[])", F("blueprint_id"), Value([*blueprints]))


def _compared(moment: Any, sign: str, value: datetime) -> Sql:
    return Sql(f"{{}} {sign} {{}}", moment, Value(value, output_field=DateTimeField()))


def _within(moment: Any, span: Range) -> Any:
    sign = "<=" if span.has_end else "<"
    return all_of([_compared(moment, ">=", span.start), _compared(moment, sign, span.end)])
