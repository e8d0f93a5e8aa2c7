"""Blueprints for Backstage's kinds, made when a kind is first imported."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from catalog.dialects.backstage.kinds import KINDS
from catalog.dialects.backstage.mapping import RelationShape, blueprint_of
from catalog.kernel.yaml_reader import load_document
from catalog.models import TEAM, USER
from catalog.services.shapes import load_shapes

Document = dict[str, Any]

_OWNED = {"type": "Direct"}


def default_blueprints(kinds: set[str]) -> dict[str, Document]:
    """Documents for these kinds and for all that their relations lead to, by identifier.

    A kind that Backstage does not know gets the usual fields of a kind. `Group` and `User` are
    not among them: the system has these.
    """
    known = _defaults()
    custom = {blueprint_of(kind): custom_blueprint(kind) for kind in kinds if kind not in KINDS}
    documents = {**custom, **known}
    needed: dict[str, Document] = {}
    waiting = sorted({blueprint_of(kind) for kind in kinds} & documents.keys(), reverse=True)
    while waiting:
        identifier = waiting.pop()
        if identifier not in needed:
            needed[identifier] = deepcopy(documents[identifier])
            targets = {one["target"] for one in documents[identifier]["relations"].values()}
            waiting.extend(sorted(targets & documents.keys(), reverse=True))
    return needed


def custom_blueprint(kind: str) -> Document:
    """A blueprint for a kind that Backstage does not know."""
    base = _defaults()["component"]
    relations = {**_defaults()["system"]["relations"], **base["relations"]}
    usual = ("owner", "system", "domain", "dependsOn", "dependencyOf")
    return {
        "identifier": blueprint_of(kind),
        "title": re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", kind),
        "icon": "Blueprint",
        "description": f"Entities of kind {kind}.",
        "schema": deepcopy(base["schema"]),
        "relations": {name: deepcopy(relations[name]) for name in usual},
        "ownership": _OWNED,
    }


def system_properties() -> dict[str, Document]:
    """What the blueprints of users and teams need besides their own properties."""
    properties = _defaults()["domain"]["schema"]["properties"]
    names = ("tags", "links", "labels", "annotations", "namespace")
    return {
        identifier: {name: deepcopy(properties[name]) for name in names}
        for identifier in (USER, TEAM)
    }


@cache
def _defaults() -> dict[str, Document]:
    path = Path(__file__).with_name("blueprints.yaml")
    documents: dict[str, Document] = load_document(path.read_bytes(), name=path.name)
    for identifier, document in documents.items():
        document["identifier"] = identifier
        document.setdefault("relations", {})
        if "owner" in document["relations"]:
            document["ownership"] = _OWNED
    return documents


def relation_shapes() -> dict[str, dict[str, RelationShape]]:
    """The relations of all blueprints, by blueprint and name, as the dialect looks at them."""
    return {
        identifier: {
            name: RelationShape(definition.target, definition.many)
            for name, definition in shape.definitions.items()
        }
        for identifier, shape in load_shapes().items()
    }
