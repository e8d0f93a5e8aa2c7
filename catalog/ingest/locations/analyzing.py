"""What is there to be registered in a repository?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from catalog.dialects.backstage.formats import is_name
from catalog.dialects.backstage.reader import URL, FileMissing, Reader
from catalog.dialects.backstage.reading import read_file
from catalog.ingest.locations.reader import PlaceReader
from catalog.ingest.locations.scm import Forge, RepoPath
from catalog.ingest.locations.validating import is_custom_kind
from catalog.kernel.errors import InvalidRequest, shorten
from catalog.models import Location, LocationFile

FILE_NAME: Final = "catalog-info.yaml"
MAX_FILES: Final = 50
MAX_BYTES: Final = 1024 * 1024  # of one file
_SLUGS: Final = {"github": "github.com/project-slug", "gitlab": "gitlab.com/project-slug"}


@dataclass(slots=True)
class Analysis:
    """existing: entities of files that are there ({"location", "isRegistered", "entity"});
    generated: what could be written where there are none ({"entity", "fields"})."""

    existing: list[dict[str, Any]] = field(default_factory=list)
    generated: list[dict[str, Any]] = field(default_factory=list)


def analyze(target: str, *, file_name: str = FILE_NAME) -> Analysis:
    """Search a repository for descriptors, where a GitHub or GitLab source covers its host.

    Raises InvalidRequest for what is no address of a repository, FileRefused where the repository
    cannot be searched.
    """
    target = target.rstrip("/").removesuffix(".git")
    project = _project(target)
    with PlaceReader() as reader:
        forge = reader.forges.of(target)
        known = forge or reader.forges.public(target)
        at = known.parse(target) if known else None
        if forge and at and (found := list(_existing(forge, at, file_name, reader))):
            return Analysis(existing=found)
    slug = _SLUGS.get(known.kind, "") if known and at else ""
    return Analysis(generated=[_generated(at.project if at else project, slug)])


def _project(target: str) -> str:
    """The path of an address, which is the repository's where we know no better."""
    try:
        split = urlsplit(target)
        is_url = split.scheme in ("http", "https") and bool(split.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise InvalidRequest("The given location.target is not a URL")
    project = unquote(split.path).strip("/")
    if not project:
        raise InvalidRequest("The given location.target is not the address of a repository")
    return project


def _existing(
    forge: Forge, at: RepoPath, file_name: str, reader: Reader
) -> Iterator[dict[str, Any]]:
    """The entities of all files of that name, as the catalogue would take them."""
    ref = at.ref or forge.default_branch(at.project)
    try:
        entries = list(forge.list_tree(at.project, ref, f"**/{file_name}"))
    except FileMissing:
        if at.ref:
            raise
        return  # a repository in which nothing was committed yet
    paths = sorted(one.path for one in entries if not one.is_folder)[:MAX_FILES]
    addresses = {path: _address(forge, at, ref, path) for path in paths}
    registered = _registered(list(addresses.values()))
    for path, address in addresses.items():
        read = forge.read(at.project, ref, path, max_bytes=MAX_BYTES)
        if read is None:
            continue
        place = f"{URL}:{address}"
        content = read_file(place, read.content, reader=reader, is_custom_kind=is_custom_kind)
        for candidate in content.candidates:
            yield {
                "location": {"type": URL, "target": address},
                "isRegistered": address in registered,
                "entity": candidate.entity,
            }


def _address(forge: Forge, at: RepoPath, ref: str, path: str) -> str:
    return forge.address(RepoPath(at.host, at.project, ref, path, quote(f"{ref}/{path}")), "blob")


def _registered(addresses: list[str]) -> set[str]:
    """Those that are read already, by themselves or because a location leads to them."""
    roots = Location.objects.filter(type=URL, target__in=addresses).values_list("target", flat=True)
    places = [f"{URL}:{one}" for one in addresses]
    files = LocationFile.objects.filter(place__in=places).values_list("place", flat=True)
    return {*roots, *(one.removeprefix(f"{URL}:") for one in files)}


def _generated(project: str, slug: str) -> dict[str, Any]:
    """A first descriptor for a repository. slug: the annotation that names it."""
    name = project.rpartition("/")[2]
    metadata: dict[str, Any] = {"name": name if is_name(name) else _as_name(name)}
    if slug:
        metadata["annotations"] = {slug: shorten(project, 300)}
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": metadata,
        "spec": {"type": "other", "lifecycle": "unknown"},
    }
    return {"entity": entity, "fields": []}


def _as_name(text: str) -> str:
    """The nearest name that an entity may have."""
    kept = "".join(one if is_name(one) or one in "-_." else "-" for one in text)[:63]
    return kept.strip("-_.") or "component"
