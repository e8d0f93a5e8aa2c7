"""What forges (GitHub, GitLab) share: lists inside lists, globs of paths, contents of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import InvalidInput, UpstreamError, UpstreamUnavailable, shorten
from catalog.kernel.source import Page
from catalog.kernel.yaml_reader import YamlError, read_documents

Item = dict[str, Any]
Pages = Callable[[Any], Iterator[Page]]

MAX_FILE_BYTES: Final = 1024 * 1024
_COUNTED_UP_TO: Final = 100
_NAMED_LIMIT: Final = 3
_HOPELESS_FROM: Final = 10


# --- addresses --------------------------------------------------------------------------------


def path_of(address: str) -> str:
    """Path and query of an address: all that a cursor keeps of a link to the next page.

    Servers behind a proxy link to a name of their own, and a token must go to no other host than
    the one that was configured.
    """
    parts = urlsplit(address)
    return urlunsplit(("", "", parts.path, parts.query, ""))


def origin_of(address: str) -> str:
    """`https://host[:port]` of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


# --- what can be read -------------------------------------------------------------------------


def readable(pages: Iterable[Page], key: str, *, one: str, many: str) -> str:
    """A sentence on what the first pages of a list hold ("2 projects can be read: a/b, a/c.")."""
    seen, has_more = [], False
    for page in pages:
        seen += [str(item[key]) for item in page.items]
        has_more = page.next is not None
        if len(seen) >= _COUNTED_UP_TO:
            break
    if not seen:
        return f"No {one} can be seen with these settings."
    count = f"{len(seen)}{' or more' if has_more else ''} {one if len(seen) == 1 else many}"
    rest = ", …" if len(seen) > _NAMED_LIMIT else "."
    return f"{count} can be read: {', '.join(seen[:_NAMED_LIMIT])}{rest}"


# --- lists after lists ------------------------------------------------------------------------


def chained(lists: Sequence[Pages], cursor: Any, takes: Callable[[Item], bool]) -> Iterator[Page]:
    """One list after the other, of what is taken. The cursor is {"list": which, "at": where}."""
    place: Mapping[str, Any] = cursor or {}
    at = place.get("at")
    for number in range(int(place.get("list") or 0), len(lists)):
        is_last = number + 1 == len(lists)
        for page in lists[number](at):
            if page.next is not None:
                following: Any = {"list": number, "at": page.next}
            else:
                following = None if is_last else {"list": number + 1, "at": None}
            yield Page([one for one in page.items if takes(one)], following)
        at = None


# --- lists inside lists -----------------------------------------------------------------------


@dataclass(slots=True)
class _Refusals:
    """The parents whose list could not be read. Kept in cursors, so bounded."""

    count: int = 0
    read: int = 0
    said: list[str] = field(default_factory=list)

    def add(self, parent: str, error: UpstreamError) -> None:
        self.count += 1
        if len(self.said) < _NAMED_LIMIT:
            self.said.append(f"{parent}: {shorten(error.message, 300)}")

    def error(self, what: str) -> UpstreamError:
        more = self.count - len(self.said)
        return UpstreamError(
            f"{self.count} {what} could not be read: {'; '.join(self.said)}"
            + (f"; and {more} more" if more else ""),
            hint="The rest was read. Nothing is taken as deleted after such a pass.",
        )


def nested(
    parents: Pages,
    children: Callable[[Item, Any], Iterator[Page]],
    *,
    key: Callable[[Item], str],
    is_absent: Callable[[Item, UpstreamError], str],
    log: Callable[[str, str], None],
    what: str,
    cursor: Any = None,
) -> Iterator[Page]:
    """The children of all parents, page by page, resumable in the midst of a parent's.

    is_absent: why a refused list means that there is nothing to list (then it is skipped), or ""
    when it does not: then the other parents are still read, and the error is raised at the end.
    what: the parents in words, for that error. Errors that concern everyone are raised at once.
    """
    state: Mapping[str, Any] = cursor or {}
    refused = _Refusals(*(state.get("refused") or (0, 0, [])))
    here, start, inner = state.get("parents"), state.get("parent"), state.get("children")
    for page in parents(here):
        items = _from(page.items, key, start)
        if start is not None and (not items or key(items[0]) != start):
            inner = None  # it is no longer there: begin this page anew, which does no harm
        for position, parent in enumerate(items):
            name = key(parent)
            after = key(items[position + 1]) if position + 1 < len(items) else None
            is_last = after is None and page.next is None
            try:
                for below in children(parent, inner):
                    yield Page(
                        below.items,
                        None
                        if below.next is None and is_last
                        else _place(here, name, below.next, refused)
                        if below.next is not None
                        else _place(here if after else page.next, after, None, refused),
                    )
                refused.read += 1
            except UpstreamError as error:
                if concerns_all(error):
                    raise
                if reason := is_absent(parent, error):
                    log("debug", f"{name}: {reason}")
                    refused.read += 1
                else:
                    log("warning", f"{name} is left out: {error.message}")
                    refused.add(name, error)
                    if refused.count >= _HOPELESS_FROM and not refused.read:
                        raise refused.error(what) from error
            inner = None
        here, start = page.next, None
    if refused.count:
        raise refused.error(what)


def _from(items: Sequence[Item], key: Callable[[Item], str], start: str | None) -> Sequence[Item]:
    for position, item in enumerate(items) if start is not None else ():
        if key(item) == start:
            return items[position:]
    return items


def _place(parents: Any, parent: str | None, children: Any, refused: _Refusals) -> Item:
    return {
        "parents": parents,
        "parent": parent,
        "children": children,
        "refused": [refused.count, refused.read, list(refused.said)],
    }


def concerns_all(error: UpstreamError) -> bool:
    """Whether what went wrong with one object would go wrong with all others too."""
    return isinstance(error, UpstreamUnavailable) or error.details.get("status") in (None, 401)


# --- paths ------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def glob(pattern: str) -> re.Pattern[str]:
    """A path pattern, matched by `fullmatch`: `*` and `?` stay within a folder, `**` does not;
    `[ab]` and `{a,b}` choose. Case does not matter, nor does a leading or closing slash.

    Brackets that do not close, or hold no choice, mean themselves.
    """
    text = re.sub(r"\*{3,}", "**", pattern.strip("/").removeprefix("./"))
    found, position = [], 0
    while position < len(text):
        piece = _GLOB_PIECE.match(text, position)
        if piece is None:
            raise ValueError(f"No piece at {position} of {text!r}")  # the last one takes any sign
        position = piece.end()
        found.append(_regex_of(piece[0]))
    try:
        return re.compile("".join(found), re.IGNORECASE | re.DOTALL)
    except re.error:  # a range that runs backwards
        return re.compile(re.escape(text), re.IGNORECASE)


_GLOB_PIECE = re.compile(r"(?:\*\*/)+|\*+|\?|\[!?[^\]/\[]+\]|\{[^{}*?\[\]]*\}|.", re.DOTALL)


def _regex_of(piece: str) -> str:
    if piece.startswith("**/"):
        return "(?:[^/]+/)*"
    if piece == "**":
        return ".*"
    if piece == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) > 2 and piece[0] == "[":
        negated = piece[1] == "!"
        inner = piece[2 if negated else 1 : -1].replace("\\", "\\\\").replace("^", "\\^")
        return f"[{'^/' if negated else ''}{inner}]"
    if len(piece) > 1 and piece[0] == "{":
        return f"(?:{'|'.join(re.escape(one) for one in piece[1:-1].split(','))})"
    return re.escape(piece)


def is_pattern(path: str) -> bool:
    return any(sign in path for sign in "*?[{")


def fixed_part(pattern: str) -> str:
    """The folder below which all matches of a pattern lie; "" for the root."""
    parts = pattern.strip("/").split("/")[:-1]
    depth = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts))
    return "/".join(parts[:depth])


@dataclass(frozen=True, slots=True)
class PathRule:
    """One entry of a selector's `files` or `folders`.

    branches: the branch to read by the repository's name in lower case, "" for its default one;
    empty when all repositories are meant.
    """

    path: str
    owner: str = ""
    branches: Mapping[str, str] = field(default_factory=dict)
    is_parsed: bool = True
    included: tuple[str, ...] = ()

    def branch_in(self, owner: str, names: Iterable[str], default: str) -> str | None:
        """Which branch to read in a repository of these names; None when it is not meant."""
        if self.owner and self.owner.lower() != owner.lower():
            return None
        if not self.branches:
            return default
        for name in names:
            if (branch := self.branches.get(name.lower())) is not None:
                return branch or default
        return None

    def matches(self, path: str) -> bool:
        return glob(self.path).fullmatch(path) is not None


def path_rules(entries: Any) -> list[PathRule]:
    """The rules of a selector: a list of {path, organization, repos, skipParsing,
    includedFiles}, or one. `repos` holds names or {name, branch}. An entry without a path is
    none."""
    found = []
    for entry in entries if isinstance(entries, list) else [entries]:
        path = entry.get("path") if isinstance(entry, dict) else entry
        if not isinstance(path, str) or not path:
            continue
        said: Item = entry if isinstance(entry, dict) else {}
        branches = {}
        for repo in said.get("repos") or ():
            name = repo.get("name") if isinstance(repo, dict) else repo
            if isinstance(name, str):
                branch = repo.get("branch") if isinstance(repo, dict) else ""
                branches[name.lower()] = str(branch or "")
        found.append(
            PathRule(
                path=path,
                owner=str(said.get("organization") or ""),
                branches=branches,
                is_parsed=not is_on(said, "skipParsing"),
                included=tuple(map(str, said.get("includedFiles") or ())),
            )
        )
    return found


def needed_rules(selector: Mapping[str, Any], key: str) -> list[PathRule]:
    """The rules under `key` ("files", "folders"). Raises InvalidInput when there are none."""
    rules = path_rules(selector.get(key))
    if not rules:
        example = "**/catalog-info.yaml" if key == "files" else "services/*"
        raise InvalidInput(
            f"The selector does not say which {key} to read",
            hint=f'For example {{"{key}": [{{"path": "{example}"}}]}}.',
            details={"field": f"selector.{key}"},
        )
    return rules


def folders_above(paths: Iterable[str], *, limit: int = 200) -> list[str]:
    """The folders that hold some files, and those above them."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            found["/".join(parts[:depth])] = None
            if len(found) >= limit:  # of one push; the next sync brings what a larger one changed
                return list(found)
    return list(found)


# --- files ------------------------------------------------------------------------------------


def content_of(path: str, raw: bytes, *, is_parsed: bool = True) -> Any:
    """What a file says: JSON and YAML by its name as values, anything else as text.

    A YAML file of several documents is the list of them. A file that does not parse is its text.
    """
    text = raw.decode("utf-8", "replace").replace("\0", "")
    if not is_parsed:
        return text
    suffix = path.lower().rpartition(".")[2]
    if suffix == "json":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    if suffix in ("yaml", "yml"):
        return _yaml(path, text)
    return text


def _yaml(path: str, text: str) -> Any:
    try:
        documents = list(read_documents(text, name=path, strict=True))
    except YamlError:
        return text
    values = [one.value for one in documents if one.value is not None]
    return values[0] if len(values) == 1 else values or None
