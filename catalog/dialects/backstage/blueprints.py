"""Blueprints for Backstage's kinds, made when a kind is first imported."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from catalog.dialects.backstage.mapping import TEAM, USER, blueprint_of
from catalog.kernel.yaml_reader import load_document

Document = dict[str, Any]

_OWNED = {"type": "Direct"}


def default_blueprints(kinds: set[str]) -> dict[str, Document]:
    """Documents for these kinds and for all that their relations lead to, by identifier.

    `Group` and `User` are not among them: the system has these.
    """
    defaults = _defaults()
    needed: dict[str, Document] = {}
    waiting = sorted({blueprint_of(kind) for kind in kinds} & defaults.keys(), reverse=True)
    while waiting:
        identifier = waiting.pop()
        if identifier in needed:
            continue
        needed[identifier] = deepcopy(defaults[identifier])
        targets = {one["target"] for one in defaults[identifier]["relations"].values()}
        waiting.extend(sorted(targets & defaults.keys(), reverse=True))
    return needed


def custom_blueprint(kind: str) -> Document:
    """A blueprint for a kind that Backstage does not know, with the usual fields of a kind."""
    base = _defaults()["component"]
    usual = ("owner", "system", "domain", "dependsOn", "dependencyOf")
    relations = {**_defaults()["system"]["relations"], **base["relations"]}
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
