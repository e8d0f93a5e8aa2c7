"""From a valid entity of Backstage to what the catalogue keeps of it.

Kind becomes blueprint, name becomes identifier, both in lower case, since references do not
regard case; the author's own spelling stays in the descriptor and in the title.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.dialects.backstage.kinds import KINDS, RefField
from catalog.dialects.backstage.problems import Path, Problem, describe, dotted
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE, EntityRef, RefError, parse_ref
from catalog.dialects.backstage.validate import ref_values
from catalog.kernel.schema import compile_schema
from catalog.models import TEAM, USER

Key = tuple[str, str]  # blueprint, identifier

_BLUEPRINTS = {"group": TEAM, "user": USER}
_TITLE_MAX = 500  # characters; the descriptor has all of it
_PROPERTY = re.compile(r"[A-Za-z0-9@_=\-]{1,100}")

# Properties that come from elsewhere than `spec`, so that an unknown key there cannot be one.
_FROM_METADATA = ("description", "tags", "links", "labels", "annotations", "namespace")
_FROM_PROFILE = ("displayName", "email", "picture")
_RESERVED = frozenset([*_FROM_METADATA, *_FROM_PROFILE, "status"])

# Programs, not facts: nobody filters by them.
_DESCRIPTOR_ONLY = frozenset(
    [
        "parameters",
        "steps",
        "output",
        "secrets",
        "presentation",
        "formDecorators",
        "EXPERIMENTAL_formDecorators",
        "EXPERIMENTAL_recovery",
    ]
)

# What a kind that Backstage does not know may refer to, in the usual way.
_USUAL_REFS = {
    ref_field.name: ref_field
    for kind in ("Component", "System", "Domain")
    for ref_field in KINDS[kind].refs
}

_FORMATS = {
    "email": (compile_schema({"type": "string", "format": "email"}), "an e-mail address"),
    "picture": (compile_schema({"type": "string", "format": "url"}), "a URL"),
}


@dataclass(frozen=True, slots=True)
class RelationShape:
    """A relation as the blueprint in the catalogue has it. target None: any kind."""

    target: str | None
    many: bool


@dataclass(slots=True)
class Mapped:
    """What the catalogue is to hold; `warnings` tell what only the descriptor keeps, and why."""

    blueprint: str
    identifier: str
    title: str
    team: list[str]
    properties: dict[str, Any]
    relations: dict[str, str | list[str] | None]
    warnings: list[Problem] = field(default_factory=list)


def ref_of(entity: Mapping[str, Any]) -> EntityRef:
    metadata = entity["metadata"]
    return EntityRef(entity["kind"], metadata.get("namespace", DEFAULT_NAMESPACE), metadata["name"])


def blueprint_of(kind: str) -> str:
    """`Group` and `User` are the system's teams and users; any other kind is its own name."""
    kind = kind.lower()
    return _BLUEPRINTS.get(kind, kind)


def identifier_of(ref: EntityRef) -> str:
    """The name, in front of it the namespace where that is not `default`."""
    namespace, name = ref.namespace.lower(), ref.name.lower()
    return name if namespace == DEFAULT_NAMESPACE else f"{namespace}/{name}"


def key_of_ref(ref: EntityRef) -> Key:
    """What the catalogue calls the entity of a reference."""
    return blueprint_of(ref.kind), identifier_of(ref)


def map_entity(entity: Mapping[str, Any], relations: Mapping[str, RelationShape]) -> Mapped:
    """What a valid entity becomes, on a blueprint with these relations.

    A reference that the relation cannot hold stays in the descriptor only, with a warning.
    """
    ref = ref_of(entity)
    mapped = Mapped(
        blueprint=blueprint_of(ref.kind),
        identifier=identifier_of(ref),
        title=_title(entity),
        team=_team(entity, ref),
        properties={},
        relations={},
    )
    fields = ref_fields(ref.kind, relations)
    _add_properties(entity, mapped, {ref_field.name for ref_field in fields})
    for ref_field in fields:
        _add_relation(entity, ref, ref_field, relations, mapped)
    return mapped


def with_own_fields(mapped: Mapped, kind: str) -> Mapped:
    """The same, with every field that `kind` may have and the entity lacks as None.

    So it can be merged into what others say of the entity and still clears what its file no
    longer says; but not the e-mail address of a person, which binds their log-in to the entity.
    """
    properties = {*_FROM_METADATA, *_FROM_PROFILE, "type"}
    if kind == "User":
        properties.discard("email")
    relations = (ref_field.relation_name for ref_field in KINDS[kind].refs)
    return replace(
        mapped,
        properties={**dict.fromkeys(properties), **mapped.properties},
        relations={**dict.fromkeys(relations), **mapped.relations},
    )


def source_path(entity: Mapping[str, Any], target_field: str) -> Path:
    """Where in the entity its author finds what the catalogue calls `properties.x.…` or
    `relations.x`."""
    group, _, rest = target_field.partition(".")
    name = rest.partition(".")[0]
    if group == "relations":
        refs = KINDS[entity["kind"]].refs if entity["kind"] in KINDS else ()
        return ("spec", next((r.name for r in refs if r.relation_name == name), name))
    if group == "properties":
        if name in _FROM_METADATA:
            return ("metadata", name)
        if name in _FROM_PROFILE and entity["kind"] in ("Group", "User"):
            return ("spec", "profile", name)
        return ("spec", name)
    return ("metadata", "name")


def _title(entity: Mapping[str, Any]) -> str:
    metadata = entity["metadata"]
    profile = _profile(entity)
    title = metadata.get("title") or profile.get("displayName") or metadata["name"]
    return str(title)[:_TITLE_MAX]


def _profile(entity: Mapping[str, Any]) -> Mapping[str, Any]:
    if entity["kind"] not in ("Group", "User"):
        return {}
    profile: Mapping[str, Any] = entity["spec"].get("profile", {})
    return profile


def _team(entity: Mapping[str, Any], own: EntityRef) -> list[str]:
    """The owner, where it is a group."""
    try:
        owner = parse_ref(
            entity.get("spec", {}).get("owner"),
            default_kind="Group",
            default_namespace=own.namespace,
        )
    except RefError:
        return []
    return [identifier_of(owner)] if blueprint_of(owner.kind) == TEAM else []


# --- properties -------------------------------------------------------------------------------


def _add_properties(entity: Mapping[str, Any], mapped: Mapped, references: set[str]) -> None:
    metadata, spec = entity["metadata"], entity.get("spec", {})
    properties = mapped.properties
    for name in _FROM_METADATA:
        if metadata.get(name) is not None:
            properties[name] = metadata[name]
    properties.setdefault("namespace", DEFAULT_NAMESPACE)
    profile = _profile(entity)
    for name in _FROM_PROFILE:
        if name not in profile:
            continue
        schema, expected = _FORMATS.get(name, (None, ""))
        if schema is None or schema.is_valid(profile[name]):
            properties[name] = profile[name]
        else:
            path, reason = ("spec", "profile", name), f"it is not {expected}"
            mapped.warnings.append(_kept(path, profile[name], reason, expected))
    for name, value in spec.items():
        if name == "definition" and _is_link(value):
            value = value["url"]
        if (
            value is not None
            and not isinstance(value, dict)
            and name not in _RESERVED
            and name not in _DESCRIPTOR_ONLY
            and name not in references
            and _PROPERTY.fullmatch(name)
        ):
            properties[name] = value


def _is_link(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "url" and "url" in value


# --- relations --------------------------------------------------------------------------------


def ref_fields(kind: str, relations: Mapping[str, RelationShape]) -> list[RefField]:
    """The fields of `spec` with references: those of a built-in kind, and besides them every
    field that bears the name of a relation of the blueprint."""
    fields = list(KINDS[kind].refs) if kind in KINDS else []
    known = {ref_field.relation_name for ref_field in fields}
    for name, shape in relations.items():
        if name in known:
            continue
        if kind not in KINDS and name in _USUAL_REFS:
            fields.append(_USUAL_REFS[name])
        else:
            default_kind = _kind_of(shape.target) if shape.target else None
            fields.append(RefField(name, default_kind, shape.many))
    return fields


def _kind_of(blueprint: str) -> str:
    return {TEAM: "group", USER: "user"}.get(blueprint, blueprint)


def _add_relation(
    entity: Mapping[str, Any],
    own: EntityRef,
    ref_field: RefField,
    relations: Mapping[str, RelationShape],
    mapped: Mapped,
) -> None:
    value = entity.get("spec", {}).get(ref_field.name)
    written = ref_values(value)
    if not written:
        return
    name, shape = ref_field.relation_name, relations.get(ref_field.relation_name)
    if shape is None:
        reason = f'blueprint "{mapped.blueprint}" has no relation "{name}"'
        mapped.warnings.append(
            _kept(("spec", ref_field.name), value, reason, "a relation of the blueprint")
        )
        return
    targets: dict[str, None] = {}
    for index, one in enumerate(written):
        path: Path = ("spec", ref_field.name)
        path = (*path, index) if isinstance(value, list) else path
        try:
            ref = parse_ref(
                one, default_kind=ref_field.default_kind, default_namespace=own.namespace
            )
            target = _target(ref, shape)
            if targets and target not in targets and not shape.many:
                raise RefError(f'relation "{name}" leads to one entity')
        except RefError as error:
            mapped.warnings.append(_kept(path, one, str(error), "a reference that fits"))
        else:
            targets[target] = None
    if targets:
        mapped.relations[name] = list(targets) if shape.many else next(iter(targets))


def _target(ref: EntityRef, shape: RelationShape) -> str:
    """How the relation writes the target. Raises RefError when it cannot lead there."""
    if "/" in ref.name:  # our identifier would mean another entity
        raise RefError("no entity can have such a name")
    blueprint = blueprint_of(ref.kind)
    if shape.target is None:
        return f"{blueprint}:{identifier_of(ref)}"
    if shape.target != blueprint:
        raise RefError(f"this relation leads to entities of kind {_kind_of(shape.target)} only")
    return identifier_of(ref)


def _kept(path: Path, value: Any, reason: str, expected: str) -> Problem:
    said = describe(value)
    message = f"{dotted(path)}: {said} is kept in the descriptor only: {reason}"
    return Problem(path, message, expected, said)
