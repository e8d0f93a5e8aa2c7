"""Descriptors of Backstage (`catalog-info.yaml`) in folders and repositories.

They are entities already, so no mapping is needed: the dialect maps them. What vanishes from the
files becomes stale, as with every source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings as django_settings

from catalog.dialects.backstage.files import FileReader, Workspace
from catalog.dialects.backstage.reader import Reader
from catalog.dialects.backstage.reading import location_of
from catalog.dialects.imports import Imported, ImportOptions, import_files
from catalog.ingest.locations.reader import PlaceReader
from catalog.ingest.sources.git import REPOSITORY_SETTINGS, checkout_of, name_of
from catalog.kernel.errors import InvalidInput, UpstreamError
from catalog.kernel.git import Checkout
from catalog.kernel.source import (
    Connection,
    ImportContext,
    Page,
    ResourceKind,
    Seen,
    SourceKind,
)


class BackstageFiles(SourceKind):
    name = "backstage-files"
    title = "Backstage files"
    icon = "Backstage"
    description = "catalog-info.yaml files in folders of this server or in Git repositories."
    settings_schema = {
        "type": "object",
        "properties": {
            "paths": {
                "type": "array",
                "items": {"type": "string"},
                "title": "Folders and files",
                "description": "On this server, inside the folders that IDP_FILES opens.",
            },
            **REPOSITORY_SETTINGS,
            "createKinds": {
                "type": "boolean",
                "title": "Make blueprints for kinds that Backstage does not know",
                "default": False,
            },
            "strict": {
                "type": "boolean",
                "title": "As Backstage does it: a file with one broken document is out as a whole",
                "default": False,
            },
        },
        "additionalProperties": False,
    }
    resources = ()
    imports = True

    def check(self, connection: Connection) -> Sequence[str]:
        found = [f"{path} can be read." for path in _opened(connection.settings)]
        for url in connection.settings.get("repositories") or ():
            with checkout_of(connection, url):
                found.append(f"{name_of(url)} can be read.")
        if not found:
            raise InvalidInput(
                "There is nothing to read; expected a folder or a repository",
                details={"field": "settings.paths", "expected": "a folder or a repository"},
            )
        return found

    def import_entities(self, connection: Connection, context: ImportContext) -> None:
        settings = connection.settings
        paths = _opened(settings)
        if paths:
            with ExitStack() as readers:
                _import(
                    context,
                    settings,
                    paths,
                    roots=_roots(),
                    reader=lambda workspace: readers.enter_context(PlaceReader(workspace)),
                )
        for url in settings.get("repositories") or ():
            with checkout_of(connection, url) as checkout:
                _import(
                    context,
                    settings,
                    [checkout.folder],
                    roots=(checkout.folder,),
                    location=_address_in(url, checkout),
                )

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        raise UpstreamError("Descriptors are not mapped; this source lists no objects")

    def blueprints(self) -> Sequence[Any]:
        return ()

    def mapping(self) -> Any:
        return {"resources": []}

    def samples(self) -> Mapping[str, Sequence[Any]]:
        return {}


def _import(
    context: ImportContext,
    settings: Mapping[str, Any],
    paths: Sequence[Path],
    *,
    roots: tuple[Path, ...],
    location: Callable[[Path], str] | None = None,
    reader: Callable[[Workspace], Reader] = FileReader,
) -> None:
    """Import what lies below `paths`. reader: of a folder of the operator's also addresses may be
    read; not of a repository, whose authors could then see others with our tokens."""
    options = ImportOptions(
        dry_run=context.is_dry_run,
        strict=bool(settings.get("strict")),
        create_kinds=bool(settings.get("createKinds")),
        roots=roots,
        run=context.run,
        location=location or location_of,
        reader=reader,
    )
    result = import_files(
        [str(path) for path in paths],
        actor=context.actor,
        options=options,
        saw=lambda batch: context.saw([_seen(one) for one in batch]),
    )
    for report in result.journal.rejected:
        for finding in report.findings:
            context.report(
                "error",
                finding.message,
                blueprint=report.blueprint,
                identifier=report.entity,
                field=finding.field,
                details={
                    "file": _place(report.file, paths, location),
                    "line": finding.line,
                    "expected": finding.expected,
                    "hint": finding.hint,
                },
            )


def _seen(one: Imported) -> Seen:
    return Seen(one.blueprint, one.identifier, one.status, one.pk)


def _place(file: str, paths: Sequence[Path], location: Callable[[Path], str] | None) -> str:
    """A file of a checkout by its address: its folder is gone when somebody reads this."""
    path = Path(file).resolve()
    if location and any(path.is_relative_to(root.resolve()) for root in paths):
        return location(path).removeprefix("url:")
    return file


def _address_in(url: str, checkout: Checkout) -> Callable[[Path], str]:
    """Where a file of the checkout is seen in a browser, as GitHub, GitLab and Gitea write it."""
    root = checkout.folder.resolve()
    base = url.removesuffix(".git").rstrip("/")
    at = quote(checkout.branch or checkout.commit, safe="/")

    def location(file: Path) -> str:
        return f"url:{base}/blob/{at}/{quote(file.resolve().relative_to(root).as_posix())}"

    return location


def _roots() -> tuple[Path, ...]:
    return tuple(Path(one).resolve() for one in django_settings.IDP_FILES)


def _opened(settings: Mapping[str, Any]) -> list[Path]:
    """The folders and files of the settings. Raises InvalidInput for what the operator did not
    open: whoever may add a source could otherwise read any file of the server."""
    found = []
    for number, text in enumerate(settings.get("paths") or ()):
        path = Path(text).resolve()
        if not any(path.is_relative_to(root) for root in _roots()):
            raise InvalidInput(
                f"{text} is outside the folders that sources may read",
                hint="The operator names them in IDP_FILES.",
                details={
                    "field": f"settings.paths.{number}",
                    "value": text,
                    "expected": "a path inside a folder of IDP_FILES",
                },
            )
        if not path.exists():
            raise UpstreamError(f"There is no file or folder {text}")
        found.append(path)
    return found
