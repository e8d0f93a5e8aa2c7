"""Rules to SQL conditions on Entity. Users' text goes in as parameters only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import Count, F, Min, Q, Subquery, Value

from catalog import registry
from catalog.kernel.errors import InvalidQuery, LimitExceeded
from catalog.selectors.graph import BOTH, reachable_from
from catalog.selectors.kinds import Kind, Link
from catalog.selectors.search.moments import Range, parse_moment, preset_range
from catalog.selectors.search.operands import (
    Column,
    Datasource,
    Given,
    Json,
    KindName,
    Moment,
    Name,
    Operand,
    Property,
    RelationValue,
    Team,
    Title,
    Unfit,
    is_of,
)
from catalog.selectors.search.rules import (
    MAX_DEPTH,
    Comparison,
    ContextValue,
    DateRange,
    Group,
    MatchAny,
    Named,
    NestedSearch,
    OfRelation,
    OfSchema,
    OfScorecard,
    Operator,
    RelatedTo,
    Rule,
    Takes,
    no_scorecard,
    parse,
    wrong,
)
from catalog.selectors.search.scope import Scope
from catalog.selectors.sql import EVERYTHING, NOTHING, Sql, all_of, any_of, negated

MY_TEAMS: Final = "My Teams"


class Compiler:
    """Compiles the rules of one search.

    blueprint: the pk of the one that all that is looked for is of; None when it may be of any.
    depth: how many searches this one stands within. is_scanning: every entity is asked anyway, so
    that an index is of no use, and looking at the value itself is quicker.
    """

    def __init__(
        self,
        scope: Scope,
        blueprint: int | None = None,
        *,
        depth: int = 1,
        is_scanning: bool = False,
    ) -> None:
        self.scope = scope
        self.blueprint = blueprint
        self.depth = depth
        self.is_scanning = is_scanning

    @property
    def _own(self) -> Kind | None:
        return None if self.blueprint is None else self.scope.kinds.by_pk.get(self.blueprint)

    def group(self, group: Group) -> Any:
        """The condition; `EVERYTHING` for a group that says nothing.

        A group within it that asks for one of no rules finds nothing: exporters delete what they
        find by a list of things to look for, which may be empty.
        """
        conditions = [
            NOTHING if isinstance(rule, Group) and _is_one_of_none(rule) else self.rule(rule)
            for rule in group.rules
            if not isinstance(rule, Group) or _is_one_of_none(rule) or _says(rule)
        ]
        if not conditions:
            return EVERYTHING
        return all_of(conditions) if group.combinator == "and" else any_of(conditions)

    def rule(self, rule: Rule) -> Any:
        if isinstance(rule, Group):
            return self.group(rule)
        if isinstance(rule, Comparison):
            return self._comparison(rule)
        if isinstance(rule, RelatedTo):
            return self._related_to(rule)
        if isinstance(rule, MatchAny):
            return self._match_any(rule)
        return self._of_scorecard(rule)

    def operand(self, rule: Comparison) -> Operand:
        """What stands to the left of a comparison with a property or a relation."""
        assert isinstance(rule.operand, Named | OfRelation)  # noqa: S101 - see the docstring
        operand = self._operand(rule.operand, rule.path)
        assert operand is not None  # noqa: S101 - only what the calling user has may be none
        return operand

    # comparisons

    def _comparison(self, rule: Comparison) -> Any:
        if isinstance(rule.value, NestedSearch):
            return self._nested(rule.value, rule)
        if isinstance(rule.operand, OfSchema):
            return self._of_schema(rule.operand, rule)
        operand = self._operand(rule.operand, rule.path)
        return NOTHING if operand is None else self._compared(operand, rule)

    def _operand(self, operand: Named | ContextValue | OfRelation, path: str) -> Operand | None:
        """What stands to the left; None when the calling user has no such thing."""
        if isinstance(operand, ContextValue):
            values = self.scope.context(operand.context, operand.property)
            return Given(values) if values else None
        if isinstance(operand, OfRelation):
            return RelationValue(self._links(operand.name, path), self.scope.kinds)
        return self._named(operand.name)

    def _named(self, name: str) -> Operand:
        if name in _COLUMNS:
            column, of = _COLUMNS[name]
            return of(column)
        if name == "$team":
            return Team()
        if name == "$datasource":
            return Datasource("datasource", self.scope.datasources)
        if name == "$blueprint":
            return KindName(self.scope.kinds)
        found = self._property(name)
        return Json(found.value, type=found.type) if self.is_scanning else found

    def _property(self, name: str) -> Property:
        kind = self._own
        if kind is None:
            return Property(name, computed_in=self.scope.kinds.computed_in.get(name, ()))
        computed_in = [kind.pk] if name in kind.computed else []
        return Property(name, computed_in=computed_in, type=kind.type_of(name))

    def _compared(self, operand: Operand, rule: Comparison) -> Any:
        operator, value = rule.operator, rule.value
        if isinstance(operand, Team) and isinstance(value, tuple):
            value = self._with_my_teams(value)
        if isinstance(value, ContextValue):
            values = self.scope.context(value.context, value.property)
            if not values:
                return NOTHING  # whoever has no team must not get what has no owner
            answers = (
                [self._ask(operand, operator, tuple(values), rule)]
                if operator.takes is Takes.LIST
                else [self._ask(operand, operator, one, rule) for one in values]
            )
            answer = any_of(answers)
        else:
            answer = self._ask(operand, operator, value, rule)
        return negated(answer) if operator.is_negative else answer

    def _ask(self, operand: Operand, operator: Operator, value: Any, rule: Comparison) -> Any:
        try:
            answer = self._answer(operand, operator, value)
        except Unfit as error:
            raise wrong(f"{rule.path}.value", value, str(error)) from error
        if answer is None:
            name = rule.operand.name if isinstance(rule.operand, Named | OfRelation) else "this"
            raise wrong(f"{rule.path}.operator", operator.name, f"one that suits {name}")
        return answer

    def _answer(self, operand: Operand, operator: Operator, value: Any) -> Any:
        ask = getattr(operand, operator.method)
        if isinstance(value, DateRange):
            return operand.is_within(self._range(value))
        if operator.method in ("is_expired", "is_running"):
            return ask(self.scope.now)
        if operator.takes is Takes.NOTHING:
            return ask()
        if operator.takes is Takes.ORDERED:
            number_or_date = parse_moment(value) if isinstance(value, str) else value
            return NOTHING if number_or_date is None else ask(operator.name, number_or_date)
        if operator.takes is Takes.TEXT and not isinstance(value, str):
            return NOTHING
        return ask(value)

    def _range(self, dates: DateRange) -> Range:
        return dates.span or preset_range(dates.preset, self.scope.now)

    def _with_my_teams(self, teams: tuple[Any, ...]) -> tuple[Any, ...]:
        if MY_TEAMS not in teams:
            return teams
        return (*(team for team in teams if team != MY_TEAMS), *self.scope.team_identifiers)

    def _of_schema(self, operand: OfSchema, rule: Comparison) -> Any:
        """True when any property of that schema satisfies the rule."""
        own = self._own
        kinds = [own] if own else list(self.scope.kinds)
        found: dict[str, list[Kind]] = {}
        for kind in kinds:
            for name, schema in {**kind.properties, **kind.computed}.items():
                if _is_like(operand.schema, schema):
                    found.setdefault(name, []).append(kind)
        return any_of(
            all_of(
                [
                    is_of([kind.pk for kind in having]),
                    self._compared(
                        Property(
                            name,
                            computed_in=[kind.pk for kind in having if name in kind.computed],
                            type=operand.schema["type"],
                        ),
                        rule,
                    ),
                ]
            )
            for name, having in found.items()
        )

    def _nested(self, search: NestedSearch, rule: Comparison) -> Any:
        """A search in place of an identifier stands for the one entity it finds of a blueprint.

        One that is broken, empty or finds several stands for none: its results may be deleted.
        """
        if self.depth >= MAX_DEPTH:
            raise LimitExceeded(
                f"{rule.path}.value has more than {MAX_DEPTH} searches within searches",
                details={"field": f"{rule.path}.value", "expected": f"at most {MAX_DEPTH}"},
            )
        try:
            group = parse(search.document, path=f"{rule.path}.value")
            if not _says(group):
                return NOTHING
            condition = Compiler(self.scope, self.blueprint, depth=self.depth + 1).group(group)
        except InvalidQuery:
            return NOTHING
        entities = self.scope.entities.filter(condition)
        if self.blueprint is not None:
            entities = entities.filter(blueprint=self.blueprint)
        single = (
            entities.order_by()
            .values("blueprint")
            .annotate(found=Count("pk"), only=Min("pk"))
            .filter(found=1)
        )
        answer = Sql("{} IN {}", F("pk"), Subquery(single.values("only")))
        return negated(answer) if rule.operator.is_negative else answer

    # relations

    def _links(self, name: str, path: str) -> list[Link]:
        """The relations of this name that what is looked for may have."""
        own = self._own
        links = self.scope.kinds.links([own.pk] if own else None, name=name)
        if not links:
            raise self._no_relation(f"{path}.relation", name, own)
        return links

    def _no_relation(self, where: str, name: str, kind: Kind | None) -> InvalidQuery:
        if kind is None:
            return wrong(where, name, "a relation of some blueprint")
        known = ", ".join(kind.links) or "none"
        return wrong(where, name, f'a relation of blueprint "{kind.identifier}" ({known})')

    def _related_to(self, rule: RelatedTo) -> Any:
        blueprint = self._kind(rule.blueprint, f"{rule.path}.blueprint").pk
        seeds = self.scope.entities.filter(
            blueprint_id=blueprint, identifier__in=self._identifiers(rule.value)
        )
        definitions = None
        if rule.required is not None:
            links = self.scope.kinds.links()
            definitions = [link.pk for link in links if link.required is rule.required]
        return reachable_from(
            seeds.values("pk"), direction=rule.direction or BOTH, definitions=definitions
        )

    def _match_any(self, rule: MatchAny) -> Any:
        values = self._identifiers(rule.value)
        where = f"{rule.path}.property"
        if rule.start is not None:
            start = self._kind(rule.start, f"{where}.fromBlueprint").pk
            steps, _ = self._walk(rule, {start}, where)
            seeds = self.scope.entities.filter(blueprint_id=start, identifier__in=values)
            return _along(steps, seeds.values("pk"), forward=True)
        own = self._own
        first = {own.pk} if own else set(self.scope.kinds.by_pk)
        steps, ends = self._walk(rule, first, where)
        named = Q(identifier__in=values)
        for value in values:  # a relation to any kind leads to blueprint:identifier
            blueprint, colon, identifier = value.partition(":")
            if colon and (pk := self.scope.kinds.pk_of(blueprint)):
                named |= Q(blueprint_id=pk, identifier=identifier)
        seeds = self.scope.entities.filter(named, blueprint_id__in=ends)
        return _along(steps[::-1], seeds.values("pk"), forward=False)

    def _walk(
        self, rule: MatchAny, start: set[int], where: str
    ) -> tuple[list[tuple[list[int], int]], set[int]]:
        """The definitions (pks) and hops of each step, and the blueprints where the path ends."""
        kinds, steps = self.scope.kinds, []
        here = start
        for index, step in enumerate(rule.steps):
            links: dict[int, Link] = {}
            reached: set[int] = set()
            ahead = here
            for _ in range(step.hops):
                new = {link.pk: link for link in kinds.links(ahead, name=step.relation)}
                ahead = self._targets(new.values())
                if not new.keys() - links.keys() and ahead <= reached:
                    break
                links |= new
                reached |= ahead
            if not links:
                only = kinds.by_pk[min(here)] if len(here) == 1 else None
                raise self._no_relation(f"{where}.path[{index}]", step.relation, only)
            steps.append((list(links), step.hops))
            here = reached
        return steps, here

    def _targets(self, links: Any) -> set[int]:
        kinds, found = self.scope.kinds, set()
        for link in links:
            if link.target is None:
                return set(kinds.by_pk)
            if (pk := kinds.pk_of(link.target)) is not None:
                found.add(pk)
        return found

    def _of_scorecard(self, rule: OfScorecard) -> Any:
        queries = registry.scorecard_queries()
        if queries is None:
            raise no_scorecard(f"{rule.path}.scorecard", rule.scorecard)
        return queries.fits(rule.scorecard, rule.rule, rule.operator, rule.value, rule.path)

    def _kind(self, identifier: str, where: str) -> Kind:
        kind = self.scope.kinds.get(identifier)
        if kind is None:
            raise wrong(where, identifier, "an existing blueprint")
        return kind

    def _identifiers(self, value: tuple[str, ...] | ContextValue) -> list[str]:
        if isinstance(value, ContextValue):
            found = self.scope.context(value.context, value.property)
            return [one for one in found if isinstance(one, str)]
        return list(value)


_COLUMNS: Final[Mapping[str, tuple[str, type[Column] | type[Moment]]]] = {
    "$identifier": ("identifier", Name),
    "$title": ("title", Title),
    "$icon": ("icon", Column),
    "$createdBy": ("created_by", Column),
    "$updatedBy": ("updated_by", Column),
    "$createdAt": ("created_at", Moment),
    "$updatedAt": ("updated_at", Moment),
}


def named_blueprint(group: Group, scope: Scope) -> int | None:
    """The blueprint (pk) that a query insists on: knowing its schema makes better conditions."""
    if group.combinator == "and":
        for rule in group.rules:
            if (
                isinstance(rule, Comparison)
                and rule.operand == Named("$blueprint")
                and rule.operator.name == "="
                and isinstance(rule.value, str)
            ):
                return scope.kinds.pk_of(rule.value)
    return None


def _says(group: Group) -> bool:
    """Whether there is any rule in it."""
    return any(
        not isinstance(rule, Group) or _is_one_of_none(rule) or _says(rule) for rule in group.rules
    )


def _is_one_of_none(group: Group) -> bool:
    return group.combinator == "or" and not group.rules


def _is_like(wanted: Mapping[str, Any], schema: Any) -> bool:
    """Whether a schema has all that is wanted of it; what is not mentioned does not matter."""
    if not isinstance(schema, Mapping):
        return False
    return all(
        _is_like(value, schema.get(key)) if isinstance(value, Mapping) else schema.get(key) == value
        for key, value in wanted.items()
        if value is not None
    )


# By whether a path is walked the way its relations point.
_HOP: Final = {
    True: "(SELECT r.target_id FROM catalog_relation r "
    "WHERE r.definition_id = ANY({}) AND r.source_id IN {})",
    False: "(SELECT r.source_id FROM catalog_relation r "
    "WHERE r.definition_id = ANY({}) AND r.target_id IN {})",
}
_HOPS: Final = {
    True: "(WITH RECURSIVE hop(id, n) AS (SELECT r.target_id, 1 FROM catalog_relation r "
    "WHERE r.definition_id = ANY({}) AND r.source_id IN {} "
    "UNION SELECT r.target_id, hop.n + 1 FROM hop JOIN catalog_relation r "
    "ON r.source_id = hop.id WHERE r.definition_id = ANY({}) AND hop.n < {}) SELECT id FROM hop)",
    False: "(WITH RECURSIVE hop(id, n) AS (SELECT r.source_id, 1 FROM catalog_relation r "
    "WHERE r.definition_id = ANY({}) AND r.target_id IN {} "
    "UNION SELECT r.source_id, hop.n + 1 FROM hop JOIN catalog_relation r "
    "ON r.target_id = hop.id WHERE r.definition_id = ANY({}) AND hop.n < {}) SELECT id FROM hop)",
}


def _along(steps: Sequence[tuple[list[int], int]], seeds: Any, *, forward: bool) -> Sql:
    """Entities at the other end of a path from `seeds`; steps in the order of the walk."""
    reached: Any = Subquery(seeds)
    for links, hops in steps:
        definitions = Value(links)
        if hops == 1:
            reached = Sql(_HOP[forward], definitions, reached)
        else:
            reached = Sql(_HOPS[forward], definitions, reached, definitions, Value(hops))
    return Sql("{} IN {}", F("pk"), reached)
