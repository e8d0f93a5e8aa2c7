"""All computed properties of the catalogue, resolved: what each is read from, and along what.

A plan is made of the blueprints at one moment and kept until one of them changes. Definitions that
lead nowhere, and those that depend on themselves, are in `problems` and have no value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from catalog.kernel.errors import InvalidInput
from catalog.selectors.kinds import Kind, Kinds, Link, load_kinds
from catalog.services.derived.specs import (
    EVERYTHING,
    TEAM_NAME,
    AggregationSpec,
    CalculationSpec,
    read_aggregation,
    read_calculation,
    read_mirror,
    read_team_path,
)

MAX_CHAIN: Final = 5  # relations between an entity and what it aggregates, where no path is given
MAX_CHAINS: Final = 50

Node = tuple[str, str]  # blueprint, name of a computed property or "$team"


@dataclass(frozen=True, slots=True)
class Hop:
    """One step along any of some relations (pks), the way they point or against it."""

    links: tuple[int, ...]
    is_forward: bool = True


@dataclass(frozen=True, slots=True)
class Walk:
    """Steps from an entity to what its value is read from.

    places: the blueprints (pks) one may be at before the first step, after it, and so on.
    is_many: there may be several ends.
    """

    hops: tuple[Hop, ...]
    places: tuple[frozenset[int], ...]
    is_many: bool = False


@dataclass(frozen=True, slots=True)
class Aggregation:
    """walks: each leads to entities that count; one that several lead to counts once."""

    spec: AggregationSpec
    target: int
    walks: tuple[Walk, ...]


@dataclass(slots=True)
class Computed:
    """What is computed for the entities of one blueprint, by name.

    mirrors: (the way there, the name read at its end). team: the way to what teams are inherited
    from. uses: the mirrors, aggregations and `$team` that its calculations read. loose: names
    whose values change by themselves as time goes by, or with entities that nobody watches.
    problems: why a definition has no value.
    """

    kind: Kind
    mirrors: dict[str, tuple[Walk, str]] = field(default_factory=dict)
    calculations: dict[str, CalculationSpec] = field(default_factory=dict)
    aggregations: dict[str, Aggregation] = field(default_factory=dict)
    team: Walk | None = None
    uses: frozenset[str] = frozenset()
    loose: set[str] = field(default_factory=set)
    problems: dict[str, InvalidInput] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Those that have values."""
        return {*self.mirrors, *self.calculations, *self.aggregations}

    @property
    def is_empty(self) -> bool:
        return not (self.kind.computed or self.kind.team_path)

    @property
    def reads_others(self) -> bool:
        kind = self.kind
        return bool(kind.mirrors or kind.aggregations or kind.team_path)

    @contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Keep what is wrong with this definition among the problems."""
        try:
            yield
        except InvalidInput as error:
            self.problems[name] = error

    def drop(self, name: str, problem: InvalidInput) -> None:
        for group in (self.mirrors, self.calculations, self.aggregations):
            group.pop(name, None)
        if name == TEAM_NAME:
            self.team = None
        self.problems[name] = problem


@dataclass(frozen=True, slots=True)
class Route:
    """A walk of some definitions of `owner` (pk) and the names they read at its end."""

    owner: int
    walk: Walk
    reads: frozenset[str]

    @property
    def length(self) -> int:
        return len(self.walk.hops)


class Plan:
    """kinds: what it was made of. cycles: definitions that read themselves in the end, each as
    [a.x, b.y, a.x]. order: blueprints (pks), those that others read first."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.by_pk = {kind.pk: _resolved(kind, kinds) for kind in kinds}
        self.cycles, self.order = self._sorted()
        for computed in self.by_pk.values():
            self._note_loose(computed)
            computed.uses = frozenset().union(
                *(self._used(computed, one) for one in computed.calculations.values())
            )
        self.routes = list(self._routes())
        self.routes_at: dict[int, list[tuple[Route, int]]] = defaultdict(list)
        for route in self.routes:
            for position, places in enumerate(route.walk.places):
                for pk in places:
                    self.routes_at[pk].append((route, position))

    def of(self, identifier: str) -> Computed | None:
        kind = self.kinds.get(identifier)
        return self.by_pk[kind.pk] if kind else None

    def _sorted(self) -> tuple[list[list[str]], list[int]]:
        cycles: list[list[str]] = []
        edges = {
            (computed.kind.identifier, name): reads
            for computed in self.by_pk.values()
            for name, reads in self._reads(computed)
        }
        while True:
            try:
                order = list(TopologicalSorter(edges).static_order())
                break
            except CycleError as error:
                cycle: list[Node] = error.args[1][::-1]
                cycles.append([".".join(node) for node in cycle])
                for blueprint, name in set(cycle):
                    computed = self.of(blueprint)
                    if computed:
                        computed.drop(name, cycle_error(cycles[-1]))
                    edges.pop((blueprint, name), None)
        seen = dict.fromkeys(self.kinds.pk_of(blueprint) or 0 for blueprint, _ in order)
        return cycles, [*seen, *(pk for pk in self.by_pk if pk not in seen)]

    def _reads(self, computed: Computed) -> Iterator[tuple[str, set[Node]]]:
        """Each definition with those it reads."""
        for name, (walk, last) in computed.mirrors.items():
            yield name, self._nodes(walk.places[-1], {last})
        for name, one in computed.aggregations.items():
            yield name, self._nodes({one.target}, one.spec.reads)
        for name, calculation in computed.calculations.items():
            yield name, self._nodes({computed.kind.pk}, self._used(computed, calculation))
        if computed.team:
            yield TEAM_NAME, self._nodes(computed.team.places[-1], {TEAM_NAME})

    def _nodes(self, pks: Iterable[int], names: Iterable[str]) -> set[Node]:
        """The definitions that these names stand for in these blueprints."""
        found: set[Node] = set()
        for computed in (self.by_pk[pk] for pk in pks):
            known = computed.names | ({TEAM_NAME} if computed.team else set())
            wanted = known if EVERYTHING in names else known.intersection(names)
            found |= {(computed.kind.identifier, name) for name in wanted}
        return found

    def _used(self, computed: Computed, calculation: CalculationSpec) -> set[str]:
        """What a calculation may read of what else is computed for the same entity.

        Other calculations are not part of what it is given.
        """
        given = {*computed.mirrors, *computed.aggregations}
        words = calculation.words
        used = given if EVERYTHING in words else given & words
        reads_team = computed.team and words & {EVERYTHING, "team"}
        return used | ({TEAM_NAME} if reads_team else set())

    def _note_loose(self, computed: Computed) -> None:
        computed.loose |= {n for n, one in computed.aggregations.items() if one.spec.is_loose}
        for name, calculation in computed.calculations.items():
            if calculation.is_timed or self._used(computed, calculation) & computed.loose:
                computed.loose.add(name)

    def _routes(self) -> Iterator[Route]:
        for pk, computed in self.by_pk.items():
            reads: dict[Walk, set[str]] = defaultdict(set)
            for walk, last in computed.mirrors.values():
                reads[walk].add(last)
            for one in computed.aggregations.values():
                for walk in one.walks:
                    reads[walk] |= one.spec.reads
            if computed.team:
                reads[computed.team].add(TEAM_NAME)
            for walk, names in reads.items():
                yield Route(pk, walk, frozenset(names))


def load_plan() -> Plan:
    """The plan of the blueprints as they are now; one small statement while they stay the same."""
    global _cached
    kinds = load_kinds()
    cached = _cached
    if cached is None or cached.kinds is not kinds:
        cached = _cached = Plan(kinds)
    return cached


_cached: Plan | None = None


def cycle_error(cycle: Sequence[str]) -> InvalidInput:
    told = " → ".join(cycle)
    return InvalidInput(
        f"Computed properties read each other in a circle: {told}",
        hint="Let one of them read a property that is written instead.",
        details={"field": cycle[0], "value": told, "expected": "no circle"},
    )


def _resolved(kind: Kind, kinds: Kinds) -> Computed:
    computed = Computed(kind)
    for name, document in kind.mirrors.items():
        where = f"mirrorProperties.{name}"
        with computed.noting(name):
            computed.mirrors[name] = _mirror(document, where, kind, kinds)
    for name, document in kind.calculations.items():
        where = f"calculationProperties.{name}"
        with computed.noting(name):
            computed.calculations[name] = read_calculation(document, where)
    for name, document in kind.aggregations.items():
        where = f"aggregationProperties.{name}"
        with computed.noting(name):
            computed.aggregations[name] = _aggregation(document, where, kind, kinds)
    if kind.team_path is not None:
        where = "ownership.path"
        with computed.noting(TEAM_NAME):
            steps = read_team_path(kind.team_path, where)
            computed.team = _forward(kind.pk, steps, kinds, where)
    return computed


def _mirror(document: Any, where: str, kind: Kind, kinds: Kinds) -> tuple[Walk, str]:
    spec = read_mirror(document, where)
    return _forward(kind.pk, spec.steps, kinds, f"{where}.path"), spec.last


def _aggregation(document: Any, where: str, kind: Kind, kinds: Kinds) -> Aggregation:
    spec = read_aggregation(document, where)
    target = kinds.pk_of(spec.target)
    if target is None:
        raise InvalidInput.of(f"{where}.target", spec.target, "an existing blueprint")
    if spec.path is not None:
        walks = [_filtered(kind.pk, target, spec, kinds, f"{where}.pathFilter[0]")]
    else:
        walks = list(_chains(kind.pk, target, kinds))
        if not walks:
            raise InvalidInput.of(
                f"{where}.target",
                spec.target,
                f'a blueprint that is tied to "{kind.identifier}" by relations',
            )
    return Aggregation(spec, target, tuple(walks))


def _forward(start: int, steps: Sequence[str], kinds: Kinds, where: str) -> Walk:
    """The way along relations of these names. Raises InvalidInput where one does not exist."""
    hops: list[Hop] = []
    places: list[frozenset[int]] = [frozenset([start])]
    is_many = False
    for step in steps:
        links = kinds.links(places[-1], name=step)
        if not links:
            here = [kinds.by_pk[pk] for pk in places[-1]]
            only = here[0] if len(here) == 1 else None
            expected = (
                f'a relation of blueprint "{only.identifier}" ({", ".join(only.links) or "none"})'
                if only
                else "a relation of some blueprint"
            )
            raise InvalidInput.of(where, ".".join(steps), f'a path in which "{step}" is {expected}')
        hops.append(Hop(tuple(sorted(link.pk for link in links))))
        places.append(frozenset(_targets(links, kinds)))
        is_many |= any(link.many for link in links)
    return Walk(tuple(hops), tuple(places), is_many)


def _targets(links: Iterable[Link], kinds: Kinds) -> set[int]:
    found: set[int] = set()
    for link in links:
        if link.target is None:
            return set(kinds.by_pk)
        if (pk := kinds.pk_of(link.target)) is not None:
            found.add(pk)
    return found


def _filtered(own: int, target: int, spec: AggregationSpec, kinds: Kinds, where: str) -> Walk:
    """The way that a path filter describes: from the entity's blueprint, or from the target."""
    steps = spec.path or ()
    from_own, from_target = kinds.by_pk[own].identifier, spec.target
    if spec.start not in (None, from_own, from_target):
        raise InvalidInput.of(f"{where}.fromBlueprint", spec.start, f"{from_own} or {from_target}")
    error: InvalidInput | None = None
    for start, end in ((own, target), (target, own)):
        if spec.start not in (None, kinds.by_pk[start].identifier):
            continue
        try:
            walk = _forward(start, steps, kinds, f"{where}.path")
        except InvalidInput as one:
            error = error or one
            continue
        if end in walk.places[-1]:
            return walk if start == own else _reversed(walk, own)
    raise error or InvalidInput.of(
        f"{where}.path", ".".join(steps), f'a path between "{from_own}" and "{from_target}"'
    )


def _reversed(walk: Walk, start: int) -> Walk:
    hops = tuple(Hop(hop.links, not hop.is_forward) for hop in walk.hops[::-1])
    return Walk(hops, (frozenset([start]), *walk.places[::-1][1:]), is_many=True)


def _chains(own: int, target: int, kinds: Kinds) -> Iterator[Walk]:
    """All ways from a blueprint to another, along relations or all against them, shortest first.

    None goes through a blueprint twice. A relation that may lead to any kind counts where it ties
    the two directly; in the middle of a chain it would tie everything to everything.
    """
    ahead: Mapping[bool, dict[int, dict[int, list[int]]]] = {True: {}, False: {}}
    for kind in kinds:
        for link in kind.links.values():
            other = kinds.pk_of(link.target) if link.target else None
            for source, to in ((kind.pk, other),) if other is not None else _any(kind, own, target):
                ahead[True].setdefault(source, {}).setdefault(to, []).append(link.pk)
                ahead[False].setdefault(to, {}).setdefault(source, []).append(link.pk)
    found = 0
    waiting: list[tuple[bool, tuple[int, ...], tuple[Hop, ...]]] = [
        (True, (own,), ()),
        (False, (own,), ()),
    ]
    while waiting and found < MAX_CHAINS:  # or some more, of the same length
        is_forward, places, hops = waiting.pop(0)
        for to, links in ahead[is_forward].get(places[-1], {}).items():
            longer = (*hops, Hop(tuple(sorted(set(links))), is_forward))
            if to == target:
                found += 1
                ends = tuple(frozenset([pk]) for pk in (*places, to))
                yield Walk(longer, ends, is_many=True)
            elif to not in places and len(longer) < MAX_CHAIN:
                waiting.append((is_forward, (*places, to), longer))


def _any(kind: Kind, own: int, target: int) -> list[tuple[int, int]]:
    """The two ends that a relation to any kind may tie together here."""
    return [(kind.pk, end) for end, other in ((own, target), (target, own)) if kind.pk == other]
