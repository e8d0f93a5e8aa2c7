"""Mappings at work: raw objects in, bodies of entities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.ingest.mapping.model import EntityTemplate, Leaf, ResourceMapping, build, leaves
from catalog.kernel import jq
from catalog.kernel.errors import shorten

PREVIEW_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class MappedEntity:
    """An entity as the mapping wants it. body: Port's, without the blueprint; its identifier is
    text, or a search ({"combinator", "rules"}), as its team and relations may be. element: the
    place in the item's `itemsToParse`."""

    item_index: int
    blueprint: str
    body: dict[str, Any]
    element: int | None = None


@dataclass(frozen=True, slots=True)
class ItemProblem:
    """Why an item, or a field of it, did not come out. field: "" means the whole item.

    is_nameless: nothing failed, but the mapping gives it no name, so it stands for no entity.
    """

    item_index: int
    field: str
    message: str
    expression: str = ""
    value: str = ""
    element: int | None = None
    is_nameless: bool = False


@dataclass(slots=True)
class MappedBatch:
    """filtered: how many objects (or elements) the query left out. unselected: these, as far as
    they can be named, where they were asked for."""

    entities: list[MappedEntity] = field(default_factory=list)
    filtered: int = 0
    problems: list[ItemProblem] = field(default_factory=list)
    unselected: list[MappedEntity] = field(default_factory=list)


def map_items(
    resource: ResourceMapping,
    items: Sequence[Any],
    *,
    env: AnyMapping[str, str] | None = None,
    with_unselected: bool = False,
) -> MappedBatch:
    """Make entities of `items`. Never raises for what is wrong with an item.

    A field that fails is None and a problem. An entity without identifier or blueprint is left
    out, with a problem. env: what `env` holds; no secrets. with_unselected: also name the entities
    of items that the query leaves out (they may exist from before).
    """
    return _map(resource, items, env, always=with_unselected)


def identify(
    resource: ResourceMapping, items: Sequence[Any], *, env: AnyMapping[str, str] | None = None
) -> MappedBatch:
    """Only name the entities of `items`, which may hold no more than what their names are made
    of: bodies have nothing but the identifier, and the query is not asked."""
    batch = MappedBatch()
    fields = {
        leaf.name: leaf.expression for template in resource.templates for leaf in template.identity
    }
    program = jq.Program(
        fields=fields,
        each=resource.each.expression if resource.each else None,
        each_name=resource.each_name,
        drop=resource.drop,
        env=env or {},
    )
    for index, outcome in enumerate(jq.run(program, items)):
        collector = _Collector(resource, batch, index)
        for element, row in collector.rows(outcome):
            batch.entities += [
                one
                for template in resource.templates
                if (one := collector.entity(template, row, element, only_identity=True))
            ]
    return batch


def _program(
    resource: ResourceMapping, env: AnyMapping[str, str] | None, *, always: bool
) -> jq.Program:
    return jq.Program(
        fields={
            leaf.name: leaf.expression
            for template in resource.templates
            for leaf in template.leaves
        },
        when=resource.query.expression if resource.query else None,
        each=resource.each.expression if resource.each else None,
        each_name=resource.each_name,
        drop=resource.drop,
        always=always,
        env=env or {},
    )


def _map(
    resource: ResourceMapping,
    items: Sequence[Any],
    env: AnyMapping[str, str] | None,
    *,
    always: bool,
) -> MappedBatch:
    batch = MappedBatch()
    for index, outcome in enumerate(jq.run(_program(resource, env, always=always), items)):
        _Collector(resource, batch, index).take(outcome)
    return batch


class _Collector:
    """Turns the outcomes of one item into entities and problems."""

    def __init__(self, resource: ResourceMapping, batch: MappedBatch, index: int) -> None:
        self.resource, self.batch, self.index = resource, batch, index

    def take(self, outcome: jq.Outcome) -> None:
        for element, row in self.rows(outcome):
            if row.when_error:
                self.problem(self.resource.query, row.when_error, element)
            elif not row.selected:
                self.batch.filtered += 1
                self.batch.unselected += self.named(row, element)
            else:
                self.selected(row, element)

    def rows(self, outcome: jq.Outcome) -> Iterator[tuple[int | None, jq.Row]]:
        """The rows to go through; what keeps the others out becomes a problem."""
        if outcome.failure:
            self.problem(None, outcome.failure)
        if outcome.each_error:
            self.problem(self.resource.each, outcome.each_error)
        limit = self.resource.each_limit
        if limit is not None and len(outcome.rows) > limit:
            given = f"gave {len(outcome.rows):,} elements; only the first {limit:,} were taken"
            self.problem(self.resource.each, given)
        for element, row in enumerate(outcome.rows[:limit]):
            yield (element if self.resource.each else None), row

    def named(self, row: jq.Row, element: int | None) -> list[MappedEntity]:
        """What would be made of a row that was left out; one that has no name cannot exist."""
        if not row.values:
            return []
        quiet = _Collector(self.resource, MappedBatch(), self.index)
        return [
            one
            for template in self.resource.templates
            if (one := quiet.entity(template, row, element, only_identity=True))
        ]

    def selected(self, row: jq.Row, element: int | None) -> None:
        for template in self.resource.templates:
            if entity := self.entity(template, row, element):
                self.batch.entities.append(entity)
                for leaf in leaves(template.body):
                    if leaf.name in row.errors:
                        self.problem(leaf, row.errors[leaf.name], element)

    def entity(
        self,
        template: EntityTemplate,
        row: jq.Row,
        element: int | None,
        *,
        only_identity: bool = False,
    ) -> MappedEntity | None:
        """The entity, or None and a problem where it has no name."""
        blueprint = build(template.blueprint, row.values)
        identifier = _as_name(build(template.body["identifier"], row.values))
        if not isinstance(blueprint, str) or not blueprint:
            self.missing("blueprint", leaves(template.blueprint), blueprint, row, element)
            return None
        if not identifier or not isinstance(identifier, str | dict):
            self.missing(
                "identifier", leaves(template.body["identifier"]), identifier, row, element
            )
            return None
        if only_identity:
            return MappedEntity(self.index, blueprint, {"identifier": identifier}, element)
        body = {key: build(part, row.values) for key, part in template.body.items()}
        body["identifier"] = identifier
        if relations := body.get("relations"):
            body["relations"] = {name: _as_name(value) for name, value in relations.items()}
        if template.team_must_be_text and not (isinstance(body.get("team"), str) and body["team"]):
            body.pop("team", None)
        return MappedEntity(self.index, blueprint, body, element)

    def missing(
        self,
        what: str,
        made_of: Sequence[Leaf],
        value: Any,
        row: jq.Row,
        element: int | None,
    ) -> None:
        leaf = next((one for one in made_of if one.name in row.errors), None)
        said = row.errors[leaf.name] if leaf else f"gave {jq.describe(value)}"
        needed = "a blueprint" if what == "blueprint" else "an identifier"
        has_failed = leaf is not None
        leaf = leaf or (made_of[0] if made_of else None)
        self.problem(
            leaf,
            f"{said}; an entity needs {needed}, as text",
            element,
            value,
            name=what,
            is_nameless=not has_failed,
        )

    def problem(
        self,
        leaf: Leaf | None,
        message: str,
        element: int | None = None,
        value: Any = None,
        *,
        name: str = "",
        is_nameless: bool = False,
    ) -> None:
        self.batch.problems.append(
            ItemProblem(
                item_index=self.index,
                field=leaf.name if leaf else name,
                message=message,
                expression=leaf.written if leaf else "",
                value="" if value is None else shorten(value),
                element=element,
                is_nameless=is_nameless,
            )
        )


def _as_name(value: Any) -> Any:
    """A number where a name is due, as its digits; sources number their things."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        return [_as_name(one) for one in value]
    return value


# --- trying a mapping


@dataclass(frozen=True, slots=True)
class FieldPreview:
    """What an expression gave on one object; error: JQ's words, where it gave none."""

    field: str
    expression: str
    value: Any
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RowPreview:
    """selected: None where the query failed, which `fields` shows."""

    element: int | None
    selected: bool | None
    fields: list[FieldPreview]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a mapping makes of one object. rows: with `itemsToParse` one per element, the first
    few; elements: how many there are (None without). entities, problems: as a sync has them."""

    rows: list[RowPreview]
    elements: int | None
    entities: list[MappedEntity]
    problems: list[ItemProblem]
    filtered: int

    @property
    def selected(self) -> bool:
        return any(row.selected for row in self.rows)


def preview(
    resource: ResourceMapping, item: Any, *, env: AnyMapping[str, str] | None = None
) -> Preview:
    """Every step of mapping `item`, also where the query leaves it out."""
    [outcome] = jq.run(_program(resource, env, always=True), [item])
    batch = MappedBatch()
    collector = _Collector(resource, batch, 0)
    if outcome.failure:
        culprits = _culprits(resource, item, env)
        for leaf, failure in culprits:
            collector.problem(leaf, failure)
        if not culprits:
            collector.problem(None, outcome.failure)
    else:
        collector.take(outcome)
    elements = len(outcome.rows) if resource.each and not outcome.failure else None
    if outcome.each_is_null and resource.each:
        collector.problem(resource.each, "gave null: there is nothing to go through")
    return Preview(
        rows=[
            _row(resource, row, n if resource.each else None)
            for n, row in enumerate(outcome.rows[:PREVIEW_ROWS])
        ],
        elements=elements,
        entities=batch.entities,
        problems=batch.problems,
        filtered=batch.filtered,
    )


def _row(resource: ResourceMapping, row: jq.Row, element: int | None) -> RowPreview:
    fields = [
        FieldPreview(leaf.name, leaf.written, row.values[leaf.name], row.errors.get(leaf.name))
        for template in resource.templates
        for leaf in template.leaves
    ]
    if resource.query:
        query = resource.query
        selected = None if row.when_error else row.selected
        fields.insert(0, FieldPreview(query.name, query.written, selected, row.when_error))
    return RowPreview(element, None if row.when_error else row.selected, fields)


def _culprits(
    resource: ResourceMapping, item: Any, env: AnyMapping[str, str] | None
) -> list[tuple[Leaf, str]]:
    """Which expressions take an item's time or memory, found by trying each alone.

    Where they run on the elements of an array, that array is made first, or is to blame.
    """
    found: list[tuple[Leaf, str]] = []
    for leaf in resource.leaves:
        each = resource.each if leaf is not resource.each else None
        program = jq.Program(
            fields={leaf.name: leaf.expression},
            each=each.expression if each else None,
            each_name=resource.each_name,
            drop=resource.drop,
            env=env or {},
        )
        [outcome] = jq.run(program, [item])
        if outcome.failure:
            found.append((leaf, outcome.failure))
            if leaf is resource.each:
                break
        if len(found) >= 3:
            break
    return found
