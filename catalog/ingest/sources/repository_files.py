"""Files and folders of repositories: what selectors mean by them, and how they become items."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Final

import orjson
import regex

from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import InvalidInput
from catalog.kernel.source import LiveChange, Page
from catalog.kernel.yaml_reader import YamlError, read_documents

Item = dict[str, Any]

MAX_FILE_BYTES: Final = 1024 * 1024
_FILES_A_PAGE: Final = 25


# --- paths ------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def glob(pattern: str) -> regex.Pattern[str]:
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
        # `re` would try "*a*a*a*a" on a long name in millions of ways; `regex` need not.
        return regex.compile("".join(found), regex.IGNORECASE | regex.DOTALL)
    except regex.error:  # a range that runs backwards
        return regex.compile(re.escape(text), regex.IGNORECASE)


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


def _folders_above(paths: Iterable[str], *, limit: int = 200) -> list[str]:
    """The folders that hold some files, and those above them."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            found["/".join(parts[:depth])] = None
            if len(found) >= limit:  # of one push; the next sync brings what a larger one changed
                return list(found)
    return list(found)


# --- contents ---------------------------------------------------------------------------------


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


# --- repositories -----------------------------------------------------------------------------


class RepositoryFiles(ABC):
    """What a selector means by `files` and `folders` in the repositories of a forge, and reads.

    includes_beside: whether `includedFiles` of a file are those of its folder; otherwise they are
    those of the repository's root.
    """

    includes_beside: ClassVar[bool]

    def __init__(self, selector: Mapping[str, Any], log: Callable[[str, str], None]) -> None:
        self.selector = selector
        self.log = log

    # What a forge has to say

    @staticmethod
    @abstractmethod
    def names(repository: Item) -> Sequence[str]:
        """The full path of a repository ("owner/name"), and what else selectors may call it."""

    @abstractmethod
    def tree(self, repository: Item, reference: str, rules: Sequence[PathRule]) -> Iterator[Item]:
        """The files and folders of a branch, at least those that the rules may mean.

        Entries are {"path", "type": "blob" or "tree"}, with "size" where it is known.
        """

    @abstractmethod
    def read(self, repository: Item, reference: str, path: str) -> tuple[Item, bytes] | None:
        """What is told of a file, and its bytes; None when it is not there, or too large."""

    @abstractmethod
    def shaped_file(
        self, repository: Item, reference: str, path: str, metadata: Item, content: Any
    ) -> Item:
        """The item of a file."""

    @abstractmethod
    def shaped_folder(self, repository: Item, reference: str, entry: Item) -> Item:
        """The item of a folder. entry: of the tree."""

    @abstractmethod
    def bare_metadata(self, reference: str, path: str) -> Item:
        """What may be told of a file that is no longer there."""

    # Lists

    def folder_pages(self, repository: Item, cursor: Any) -> Iterator[Page]:
        found = self._matches(repository, "folders", "tree")
        yield Page([self._folder(repository, at[0], *about) for at, about in found.items()])

    def file_pages(self, repository: Item, cursor: Any) -> Iterator[Page]:
        """The cursor is the place (branch and path) of the last file that was given."""
        wanted = self._matches(repository, "files", "blob")
        places = sorted(wanted)
        if cursor is not None:
            places = [one for one in places if one > tuple(cursor)]
        for start in range(0, len(places), _FILES_A_PAGE):
            part = places[start : start + _FILES_A_PAGE]
            items = [self._file(repository, *place, rule=wanted[place][1]) for place in part]
            is_last = start + _FILES_A_PAGE >= len(places)
            yield Page([one for one in items if one], None if is_last else list(part[-1]))

    def included(self, repository: Item, reference: str, folder: str, paths: Sequence[str]) -> Item:
        """The texts of files beside an object, by the path as it was asked for; None for those
        that are not there."""
        found: Item = {}
        for path in paths:
            full = f"{folder}/{path}".strip("/")
            held = self.read(repository, reference, full) if reference else None
            found[path] = content_of(full, held[1], is_parsed=False) if held else None
        return found

    def too_large(self, repository: Item, path: str) -> None:
        self.log(
            "warning",
            f"{self.names(repository)[0]}: {path} is left out, it has more than "
            f"{MAX_FILE_BYTES // 1024} KiB",
        )

    # Live events

    def pushed(self, kind: str, repository: Item, commits: Sequence[Item]) -> Iterator[LiveChange]:
        """What a push to the default branch did to files or folders that the selector means, as
        they are now. kind: "file" or "folder"."""
        default = repository["default_branch"]
        paths = list(
            dict.fromkeys(
                path
                for commit in commits
                for key in ("added", "modified", "removed")
                for path in commit.get(key) or ()
            )
        )
        if kind == "folder":
            paths = _folders_above(paths)
        meant = [one for one in paths if self.means(self.selector, kind, repository, default, one)]
        read = self._files_at if kind == "file" else self._folders_at
        there = dict(read(repository, meant)) if meant else {}
        for path in meant:
            if path in there:
                yield LiveChange(kind, there[path])
            else:
                yield LiveChange(kind, self._bare(kind, repository, path), is_gone=True)

    @classmethod
    def means(
        cls, selector: Mapping[str, Any], kind: str, repository: Item, reference: Any, path: str
    ) -> bool:
        """Whether a selector's files or folders hold a path of a branch."""
        return any(
            branch == reference and rule.matches(path)
            for rule, branch in cls._rules_for(path_rules(selector.get(f"{kind}s")), repository)
        )

    def _files_at(self, repository: Item, paths: Sequence[str]) -> Iterator[tuple[str, Item]]:
        """Those of `paths` (of the default branch) that are there, with their content."""
        default = repository["default_branch"]
        for rule, reference in self._rules_for(path_rules(self.selector.get("files")), repository):
            for path in paths if reference == default else ():
                if rule.matches(path) and (
                    found := self._file(repository, reference, path, rule=rule)
                ):
                    yield path, found

    def _folders_at(self, repository: Item, paths: Collection[str]) -> Iterator[tuple[str, Item]]:
        """Those of `paths` (of the default branch) that are there."""
        default = repository["default_branch"]
        for (reference, path), about in self._matches(repository, "folders", "tree").items():
            if reference == default and path in paths:
                yield path, self._folder(repository, reference, *about)

    def _bare(self, kind: str, repository: Item, path: str) -> Item:
        default = repository["default_branch"]
        if kind == "file":
            metadata = self.bare_metadata(default, path)
            return self.shaped_file(repository, default, path, metadata, None)
        entry = {"path": path, "name": path.rpartition("/")[2], "type": "tree"}
        return self.shaped_folder(repository, default, entry)

    # Both

    def _folder(self, repository: Item, reference: str, entry: Item, rule: PathRule) -> Item:
        item = self.shaped_folder(repository, reference, entry)
        anywhere = list(self.selector.get("includedFiles") or ())
        if anywhere or rule.included:
            wanted = [*anywhere, *rule.included]
            found = self.included(repository, reference, entry["path"], wanted)
            # What a folder does not have itself, the repository may have for all.
            missing = [one for one in anywhere if found[one] is None]
            item["__includedFiles"] = found | self.included(repository, reference, "", missing)
        return item

    def _file(self, repository: Item, reference: str, path: str, *, rule: PathRule) -> Item | None:
        """One file with its content; None when it is not there, or too large to be read."""
        held = self.read(repository, reference, path)
        if held is None:
            return None
        metadata, raw = held
        content = content_of(path, raw, is_parsed=rule.is_parsed)
        item = self.shaped_file(repository, reference, path, metadata, content)
        if wanted := self.selector.get("includedFiles"):
            folder = path.rpartition("/")[0] if self.includes_beside else ""
            item["__includedFiles"] = self.included(repository, reference, folder, wanted)
        return item

    def _matches(
        self, repository: Item, key: str, kind: str
    ) -> dict[tuple[str, str], tuple[Item, PathRule]]:
        """What the rules mean in a repository: by branch and path, the entry of the tree and the
        rule. kind: "blob" or "tree"."""
        by_branch: dict[str, list[PathRule]] = {}
        for rule, reference in self._rules_for(needed_rules(self.selector, key), repository):
            by_branch.setdefault(reference, []).append(rule)
        found: dict[tuple[str, str], tuple[Item, PathRule]] = {}
        for reference, rules in by_branch.items():
            if kind == "blob":  # a file that is named needs no tree to be found
                named = [one for one in rules if not is_pattern(one.path)]
                rules = [one for one in rules if is_pattern(one.path)]
                for rule in named:
                    path = rule.path.strip("/")
                    found.setdefault((reference, path), ({"path": path, "type": kind}, rule))
            for entry in self.tree(repository, reference, rules) if rules else ():
                fitting = (one for one in rules if one.matches(entry["path"]))
                if entry["type"] == kind and (match := next(fitting, None)):
                    if entry.get("size", 0) > MAX_FILE_BYTES:
                        self.too_large(repository, entry["path"])
                    else:
                        found.setdefault((reference, entry["path"]), (entry, match))
        return found

    @classmethod
    def _rules_for(cls, rules: Sequence[PathRule], repository: Item) -> list[tuple[PathRule, str]]:
        """The rules that concern a repository, each with the branch it reads."""
        names, default = cls.names(repository), repository.get("default_branch") or ""
        owner = names[0].rpartition("/")[0]
        chosen = [(rule, rule.branch_in(owner, names, default)) for rule in rules]
        return [(rule, reference) for rule, reference in chosen if reference]
