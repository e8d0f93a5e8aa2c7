"""Where an entity's documentation is: what its annotations say, as places."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from catalog.dialects.backstage.annotations import LOCATION, SOURCE
from catalog.dialects.backstage.reader import (
    FILE,
    URL,
    FileRefused,
    address_in,
    is_address,
    is_file,
    path_in,
    place_of,
)
from catalog.dialects.backstage.refs import RefError, parse_ref
from catalog.kernel.errors import shorten

TECHDOCS: Final = "backstage.io/techdocs-ref"
TECHDOCS_ENTITY: Final = "backstage.io/techdocs-entity"
TECHDOCS_PATH: Final = "backstage.io/techdocs-entity-path"
ADR: Final = "backstage.io/adr-location"
README: Final = "readme"  # the property that holds the text of one

_GITHUB_SLUG: Final = "github.com/project-slug"
_GITLAB_SLUG: Final = "gitlab.com/project-slug"

DOCS_KEYS: Final = (TECHDOCS, TECHDOCS_ENTITY, ADR)
# The sources of a site that are places, and what names them.
ANNOTATIONS: Final = {"docs": TECHDOCS, "adr": ADR}


@dataclass(frozen=True, slots=True)
class Facts:
    """An entity, as far as its docs are concerned. location: the place of its file, "" where it
    has none. annotations: those of its author; catalogue: those that the catalogue adds."""

    kind: str
    namespace: str
    name: str
    title: str = ""
    location: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    catalogue: Mapping[str, Any] = field(default_factory=dict)
    readme: str = ""
    url: str = ""


def sources_of(facts: Facts) -> tuple[dict[str, str], dict[str, FileRefused]]:
    """See `DocSite.sources`; empty for an entity without docs. Beside them what is wrong with
    annotations that can mean no place, by the key that the source would have."""
    found: dict[str, str] = {}
    faults: dict[str, FileRefused] = {}
    said = {
        key: facts.annotations[key] for key in (*DOCS_KEYS, TECHDOCS_PATH) if _is_said(facts, key)
    }
    if TECHDOCS_ENTITY in said:
        try:
            ref = parse_ref(
                said[TECHDOCS_ENTITY].strip(),
                default_kind=facts.kind,
                default_namespace=facts.namespace,
            )
        except RefError as error:
            return {}, {"entity": FileRefused(f"{TECHDOCS_ENTITY}: {error}")}
        return {"entity": str(ref), "path": said.get(TECHDOCS_PATH, "").strip("/")}, {}
    if TECHDOCS not in said and facts.readme:
        found["readme"] = facts.readme
    for key, annotation in ANNOTATIONS.items():
        if annotation in said:
            try:
                found[key] = _place(facts, annotation, _target(annotation, said[annotation]))
            except FileRefused as error:
                faults[key] = error
    return found, faults


def base_of(facts: Facts) -> str:
    """The place of the folder that `dir:` starts from; "" where nothing tells."""
    for said in (facts.annotations, facts.catalogue):
        source = said.get(SOURCE)
        if isinstance(source, str) and source.startswith((f"{FILE}:", f"{URL}:")):
            return source
    managed = facts.location or facts.catalogue.get(LOCATION) or ""
    if isinstance(managed, str) and managed.startswith((f"{FILE}:", f"{URL}:")):
        if is_file(managed):
            return place_of(path_in(managed).parent)
        return f"{URL}:{_folder_of(address_in(managed))}"
    for key, host, form in (
        (_GITHUB_SLUG, "https://github.com", "tree/HEAD/"),
        (_GITLAB_SLUG, "https://gitlab.com", "-/tree/HEAD/"),
    ):
        slug = facts.annotations.get(key)
        if isinstance(slug, str) and slug.count("/") >= 1:
            return f"{URL}:{host}/{slug.strip('/')}/{form}"
    return ""


def _is_said(facts: Facts, key: str) -> bool:
    value = facts.annotations.get(key)
    return isinstance(value, str) and bool(value.strip())


def _target(annotation: str, said: str) -> str:
    """Unlike `techdocs-ref`, `adr-location` may name a folder or an address as it is."""
    said = said.strip()
    if annotation != ADR or said.startswith(("dir:", "url:")):
        return said
    return f"{'url' if is_address(said) else 'dir'}:{said}"


def _place(facts: Facts, key: str, said: str) -> str:
    kind, colon, target = said.partition(":")
    if kind == "url" and colon:
        split = urlsplit(target)
        if split.scheme not in ("http", "https") or not split.netloc:
            raise FileRefused(
                f"{key}: {shorten(target)} is no address", hint="url:https://… is meant."
            )
        return f"{URL}:{target.rstrip('/')}/"
    if kind != "dir" or not colon:
        raise FileRefused(
            f"{key}: {shorten(said)} is not understood", hint="dir:. or url:https://… is meant."
        )
    base = base_of(facts)
    if not base:
        raise FileRefused(
            f"{key}: {shorten(said)} is a folder beside the entity's file, and it has none",
            hint=f"Say {SOURCE}, or write url:https://….",
        )
    if is_file(base):
        # what may be read is decided where it is read
        return place_of(Path(posixpath.normpath(posixpath.join(path_in(base), target or "."))))
    return f"{URL}:{_below(address_in(base), target)}"


def _below(address: str, target: str) -> str:
    folder = address if address.endswith("/") else address + "/"
    return urljoin(folder, f"./{target.lstrip('/')}/".replace("//", "/"))


def _folder_of(address: str) -> str:
    """The folder of a file at an address, as a tree where the forges have one."""
    folder = urljoin(address, ".")
    for file, tree in (("/-/blob/", "/-/tree/"), ("/blob/", "/tree/")):
        if file in folder:
            return folder.replace(file, tree, 1)
    return folder
