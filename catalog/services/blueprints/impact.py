"""What a change of a blueprint does to the entities that are there already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db.models import Count

from catalog.kernel.errors import BreakingChange
from catalog.kernel.schema import Problem
from catalog.models import Blueprint, EntityQuerySet, Relation
from catalog.services.blueprint_spec import BlueprintSpec
from catalog.services.blueprints.documents import relations_of
from catalog.services.shapes import compiled

EXAMPLES = 5
_MAX_PROBLEMS = 1000  # of one entity: each of its properties should be among them
_MAX_TOLD = 5  # effects in the message; the details have them all


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing a blueprint change does to existing entities.

    path: the property or relation. count: how many entities; examples: the identifiers of the
    first few. is_breaking: the change is refused unless forced.
    """

    kind: str
    path: str
    message: str
    count: int
    examples: tuple[str, ...]
    is_breaking: bool = True


@dataclass(frozen=True, slots=True)
class Impact:
    effects: tuple[Effect, ...] = field(default=())

    @property
    def is_breaking(self) -> bool:
        return any(effect.is_breaking for effect in self.effects)

    def as_dict(self) -> dict[str, Any]:
        return {"breaking": self.is_breaking, "effects": [asdict(e) for e in self.effects]}

    def refusal(self, identifier: str) -> BreakingChange:
        breaking = [effect for effect in self.effects if effect.is_breaking]
        told = "; ".join(
            f'"{e.path}": {e.count} entities ({", ".join(e.examples)}): {e.message}'
            for e in breaking[:_MAX_TOLD]
        )
        more = f"; and {len(breaking) - _MAX_TOLD} more" if len(breaking) > _MAX_TOLD else ""
        return BreakingChange(
            f'The change of blueprint "{identifier}" breaks existing entities: {told}{more}',
            hint="Mend these entities first, or force the change (force=true).",
            details={"impact": self.as_dict()},
        )


def impact_of(blueprint: Blueprint, spec: BlueprintSpec) -> Impact:
    return Impact(
        (
            *_schema_effects(blueprint, spec),
            *_removed_property_effects(blueprint, spec),
            *_relation_effects(blueprint, spec),
        )
    )


@dataclass(slots=True)
class _Found:
    message: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


def _schema_effects(blueprint: Blueprint, spec: BlueprintSpec) -> Iterator[Effect]:
    """Properties that fit the old schema and would not fit the new one."""
    old, new = compiled(blueprint.schema), compiled(spec.schema)
    if old is new:
        return
    found: dict[tuple[str, str], _Found] = {}
    stored = blueprint.entities.order_by("pk").values_list("identifier", "properties")
    for identifier, properties in stored.iterator(chunk_size=2000):
        if new.is_valid(properties):
            continue
        known = {_place(p) for p in old.problems(properties, limit=_MAX_PROBLEMS)}
        for place, problem in _by_place(new.problems(properties, limit=_MAX_PROBLEMS)).items():
            if place not in known:
                one = found.setdefault(place, _Found(problem.message))
                one.count += 1
                if one.count <= EXAMPLES:
                    one.examples.append(identifier)
    for (kind, path), one in found.items():
        yield Effect(kind, path, one.message, one.count, tuple(one.examples))


def _place(problem: Problem) -> tuple[str, str]:
    """(kind of effect, property); the root of an entity has no other problem than a lack."""
    if problem.path:
        return "invalid_values", problem.path.split(".")[0]
    return "missing_values", problem.expected.removeprefix("required: ")


def _by_place(problems: list[Problem]) -> dict[tuple[str, str], Problem]:
    """The first problem of each property."""
    return {_place(problem): problem for problem in reversed(problems)}


def _removed_property_effects(blueprint: Blueprint, spec: BlueprintSpec) -> Iterator[Effect]:
    for name in blueprint.properties:
        if name not in spec.schema["properties"]:
            yield from _effect(
                blueprint.entities.filter(properties__has_key=name),
                "hidden_values",
                name,
                "values stay stored, but are no longer shown",
                is_breaking=False,
            )


def _relation_effects(blueprint: Blueprint, spec: BlueprintSpec) -> Iterator[Effect]:
    old_relations = relations_of(blueprint)
    for name, old in old_relations.items():
        having = blueprint.entities.filter(relations__has_key=name)
        new = spec.relations.get(name)
        if new is None:
            yield from _effect(having, "lost_relations", name, "these relations are removed")
            continue
        # A relation to itself follows a renamed blueprint.
        target = blueprint.identifier if new.target == spec.identifier else new.target
        edges = Relation.objects.filter(
            definition__blueprint=blueprint, definition__identifier=name
        ).order_by()
        if target is not None and old.target is None:
            others = edges.exclude(target_blueprint=target).values("source")
            yield from _effect(
                having.filter(pk__in=others),
                "lost_relations",
                name,
                f"targets that are no {target} are removed",
            )
        elif target is not None and target != old.target:
            yield from _effect(
                having, "retargeted", name, f"these relations will point to {target}"
            )
        if old.many and not new.many:
            several = edges.values("source").annotate(count=Count("pk")).filter(count__gt=1)
            yield from _effect(
                having.filter(pk__in=several.values("source")),
                "too_many",
                name,
                "only the first target is kept",
            )
    for name, new in spec.relations.items():
        if new.required and not (name in old_relations and old_relations[name].required):
            yield from _effect(
                blueprint.entities.exclude(relations__has_key=name),
                "required",
                name,
                "the required relation is missing",
            )


def _effect(
    entities: EntityQuerySet, kind: str, path: str, message: str, *, is_breaking: bool = True
) -> Iterator[Effect]:
    """An effect on these entities, if there are any."""
    examples = tuple(entities.order_by("pk").values_list("identifier", flat=True)[:EXAMPLES])
    if examples:
        yield Effect(kind, path, message, entities.count(), examples, is_breaking)
