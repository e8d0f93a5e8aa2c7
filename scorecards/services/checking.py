"""What is wrong, or looks wrong, with a scorecard, before it is saved and while it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from django.utils import timezone

from catalog.kernel.errors import InvalidInput
from catalog.selectors.kinds import Kind, Kinds, load_kinds
from catalog.selectors.search.rules import META_PROPERTIES
from scorecards.definition import Definition, Filter, RuleSpec
from scorecards.rules.compiling import check_filter, check_rule

MAX_WRITTEN: Final = 200_000  # characters of CQL and JQ: what takes seconds to compile
MAX_REMARKS: Final = 100  # what is near to a name takes a while to find


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that may be saved, and is likely not what was meant. rule: its identifier."""

    field: str
    message: str
    rule: str = ""

    def as_dict(self) -> dict[str, str]:
        told = {"field": self.field, "message": self.message}
        return {**told, "rule": self.rule} if self.rule else told


@dataclass(slots=True)
class Findings:
    """errors: why it cannot be saved. problems: by identifier of a rule, why it cannot be evaluated
    and has no data. remarks: the problems among them.
    """

    errors: list[InvalidInput] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def remark(self, problem: Remark) -> None:
        """Add a problem, unless there is none, or its place has a remark that says more of it."""
        is_told = any(f"{one.field}.".startswith(f"{problem.field}.") for one in self.remarks)
        if problem.message and not is_told:
            self.remarks.append(problem)


def findings_of(definition: Definition) -> Findings:
    """All that can be said of a definition whose shape was checked."""
    kinds, now, found = load_kinds(), timezone.now(), Findings()
    written = [rule.expression for rule in definition.rules if isinstance(rule.expression, str)]
    if (size := sum(map(len, written))) > MAX_WRITTEN:
        told = f"{size:,} characters of expressions"
        found.errors.append(InvalidInput.of("rules", told, f"at most {MAX_WRITTEN:,}"))
        return found
    found.remarks += islice(_remarks(definition, kinds), MAX_REMARKS)
    try:
        scope = check_filter(definition.filter, kinds, now, field="filter")
        found.remark(Remark("filter", scope.problem))
    except InvalidInput as error:
        found.errors.append(error)
    for index, rule in enumerate(definition.rules):
        place = f"rules.{index}"
        try:
            compiled = check_rule(rule, kinds, now, field=place)
        except InvalidInput as error:
            found.errors.append(error)
            continue
        if compiled.problem:
            found.problems[rule.identifier] = compiled.problem
            found.remark(Remark(place, compiled.problem, rule.identifier))
    return found


def problems_of(definition: Definition) -> dict[str, str]:
    """By identifier of a rule, why it cannot be evaluated. Raises InvalidInput, naming the rule and
    the position, for what no catalogue could answer.
    """
    found = findings_of(definition)
    if found.errors:
        raise found.errors[0]
    return found.problems


def warnings_of(definition: Definition) -> list[Remark]:
    """What may be saved, and is likely not what was meant: unknown blueprints, properties,
    relations and functions, levels that cannot be reached.
    """
    return findings_of(definition).remarks


def _remarks(definition: Definition, kinds: Kinds) -> Iterator[Remark]:
    kind = kinds.get(definition.blueprint) if definition.blueprint else None
    if definition.blueprint and kind is None:
        yield Remark("blueprint", _unknown("blueprint", definition.blueprint, _names(kinds)))
    yield from _of_filter(definition.filter, "filter", kind, kinds)
    for index, rule in enumerate(definition.rules):
        yield from _of_rule(rule, f"rules.{index}", kind, kinds)
    if not definition.is_lenient and definition.has_levels:
        led_to = {rule.level for rule in definition.rules if rule.weight}
        for level in definition.levels[1:]:
            if level.title not in led_to:
                yield Remark(
                    "ladder.levels",
                    f"No rule that counts leads to {level.title}: it cannot be reached, "
                    "nor can those above it",
                )
                return


def _of_rule(rule: RuleSpec, place: str, kind: Kind | None, kinds: Kinds) -> Iterator[Remark]:
    if isinstance(rule.expression, Mapping):
        yield from _of_conditions(
            rule.expression, f"{place}.query", kind, kinds, rule=rule.identifier
        )
    if rule.filter:
        yield from _of_filter(rule.filter, f"{place}.filter", kind, kinds, rule=rule.identifier)


def _of_filter(
    filter: Filter, place: str, kind: Kind | None, kinds: Kinds, *, rule: str = ""
) -> Iterator[Remark]:
    for type in (*filter.types, *filter.types_excluded):
        if kinds.get(type) is None and kinds.get(f"_{type}") is None:
            yield Remark(f"{place}.types", _unknown("type", type, _names(kinds)), rule)
    if filter.conditions:
        yield from _of_conditions(filter.conditions, place, kind, kinds, rule=rule)


def _of_conditions(
    query: Mapping[str, Any], place: str, kind: Kind | None, kinds: Kinds, *, rule: str
) -> Iterator[Remark]:
    """Names that its blueprint, or no blueprint, has."""
    meant = [kind] if kind else list(kinds)
    properties = {name for one in meant for name in (*one.properties, *one.computed)}
    relations = {name for one in meant for name in one.links}
    for index, condition in enumerate(query["conditions"]):
        for word, known in (
            ("property", properties | set(META_PROPERTIES)),
            ("relation", relations),
        ):
            name = condition.get(word)
            if isinstance(name, str) and name not in known:
                yield Remark(f"{place}.conditions.{index}", _unknown(word, name, known), rule)


def _unknown(word: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=3)
    hint = f"; is it {' or '.join(near)}?" if near else ""
    return f'There is no {word} "{name}"{hint}'


def _names(kinds: Kinds) -> list[str]:
    return [kind.identifier for kind in kinds]
