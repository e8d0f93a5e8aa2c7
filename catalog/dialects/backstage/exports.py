"""Entities back into `catalog-info.yaml` files, which an import reads to the same catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from catalog.dialects.backstage.blueprints import relation_shapes
from catalog.dialects.backstage.documents import Document, Facts, document_of, kind_of
from catalog.dialects.backstage.mapping import ref_of
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE, RefError, parse_ref
from catalog.kernel.yaml_writer import write_yaml, write_yaml_documents
from catalog.models import TEAM, USER, Entity, EntityQuerySet

ROOT = "catalog-info.yaml"
BATCH = 500

_COLUMNS = ("blueprint__identifier", "identifier", "title", "team")
_WHOLE = ("properties", "relations", "descriptor")


class Layout(StrEnum):
    """How a catalogue is laid out in files: one for each entity, one for each system with all
    that is part of it (the rest by kind), or all in one."""

    ENTITY = "entity"
    SYSTEM = "system"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Part:
    """Some documents of a file; a file may come in several parts, which belong one behind the
    other. path: relative, below the folder of the export."""

    path: str
    text: str
    documents: int = 1


def descriptor_of(entity: Entity) -> str:
    """One entity as the text of a `catalog-info.yaml`; needs `blueprint` loaded."""
    relations = relation_shapes().get(entity.blueprint.identifier, {})
    facts = Facts(
        entity.blueprint.identifier,
        entity.identifier,
        entity.title,
        entity.team,
        entity.properties,
        entity.relations,
        entity.descriptor,
    )
    return write_yaml(document_of(facts, relations))


def export(
    entities: EntityQuerySet, *, layout: Layout = Layout.ENTITY, kinds: Sequence[str] = ()
) -> Iterator[Part]:
    """The entities, batch by batch, and at last a Location that names the files.

    kinds: only these kinds or blueprints; empty means all. Left out are Locations, which say where
    files are and not what there is, and the platform's own entities but for users and teams.
    """
    wanted = {kind.lower() for kind in kinds}
    shapes = relation_shapes()
    names = [
        name
        for name in shapes
        if (name in (TEAM, USER) or not name.startswith("_"))
        and name != "location"
        and (not wanted or {name.lower(), kind_of(name).lower()} & wanted)
    ]
    rows = (
        entities.filter(blueprint__identifier__in=names)
        .order_by("blueprint__identifier", "identifier")
        .values_list(*_COLUMNS, *_WHOLE)
    )
    paths: dict[str, None] = {}
    batch: dict[str, list[Document]] = {}
    for number, row in enumerate(rows.iterator(chunk_size=BATCH), start=1):
        document = document_of(Facts(*row), shapes[row[0]])
        batch.setdefault(_path(document, layout), []).append(document)
        if number % BATCH == 0:
            yield from _parts(batch)
            paths |= dict.fromkeys(batch)
            batch.clear()
    yield from _parts(batch)
    paths |= dict.fromkeys(batch)
    if layout is not Layout.SINGLE:
        yield Part(ROOT, write_yaml(_root(sorted(paths))))


def _parts(batch: Mapping[str, list[Document]]) -> Iterator[Part]:
    for path, documents in batch.items():
        yield Part(path, write_yaml_documents(documents), len(documents))


def _path(document: Document, layout: Layout) -> str:
    ref = ref_of(document)
    kind, namespace, name = ref.kind.lower(), _folder(ref.namespace), _folder(ref.name)
    if layout is Layout.SINGLE:
        return ROOT
    if layout is Layout.ENTITY:
        return f"{kind}/{namespace}/{name}.yaml"
    if kind == "system":
        return f"systems/{namespace}/{name}.yaml"
    try:
        system = parse_ref(
            document.get("spec", {}).get("system"),
            default_kind="System",
            default_namespace=ref.namespace,
        )
    except RefError:
        return f"{kind}.yaml"
    return f"systems/{_folder(system.namespace)}/{_folder(system.name)}.yaml"


def _folder(name: str) -> str:
    """A name as one step of a path; what a reference leads to may be called anything."""
    step = re.sub(r"[^a-z0-9._@+-]+", "-", name.lower()).strip(".")
    return step or "-"


def _root(paths: Sequence[str]) -> Document:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": "catalog", "namespace": DEFAULT_NAMESPACE},
        "spec": {"targets": [f"./{PurePosixPath(path)}" for path in paths]},
    }
