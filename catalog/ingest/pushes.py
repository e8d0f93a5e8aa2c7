"""What a push to GitHub or GitLab says of places: which files changed, came or went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from catalog.ingest.locations import due
from catalog.ingest.locations.forges import RAW_GITHUB
from catalog.ingest.sources.github.events import body_of
from catalog.ingest.techdocs import refresh as techdocs
from catalog.kernel.errors import InvalidInput
from catalog.kernel.source import Event

KINDS: Final = ("github", "gitlab")
MAX_FILES: Final = 3000  # of one push; of a larger one the whole repository counts as changed
_FORMS: Final = {
    "github": ("blob", "tree", "raw", "edit"),
    "gitlab": ("-/blob", "-/tree", "-/raw", "-/edit", "blob", "tree", "raw"),
}


@dataclass(frozen=True, slots=True)
class Push:
    """places: of the files that it names, in every form an address of them may have. below: how
    the places of all files begin, where it does not name every file."""

    places: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


def heed(kind: str, event: Event) -> int:
    """Have the locations and docs read soon that a live event concerns; returns how many
    locations."""
    push = read(kind, event)
    if push is None:
        return 0
    techdocs.hurry(push.places, below=push.below)
    return due.refresh_places(push.places, below=push.below)


def read(kind: str, event: Event) -> Push | None:
    """The push that an event tells of; None for any other event, and for what is none."""
    try:
        if kind == "github" and event.headers.get("x-github-event") == "push":
            body = body_of(event)
            repository = body["repository"]
            web, is_all_named = repository["html_url"], not body.get("forced")
            default = repository.get("default_branch")
        elif kind == "gitlab" and event.headers.get("x-gitlab-event") == "Push Hook":
            body = orjson.loads(event.body)
            project, commits = body["project"], body.get("commits") or ()
            web, is_all_named = (
                project["web_url"],
                body.get("total_commits_count", 0) <= len(commits),
            )
            default = project.get("default_branch")
        else:
            return None
        return _push(kind, str(web).rstrip("/"), body, default, is_all_named)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInput):
        return None  # what is wrong with it, its source says


def _push(kind: str, web: str, body: Mapping[str, Any], default: Any, is_all_named: bool) -> Push:
    reference = str(body["ref"])
    branch = reference.removeprefix("refs/heads/")
    if branch == reference and not reference.startswith("refs/tags/"):
        return Push()
    names = [branch.removeprefix("refs/tags/"), reference]
    if branch == default:
        names.append("HEAD")
    starts = [start for name in names for start in _starts(kind, web, name)]
    paths = {
        path
        for commit in body.get("commits") or ()
        for group in ("added", "modified", "removed")
        for path in commit.get(group) or ()
        if isinstance(path, str)
    }
    if not is_all_named or not paths or len(paths) > MAX_FILES:
        return Push(below=tuple(starts))
    written = {one for path in paths for one in (path, quote(path))}
    return Push(places=tuple(start + path for start in starts for path in sorted(written)))


def _starts(kind: str, web: str, name: str) -> Iterator[str]:
    """What stands in a place before the path of a file, on a branch or tag."""
    at = quote(name)
    for form in _FORMS[kind]:
        yield f"url:{web}/{form}/{at}/"
    split = urlsplit(web)
    if split.netloc == "github.com":
        yield f"url:{RAW_GITHUB}{split.path}/{at}/"
