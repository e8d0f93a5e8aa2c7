"""A mapping as it is understood, whichever dialect it was written in."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from catalog.ingest.mapping.expressions import literal

DEFAULT_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Leaf:
    """An expression. name: unique in its resource; what problems call it ("properties.url").
    origin: where it stands in the document. written: as it stands there."""

    name: str
    expression: str
    origin: str
    written: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the document gives as it is."""

    value: Any


Tree = Leaf | Constant | dict[str, "Tree"] | list["Tree"]


def leaves(tree: Tree) -> list[Leaf]:
    if isinstance(tree, Leaf):
        return [tree]
    if isinstance(tree, Constant):
        return []
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def build(tree: Tree, values: AnyMapping[str, Any]) -> Any:
    """The value of `tree`, given those of its leaves by name."""
    if isinstance(tree, Leaf):
        return values[tree.name]
    if isinstance(tree, Constant):
        return tree.value
    if isinstance(tree, dict):
        return {key: build(part, values) for key, part in tree.items()}
    return [build(part, values) for part in tree]


@dataclass(frozen=True, slots=True)
class EntityTemplate:
    """What one entity is made of. body: Port's keys (identifier, title, icon, team, properties,
    relations) that it says anything about. team_must_be_text: any other value is no team."""

    blueprint: Leaf | Constant
    body: dict[str, Tree]
    team_must_be_text: bool = False

    @property
    def identity(self) -> list[Leaf]:
        return [*leaves(self.blueprint), *leaves(self.body["identifier"])]

    @property
    def leaves(self) -> list[Leaf]:
        return [*leaves(self.blueprint), *leaves(self.body)]


@dataclass(frozen=True)
class ResourceMapping:
    """How the objects of one resource kind become entities.

    index, origin: its place in the document. selector: for the source, without `query`. query:
    which objects (None: all). each, each_name, drop: `itemsToParse`, see `jq.Program`. each_limit:
    elements beyond it are left out, and reported. templates: the entities made of one object.
    operation, delete_dependents: what is done with them (of webhooks; else always "upsert").
    """

    index: int
    origin: str
    kind: str
    templates: tuple[EntityTemplate, ...]
    selector: dict[str, Any] = field(default_factory=dict)
    query: Leaf | None = None
    each: Leaf | None = None
    each_name: str = "item"
    each_limit: int | None = None
    drop: str | None = None
    operation: Literal["upsert", "delete"] = "upsert"
    delete_dependents: bool = True
    deletion_threshold: float | None = None  # None: that of the mapping

    @cached_property
    def blueprints(self) -> tuple[str, ...]:
        """The blueprints it certainly writes; those that JQ works out are not among them."""
        known = dict.fromkeys(static_blueprint(one) for one in self.templates)
        return tuple(one for one in known if one is not None)

    @property
    def blueprint(self) -> str | None:
        """The blueprint of all its entities, where the document says it."""
        known = {static_blueprint(one) for one in self.templates}
        return known.pop() if len(known) == 1 else None

    @property
    def leaves(self) -> list[Leaf]:
        parts = [one for one in (self.query, self.each) if one]
        return [*parts, *(leaf for template in self.templates for leaf in template.leaves)]


@dataclass(frozen=True, slots=True)
class Need:
    """A blueprint that a mapping of the simple dialect writes.

    document: to create it with, in Port's shape. missing: {property: its schema} that it lacks,
    where there is one.
    """

    identifier: str
    exists: bool
    document: dict[str, Any]
    missing: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark of the reader: path in the document, level "error" or "warning", message."""

    level: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping.

    create_missing: make up targets of relations that do not exist. delete_dependents: when an
    entity goes, so do those that require it. merge: what the mapping does not say stays.
    deletion_threshold: share (0 to 1) of the known entities above which stale ones are not deleted.
    needs: what the simple dialect expects to find. findings: remarks that stop nothing.
    """

    resources: Sequence[ResourceMapping]
    create_missing: bool = True
    delete_dependents: bool = True
    merge: bool = True
    deletion_threshold: float = DEFAULT_THRESHOLD
    needs: Sequence[Need] = ()
    findings: Sequence[Finding] = ()

    @property
    def deletion_thresholds(self) -> dict[str, float]:
        """Those of kinds that have one of their own; of several of a kind the smallest."""
        found: dict[str, float] = {}
        for one in self.resources:
            if one.deletion_threshold is not None:
                found[one.kind] = min(one.deletion_threshold, found.get(one.kind, 1.0))
        return found


def static_blueprint(template: EntityTemplate) -> str | None:
    if isinstance(template.blueprint, Constant):
        return str(template.blueprint.value)
    return literal(template.blueprint.expression)


def static_fields(resource: ResourceMapping) -> list[str]:
    """What the resource writes: "title", "properties.url", "relations.owner", in order."""
    names: dict[str, None] = {}
    for template in resource.templates:
        for key, part in template.body.items():
            if key in ("properties", "relations") and isinstance(part, dict):
                names.update(dict.fromkeys(f"{key}.{name}" for name in part))
            else:
                names[key] = None
    return list(names)
