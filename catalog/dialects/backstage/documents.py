"""From what the catalogue holds back to an entity of Backstage: the inverse of `mapping`.

What came from a descriptor is that descriptor, with what has been changed since written into it.
What was born elsewhere gets the envelope, names and required fields that Backstage asks for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.dialects.backstage import formats
from catalog.dialects.backstage.kinds import BY_LOWER_NAME, KINDS, RefField
from catalog.dialects.backstage.mapping import (
    RelationShape,
    blueprint_of,
    identifier_of,
    key_of_ref,
    map_entity,
    ref_fields,
    ref_of,
    source_path,
)
from catalog.dialects.backstage.placeholders import TOKENS
from catalog.dialects.backstage.problems import Path
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE, EntityRef, RefError, parse_ref
from catalog.dialects.backstage.validate import ref_values
from catalog.models import TEAM, USER

Document = dict[str, Any]
Statement = tuple[str, str, str]  # source reference, type, target reference

NATIVE_API_VERSION: Final = "idp/v1alpha1"  # of kinds that Backstage does not know

_KINDS_OF_SYSTEM = {TEAM: "Group", USER: "User"}

# What a kind requires and a catalogue of one's own need not say.
_FILLED: Mapping[str, Mapping[str, Any]] = {
    "Component": {"type": "other", "lifecycle": "unknown", "owner": "unknown"},
    "API": {"type": "other", "lifecycle": "unknown", "owner": "unknown", "definition": "-"},
    "Resource": {"type": "other", "owner": "unknown"},
    "System": {"owner": "unknown"},
    "Domain": {"owner": "unknown"},
    "Group": {"type": "team", "children": []},
    "User": {"memberOf": []},
    "Template": {"type": "other", "steps": []},
    "AiResource": {"type": "other", "lifecycle": "unknown", "owner": "unknown"},
}

# The relation that a field states, and the same seen from its other end.
_TYPES = {
    "owner": ("ownedBy", "ownerOf"),
    "system": ("partOf", "hasPart"),
    "domain": ("partOf", "hasPart"),
    "subcomponentOf": ("partOf", "hasPart"),
    "subdomainOf": ("partOf", "hasPart"),
    "providesApis": ("providesApi", "apiProvidedBy"),
    "consumesApis": ("consumesApi", "apiConsumedBy"),
    "dependsOn": ("dependsOn", "dependencyOf"),
    "dependencyOf": ("dependencyOf", "dependsOn"),
    "parent": ("childOf", "parentOf"),
    "children": ("parentOf", "childOf"),
    "members": ("hasMember", "memberOf"),
    "memberOf": ("memberOf", "hasMember"),
    "skills": ("hasPart", "partOf"),
    "plugins": ("hasPart", "partOf"),
}

_PROFILE = ("displayName", "email", "picture")
_HASH = 8  # hexadecimal digits
_NAME_MAX = 63


@dataclass(frozen=True, slots=True)
class Facts:
    """An entity as the catalogue stores it (see `Entity`); blueprint by its identifier."""

    blueprint: str
    identifier: str
    title: str | None = None
    team: Sequence[str] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    relations: Mapping[str, Any] = field(default_factory=dict)
    descriptor: Mapping[str, Any] | None = None


def kind_of(blueprint: str) -> str:
    """The kind of a blueprint's entities, spelled as Backstage does: "Component", "Group"; a
    native `k8s_cluster` is a K8sCluster."""
    if known := _KINDS_OF_SYSTEM.get(blueprint) or BY_LOWER_NAME.get(blueprint.lower()):
        return known
    parts = re.findall(r"[A-Za-z0-9]+", blueprint)
    kind = "".join(part[0].upper() + part[1:] for part in parts) or "Thing"
    return (kind if kind[0].isalpha() else f"X{kind}")[:_NAME_MAX]


def entity_ref(blueprint: str, identifier: str) -> EntityRef:
    """The reference of an entity, or of a target that need not be there.

    An identifier that is no name of Backstage becomes one, told from others like it by a hash.
    Identifiers that differ only in capitals have the same reference: to Backstage they are one.
    """
    namespace, slash, name = identifier.partition("/")
    if not slash:
        namespace, name = DEFAULT_NAMESPACE, identifier
    if formats.is_dns_label(namespace) and formats.is_name(name):
        return EntityRef(kind_of(blueprint), namespace, name)
    return EntityRef(kind_of(blueprint), DEFAULT_NAMESPACE, _name_for(identifier))


def ref_of_entity(blueprint: str, identifier: str) -> str:
    """`kind:namespace/name`, lower case."""
    return str(entity_ref(blueprint, identifier))


def document_of(facts: Facts, relations: Mapping[str, RelationShape]) -> Document:
    """The entity as its author would write it: no relations, status, uid, etag or annotations of
    the catalogue. relations: those of its blueprint."""
    if descriptor := _descriptor(facts):
        return _described(facts, descriptor, relations)
    return _native(facts, relations)


def statements_of(
    document: Mapping[str, Any], facts: Facts, relations: Mapping[str, RelationShape]
) -> list[Statement]:
    """The relations that an entity states, each in both directions, distinct and in order.

    document: its `document_of`. A reference that cannot be understood states nothing.
    """
    own = ref_of(document)
    owners: set[str] = set()  # as the catalogue calls teams
    found: dict[Statement, None] = {}

    def state(name: str, target: str) -> None:
        here, there = _TYPES.get(name, (name, f"{name}Of"))
        found[(str(own), here, target)] = None
        found[(target, there, str(own))] = None

    for ref_field in ref_fields(own.kind, relations):
        if ref_field.name == "owner" and _is_ownerless(facts):
            continue
        for written in ref_values(document.get("spec", {}).get(ref_field.name)):
            try:
                target = parse_ref(
                    written,
                    default_kind=ref_field.default_kind,
                    default_namespace=own.namespace,
                )
            except RefError:
                continue
            state(ref_field.name, str(target))
            if ref_field.name == "owner" and blueprint_of(target.kind) == TEAM:
                owners.add(identifier_of(target))
    if facts.blueprint not in (TEAM, USER):
        for team in facts.team:
            if team not in owners:  # it may be called by what is no name of Backstage
                state("owner", ref_of_entity(TEAM, team))
    return sorted(found)


# --- what came from a descriptor --------------------------------------------------------------


def _descriptor(facts: Facts) -> Mapping[str, Any] | None:
    """The document it came from, if that is one of Backstage; it was checked when it came."""
    descriptor = facts.descriptor
    if descriptor and "kind" in descriptor and isinstance(descriptor.get("metadata"), dict):
        return descriptor
    return None


def _described(
    facts: Facts, descriptor: Mapping[str, Any], relations: Mapping[str, RelationShape]
) -> Document:
    document: Document = deepcopy(dict(descriptor))
    ref = ref_of(document)
    if key_of_ref(ref) != (facts.blueprint, facts.identifier):
        _rename(document, facts)
        ref = ref_of(document)
    mapped = map_entity(document, relations)
    if facts.title is not None and facts.title != mapped.title:
        document["metadata"]["title"] = facts.title
    own_only = facts.blueprint in (TEAM, USER)  # others write there too, what no file says
    for name in _changed(mapped.properties, facts.properties, own_only):
        path = source_path(document, f"properties.{name}")
        if not _is_placeholder(_at(document, path)):
            _put(document, path, facts.properties.get(name))
    for name in _changed(mapped.relations, facts.relations, own_only):
        ref_field = _field_of(name, ref.kind, relations)
        targets = _refs(facts.relations.get(name), relations.get(name), ref_field, ref.namespace)
        _put(document, ("spec", ref_field.name), targets)
    is_owner_same = mapped.relations.get("owner") == facts.relations.get("owner")
    if is_owner_same and facts.team and list(facts.team) != mapped.team:
        _put(document, ("spec", "owner"), ref_of_entity(TEAM, facts.team[0]))
    return document


def _changed(said: Mapping[str, Any], stored: Mapping[str, Any], own_only: bool) -> list[str]:
    names = said if own_only else {**said, **stored}
    return [name for name in names if _value(said.get(name)) != _value(stored.get(name))]


def _value(value: Any) -> Any:
    """For comparison: to Python 1 and True are the same."""
    return (type(value), value) if isinstance(value, bool) else value


def _rename(document: Document, facts: Facts) -> None:
    """The descriptor still has the name that the entity had when it was read."""
    ref = entity_ref(facts.blueprint, facts.identifier)
    if blueprint_of(document["kind"]) != facts.blueprint:
        document["kind"] = ref.kind
    document["metadata"]["name"] = ref.name
    if ref.namespace != document["metadata"].get("namespace", DEFAULT_NAMESPACE):
        document["metadata"]["namespace"] = ref.namespace


def _field_of(relation: str, kind: str, relations: Mapping[str, RelationShape]) -> RefField:
    fields = ref_fields(kind, relations)
    return next((one for one in fields if one.relation_name == relation), RefField(relation, None))


def _at(document: Document, path: Path) -> Any:
    value: Any = document
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _is_placeholder(value: Any) -> bool:
    """One that was not read: its address is what the property holds."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in TOKENS


def _put(document: Document, path: Path, value: Any) -> None:
    """Write a value, or take it away for None."""
    at = document
    for step in path[:-1]:
        at = at.setdefault(str(step), {})
    if value is None:
        at.pop(str(path[-1]), None)
    else:
        at[str(path[-1])] = value


# --- what was born elsewhere ------------------------------------------------------------------


def _native(facts: Facts, relations: Mapping[str, RelationShape]) -> Document:
    ref = entity_ref(facts.blueprint, facts.identifier)
    metadata: Document = {"name": ref.name, "namespace": ref.namespace}
    spec: Document = {}
    if facts.title and facts.title != ref.name:
        metadata["title"] = facts.title
    if ref != EntityRef(ref.kind, *_split(facts.identifier)):
        metadata["annotations"] = {"idp/identifier": facts.identifier}
    profile: Document = {}
    if facts.blueprint in (TEAM, USER):
        profile = {n: facts.properties[n] for n in _PROFILE if facts.properties.get(n)}
        profile.setdefault("displayName", facts.title or ref.name)
    for name, value in facts.properties.items():
        if value is None or name in profile or name == "namespace":
            continue
        if name in _METADATA and _METADATA[name](value):
            metadata[name] = {**value, **metadata[name]} if name in metadata else value
        elif facts.blueprint != USER:  # the rest of a user is how one logs in
            spec[name] = value
    for name, shape in relations.items():
        ref_field = _field_of(name, ref.kind, relations)
        targets = _refs(facts.relations.get(name), shape, ref_field, ref.namespace)
        if targets is not None:
            spec[ref_field.name] = targets
    if profile:
        spec["profile"] = profile
    if facts.team and facts.blueprint not in (TEAM, USER):
        spec.setdefault("owner", _short(TEAM, facts.team[0], "Group", ref.namespace))
    spec = {**_FILLED.get(ref.kind, {}), **spec}
    known = KINDS.get(ref.kind)
    version = known.api_versions[0] if known else NATIVE_API_VERSION
    return {"apiVersion": version, "kind": ref.kind, "metadata": metadata, "spec": spec}


def _split(identifier: str) -> tuple[str, str]:
    namespace, slash, name = identifier.partition("/")
    return (namespace, name) if slash else (DEFAULT_NAMESPACE, identifier)


def _is_ownerless(facts: Facts) -> bool:
    """Its owner, if the document has one, is filled in."""
    return not _descriptor(facts) and not facts.relations.get("owner") and not facts.team


def _name_for(identifier: str) -> str:
    digest = hashlib.sha1(identifier.encode(), usedforsecurity=False).hexdigest()[:_HASH]
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", identifier)[: _NAME_MAX - _HASH - 1].strip("-_.")
    return f"{slug}-{digest}" if slug else digest


# --- references -------------------------------------------------------------------------------


def _refs(
    stored: Any, shape: RelationShape | None, ref_field: RefField, namespace: str
) -> str | list[str] | None:
    """What stands in the file for the stored targets of a relation; None for no target."""
    if shape is None or not stored:
        return None
    many = stored if isinstance(stored, list) else [stored]
    refs = [_ref(one, shape, ref_field, namespace) for one in many]
    return refs if shape.many else refs[0]


def _ref(stored: str, shape: RelationShape, ref_field: RefField, namespace: str) -> str:
    if shape.target is None:
        blueprint, _, identifier = stored.partition(":")
    else:
        blueprint, identifier = shape.target, stored
    return _short(blueprint, identifier, ref_field.default_kind, namespace)


def _short(blueprint: str, identifier: str, default_kind: str | None, namespace: str) -> str:
    """A reference without the parts that go without saying."""
    ref = entity_ref(blueprint, identifier)
    name = ref.name if ref.namespace == namespace else f"{ref.namespace}/{ref.name}"
    is_said = default_kind is not None and ref.kind.lower() == default_kind.lower()
    return name if is_said else f"{ref.kind.lower()}:{name}"


# --- metadata ---------------------------------------------------------------------------------
# Whether Backstage would take the value there; else it stands in `spec`.


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_tags(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(tag) and formats.is_tag(tag) for tag in value)


def _are_labels(value: Any) -> bool:
    return _are_annotations(value) and all(formats.is_label_value(one) for one in value.values())


def _are_annotations(value: Any) -> bool:
    return isinstance(value, dict) and all(
        formats.is_key(key) and _is_text(one) for key, one in value.items()
    )


def _are_links(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(link, dict)
        and _is_text(link.get("url"))
        and formats.is_absolute_url(link["url"])
        and all(link[key] and _is_text(link[key]) for key in _LINK_TEXTS if key in link)
        for link in value
    )


_LINK_TEXTS = ("title", "icon", "type")
_METADATA: Mapping[str, Callable[[Any], bool]] = {
    "description": _is_text,
    "tags": _are_tags,
    "labels": _are_labels,
    "annotations": _are_annotations,
    "links": _are_links,
}


def sort_references(document: Document) -> None:
    """Put the lists of references of `spec` in order, as Backstage's answers have them."""
    spec = document.get("spec", {})
    for name in _SORTED:
        if isinstance(spec.get(name), list) and all(_is_text(one) for one in spec[name]):
            spec[name] = sorted(spec[name])


_SORTED = (
    "providesApis",
    "consumesApis",
    "dependsOn",
    "dependencyOf",
    "memberOf",
    "children",
    "members",
)
