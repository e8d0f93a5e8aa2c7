"""Git: the files of repositories on any server that speaks HTTPS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from catalog.ingest.sources.defaults import BundledKind
from catalog.ingest.sources.repository_files import MAX_FILE_BYTES, content_of, glob
from catalog.kernel.git import Checkout, checked_out
from catalog.kernel.source import Connection, Page, ResourceKind

PAGE_SIZE: Final = 100

# What a source of repositories needs to read them.
REPOSITORY_SETTINGS: Final[Mapping[str, Any]] = {
    "repositories": {
        "type": "array",
        "items": {"type": "string", "format": "url"},
        "title": "Repositories",
        "description": "Their https addresses, as one clones them.",
    },
    "branch": {
        "type": "string",
        "title": "Branch",
        "description": "Empty: the main branch of each.",
    },
    "username": {
        "type": "string",
        "title": "User name",
        "description": "Where the server wants one beside the token.",
    },
    "token": {"type": "string", "title": "Token", "secret": True},
}


class Git(BundledKind):
    """Items: a `file` is {"path", "name", "content", "repository": {"url", "name", "branch",
    "commit"}}, its content parsed where it is JSON or YAML (a list, where a YAML file holds
    several documents) and text otherwise. A `repository` is what a file says of its own, and
    {"files": how many}.
    """

    name = "git"
    title = "Git"
    icon = "Git"
    description = "Files of repositories: YAML and JSON as data, anything else as text."
    settings_schema = {
        "type": "object",
        "properties": {
            **REPOSITORY_SETTINGS,
            "repositories": {**REPOSITORY_SETTINGS["repositories"], "minItems": 1},
        },
        "required": ["repositories"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind(
            "file",
            "Files",
            '.repository.name + "/" + .path',
            selector={
                "path": {
                    "type": "array",
                    "items": {"type": "string"},
                    "title": "Paths",
                    "description": "Like services/*/service.yaml or **/*.json; ** is any depth.",
                },
            },
        ),
        ResourceKind("repository", "Repositories", ".name"),
    )

    def check(self, connection: Connection) -> Sequence[str]:
        found = []
        for url in connection.settings["repositories"]:
            with checkout_of(connection, url) as checkout:
                where = f"branch {checkout.branch}" if checkout.branch else "a commit"
                found.append(f"{name_of(url)} can be read ({where}, {checkout.commit[:10]}).")
        return found

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        """A cursor is the number of a repository; a resumed list starts that one again."""
        urls = connection.settings["repositories"]
        for at in range(cursor or 0, len(urls)):
            with checkout_of(connection, urls[at]) as checkout:
                repository = {
                    "url": urls[at],
                    "name": name_of(urls[at]),
                    "branch": checkout.branch,
                    "commit": checkout.commit,
                }
                if resource.name == "repository":
                    count = sum(1 for _ in paths_of(checkout.folder))
                    yield Page([{**repository, "files": count}], at)
                else:
                    for items in _pages(connection, checkout, repository, selector):
                        yield Page(items, at)
            yield Page([], at + 1 if at + 1 < len(urls) else None)


def checkout_of(connection: Connection, url: str) -> Any:
    """`checked_out` with what the settings say."""
    settings = connection.settings
    return checked_out(
        url,
        branch=settings.get("branch") or "",
        username=settings.get("username") or "",
        token=settings.get("token") or "",
    )


def name_of(url: str) -> str:
    """`owner/name` of https://host/owner/name.git."""
    return urlsplit(url).path.strip("/").removesuffix(".git")


def paths_of(folder: Path) -> Iterator[PurePosixPath]:
    """The files of a working tree, in order; links (which are not made) and .git left out."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] != ".git" and path.is_file() and not path.is_symlink():
            yield PurePosixPath(relative)


def _pages(
    connection: Connection,
    checkout: Checkout,
    repository: Mapping[str, Any],
    selector: Mapping[str, Any],
) -> Iterator[list[dict[str, Any]]]:
    patterns = selector.get("path") or ["**/*.yaml", "**/*.yml", "**/*.json"]
    wanted = [glob(one) for one in ([patterns] if isinstance(patterns, str) else patterns)]
    items: list[dict[str, Any]] = []
    for path in paths_of(checkout.folder):
        if not any(pattern.fullmatch(str(path)) for pattern in wanted):
            continue
        item = _item(connection, checkout.folder, path, repository)
        if item is not None:
            items.append(item)
        if len(items) == PAGE_SIZE:
            yield items
            items = []
    yield items


def _item(
    connection: Connection, folder: Path, path: PurePosixPath, repository: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The file as an item; None for one that is too big, with a word about it in the log."""
    file = folder / path
    place = f"{repository['name']}/{path}"
    if file.stat().st_size > MAX_FILE_BYTES:
        connection.log("warning", f"{place} has more than {MAX_FILE_BYTES:,} bytes: left out")
        return None
    return {
        "path": str(path),
        "name": path.name,
        "content": content_of(str(path), file.read_bytes()),
        "repository": repository,
    }
