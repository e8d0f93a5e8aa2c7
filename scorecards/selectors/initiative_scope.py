"""What an initiative is about: which entities, and which rules they are to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.utils import timezone

from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidInput
from catalog.models import Entity, EntityQuerySet
from catalog.selectors.kinds import load_kinds
from catalog.selectors.search import search
from scorecards.definition import Filter
from scorecards.models import Initiative
from scorecards.rules.compiling import check_filter
from scorecards.selectors.results import Ladder, Rung

MAX_NAMES: Final = 200

_KEYS: Final = ("query", "types", "groups")


@dataclass(frozen=True, slots=True)
class Targets:
    """rungs: the rules to pass, those of levels included, in the scorecard's order. rank: of the
    level to reach; None for none. missing: identifiers of rules that the scorecard has no more.
    """

    rungs: tuple[Rung, ...]
    rank: int | None
    missing: tuple[str, ...] = ()

    @property
    def slots(self) -> list[int]:
        return [one.slot for one in self.rungs]


def targets_of(initiative: Initiative, ladder: Ladder) -> Targets:
    """A level is reached by its rules and those of all levels below it."""
    wanted = set(initiative.rules)
    rank = initiative.rank
    rungs = tuple(
        rung for rung in ladder.rungs if rung.spec.identifier in wanted or _leads_to(rung, rank)
    )
    known = {rung.spec.identifier for rung in ladder.rungs}
    return Targets(rungs, rank, tuple(one for one in initiative.rules if one not in known))


def _leads_to(rung: Rung, rank: int | None) -> bool:
    """A rule of no weight is for information."""
    is_meant = rank is not None and rung.rank is not None and rung.rank <= rank
    return is_meant and rung.spec.weight > 0


def entities_of(filter: Mapping[str, Any] | None) -> EntityQuerySet | None:
    """The entities that fit a filter; None for all. Of another scorecard's, too.

    {"query": a search ({"combinator", "rules"}) or CQL as text, "types": {"include", "exclude"},
    "groups": {"include", "exclude"}}, as an admin would see them. Raises InvalidInput naming the
    field.
    """
    if not filter:
        return None
    unknown = [key for key in filter if key not in (*_KEYS, "kind")]
    if unknown:
        raise InvalidInput.of("filter", unknown[0], f"the keys {', '.join(_KEYS)}")
    query = filter.get("query")
    entities = Entity.objects.all()
    if isinstance(query, Mapping):
        entities = search(query, principal=Insider())
    elif query is not None and not isinstance(query, str):
        raise InvalidInput.of("filter.query", query, "a search, or CQL as text")
    cortex = Filter(
        types=_names(filter, "types", "include"),
        types_excluded=_names(filter, "types", "exclude"),
        groups=_names(filter, "groups", "include"),
        groups_excluded=_names(filter, "groups", "exclude"),
        query=query if isinstance(query, str) else "",
    )
    if cortex != Filter():
        compiled = check_filter(cortex, load_kinds(), timezone.now(), field="filter")
        if compiled.problem:
            raise InvalidInput.of("filter.query", query, f"what can be asked: {compiled.problem}")
        entities = entities.filter(compiled.verdict)
    return entities


def entities_sql(entities: EntityQuerySet) -> tuple[str, tuple[Any, ...]]:
    """A statement for their pks, to stand in a larger one."""
    try:
        return entities.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return "SELECT NULL::bigint WHERE false", ()


def _names(filter: Mapping[str, Any], key: str, side: str) -> tuple[str, ...]:
    part = filter.get(key) or {}
    if not isinstance(part, Mapping):
        raise InvalidInput.of(f"filter.{key}", part, '{"include": […], "exclude": […]}')
    names = part.get(side) or []
    is_good = isinstance(names, list) and all(isinstance(one, str) for one in names)
    if not is_good or len(names) > MAX_NAMES:
        raise InvalidInput.of(f"filter.{key}.{side}", names, f"a list of at most {MAX_NAMES} names")
    return tuple(names)
