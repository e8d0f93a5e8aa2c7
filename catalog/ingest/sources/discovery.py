"""What GitHub's and GitLab's discovery share: descriptors found in repositories become locations.

A run compares what it finds with the locations that the source has. One whose repository was
renamed, or whose branch has another name by now, moves, so that its entities stay what they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import regex

from catalog.ingest.connections import Source, open_source
from catalog.ingest.locations import discovered
from catalog.ingest.ownership import forget_locations
from catalog.ingest.sources.defaults import BundledKind
from catalog.ingest.sources.forges import Refusals, concerns_all
from catalog.ingest.sources.repository_files import Item, PathRule, glob, is_pattern
from catalog.kernel.errors import InvalidInput, UpstreamError, shorten
from catalog.kernel.source import Connection, ImportContext, ResourceKind, Seen
from catalog.models import Integration

_ASKED_FOR_NAME: Final = 200  # that are no longer listed, whether they only have another name
_MATCH_S: Final = 1.0  # for a person's regular expression on one name

SOURCE: Final[Mapping[str, Any]] = {
    "type": "string",
    "title": "Source",
    "description": "Its identifier. Its address and credentials are used, and its live events are "
    "heard, too. Empty: the only one there is.",
}

ALLOW: Final[Mapping[str, Any]] = {
    "type": "array",
    "items": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9]*$"},
    "title": "Guarded kinds that descriptors may bring",
    "description": "Whoever may push to a repository writes its descriptors. So kinds that not "
    "every member may write (User, Group, those with permissions of their own) are refused unless "
    "they stand here.",
}

DESCRIPTORS: Final[Mapping[str, Any]] = {
    "type": "boolean",
    "title": "Descriptors",
    "description": "Off: only people and teams are read; locations found before go.",
    "default": True,
}

RESOURCES: Final = (
    ResourceKind(
        "user",
        "Person",
        ".__identifier",
        description="Someone of the organisation. `__identifier` is the user of the catalogue with "
        "the same e-mail address, where there is one; `__known` is what others say of them.",
    ),
    ResourceKind(
        "team",
        "Team",
        ".__identifier",
        description="With `members` and `parent` as the catalogue calls them.",
    ),
)


class DiscoveryKind(BundledKind):
    """Looks with the address and credentials of another source, and hears its live events."""

    resources = RESOURCES
    imports = True

    @abstractmethod
    def forge(self, connection: Connection) -> AbstractContextManager[Forge]:
        """The forge as the settings say to look into it."""

    def import_entities(self, connection: Connection, context: ImportContext) -> None:
        if self.looks_for_descriptors(connection.settings):
            with self.forge(connection) as forge:
                Discovery(forge, context).whole()

    @staticmethod
    def looks_for_descriptors(settings: Mapping[str, Any]) -> bool:
        return settings.get("descriptors") is not False

    def leader(self, settings: Mapping[str, Any]) -> str:
        return str(settings.get("source") or "")


# --- the source it looks with -----------------------------------------------------------------


@contextmanager
def leading(connection: Connection, kind: str) -> Iterator[Source]:
    """The source whose address and credentials the settings name, ready to be asked.

    Raises InvalidInput where there is none, or several and none is named.
    """
    source = open_source(
        _leader(str(connection.settings.get("source") or ""), kind),
        log=connection.log,
        on_wait=connection.http.on_wait,
    )
    with source.connection.http:
        yield source


def _leader(identifier: str, kind: str) -> Integration:
    there = Integration.objects.filter(kind=kind, runs_here=True).order_by("identifier")
    found = list(there.filter(identifier=identifier) if identifier else there[:2])
    if len(found) == 1:
        return found[0]
    names = list(there.values_list("identifier", flat=True)[:10])
    expected = f"one of: {', '.join(names)}" if names else f"the identifier of a {kind} source"
    if identifier:
        problem = f'There is no {kind} source "{shorten(identifier)}"'
    elif found:
        problem = f"There are several {kind} sources, and the settings do not say which one"
    else:
        problem = f"There is no {kind} source to look with"
    raise InvalidInput(
        f"{problem}; expected {expected}",
        hint="" if names else f"Add a {kind} source first; it needs no schedule.",
        details={"field": "settings.source", "value": identifier, "expected": expected},
    )


# --- what a person wrote ----------------------------------------------------------------------


def pattern(settings: Mapping[str, Any], name: str) -> regex.Pattern[str] | None:
    """A regular expression of the settings; None where there is none. Raises InvalidInput."""
    text = settings.get(name)
    if not text:
        return None
    try:
        return regex.compile(str(text))
    except regex.error as error:
        raise InvalidInput(
            f"{name} is {shorten(text)}, no regular expression: {error}",
            details={
                "field": f"settings.{name}",
                "value": shorten(text),
                "expected": "a regular expression",
            },
        ) from None


def fits(rule: regex.Pattern[str] | None, text: str, *, whole: bool) -> bool:
    """whole: the expression means all of the text, not a part of it."""
    if rule is None:
        return True
    try:
        found = (rule.fullmatch if whole else rule.search)(text, timeout=_MATCH_S)
    except TimeoutError:
        raise InvalidInput(
            f"The regular expression {shorten(rule.pattern)} takes too long for {shorten(text)}"
        ) from None
    return found is not None


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Where descriptors are, in any repository: a path, or a pattern of paths."""

    path: str

    @classmethod
    def of(cls, settings: Mapping[str, Any], name: str) -> Descriptors:
        path = str(settings.get(name) or "catalog-info.yaml").strip().strip("/")
        if not path or ".." in path.split("/"):
            raise InvalidInput.of(f"settings.{name}", path, "a path inside a repository")
        return cls(path)

    @property
    def is_pattern(self) -> bool:
        return is_pattern(self.path)

    @property
    def rule(self) -> PathRule:
        return PathRule(self.path)

    def holds(self, path: str) -> bool:
        if self.is_pattern:
            return glob(self.path).fullmatch(path) is not None
        return path == self.path

    def among(self, entries: Iterable[Item]) -> tuple[str, ...]:
        """The paths that are descriptors, of the entries of a tree."""
        found = (one["path"] for one in entries if one.get("type") == "blob")
        return tuple(sorted({path for path in found if self.holds(path)}))


# --- repositories -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repository:
    """One that is meant, with the descriptors in it. url: its page. branch: the one read."""

    url: str
    branch: str
    paths: tuple[str, ...]


class Forge(ABC):
    """A forge as discovery needs it. between: what stands in the address of a file between the
    page of its repository and the branch."""

    between: str
    is_checked: bool  # descriptors were looked for, and not taken for granted
    allow: Sequence[str]  # kinds that descriptors may bring though not every member may write them

    @abstractmethod
    def pages(self) -> Iterator[Sequence[Repository]]:
        """All repositories that are meant. Raises UpstreamError when it could not be read."""

    @abstractmethod
    def page_now(self, url: str) -> str:
        """The page of a repository that had this one; "" when it is no longer there."""

    def target(self, repository: Repository, path: str) -> str:
        branch = quote(repository.branch, safe="/")
        return f"{repository.url}{self.between}{branch}/{quote(path, safe='/*?[]{}!,')}"

    def page_of(self, target: str) -> str:
        """The page of the repository that a location of ours lies in."""
        return target.partition(self.between)[0]


class Looking:
    """Looks into repositories one by one; those that refuse are left out and told of at the end."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._refused = Refusals()

    def into(self, name: str, look: Callable[[], tuple[str, ...]]) -> tuple[str, ...] | None:
        """What is found in a repository; None when it could not be looked into. Raises what would
        go wrong with all others, too."""
        try:
            found = look()
        except UpstreamError as error:
            if concerns_all(error):
                raise
            self._log("warning", f"{name} is left out: {error.message}")
            self._refused.add(name, error)
            if self._refused.is_hopeless:
                self.conclude()
            return None
        self._refused.read += 1
        return found

    def conclude(self) -> None:
        """Raises UpstreamError if any has refused, so that nothing is taken for gone."""
        if self._refused.count:
            raise self._refused.error("repositories")


# --- from repositories to locations -----------------------------------------------------------


class Discovery:
    """Brings the locations of a source to where a forge says its descriptors are."""

    def __init__(self, forge: Forge, context: ImportContext) -> None:
        self.forge = forge
        self.context = context
        self.integration = Integration.objects.get(pk=context.integration)
        self.known: dict[str, list[str]] = {}
        for target in discovered.targets(self.integration):
            self.known.setdefault(forge.page_of(target), []).append(target)

    def whole(self) -> None:
        """A pass over everything, page by page.

        A repository that was not there before waits for the end while others may turn out to be
        missing: it may be one of them, by another name.
        """
        may_be_renamed = bool(self.known)
        waiting: list[Repository] = []
        for page in self.forge.pages():
            now = [one for one in page if not may_be_renamed or one.url in self.known]
            waiting += [one for one in page if may_be_renamed and one.url not in self.known]
            self._bring(now)
        for start in range(0, len(waiting), discovered.BATCH):
            part = waiting[start : start + discovered.BATCH]
            if start == 0 and self.known:
                self._rename({one.url for one in waiting if one.paths})
            self._bring(part)

    def one(self, url: str, found: Repository | None, former: str = "") -> None:
        """What a live event told of one repository, as it is now; None: it is gone, or not meant.

        former: the page it had before.
        """
        if found is not None and former and former != found.url and former in self.known:
            self.known.setdefault(found.url, []).extend(self.known.pop(former))
        left = list(self.known.get(found.url if found else url, ()))
        if found is not None:
            left = self._bring([found])
        if former and former in self.known:
            left += self.known.pop(former)
        gone = forget_locations(
            self.integration, left, actor=self.context.actor, run=self.context.run
        )
        self.context.saw(gone)

    def _rename(self, new_pages: set[str]) -> None:
        """See whether repositories that are no longer listed are there by other names."""
        for page in list(self.known)[:_ASKED_FOR_NAME] if new_pages else ():
            now = self.forge.page_now(page)
            if now != page and now in new_pages:
                self.known[now] = self.known.pop(page)

    def _bring(self, repositories: Sequence[Repository]) -> list[str]:
        """Have a location for each descriptor; returns former targets that found none."""
        wanted: list[str] = []
        left: list[str] = []
        for one in repositories:
            targets = [self.forge.target(one, path) for path in one.paths]
            wanted += targets
            left += self._moved(one, targets)
        for start in range(0, len(wanted), discovered.BATCH):
            batch = wanted[start : start + discovered.BATCH]
            found = discovered.add(
                self.integration,
                batch,
                is_required=self.forge.is_checked,
                allow=self.forge.allow,
                actor=self.context.actor,
                run=self.context.run,
                dry_run=self.context.is_dry_run,
            )
            self.context.saw(found)
            if self.context.is_dry_run:
                self._foretell(batch, found)
        if not wanted:
            self.context.saw([])  # so that a run can be cancelled here
        return left

    def _moved(self, repository: Repository, targets: Sequence[str]) -> list[str]:
        """Move the locations of a repository whose address is another one now; returns those that
        have gone."""
        former = self.known.pop(repository.url, [])
        new = dict(zip(repository.paths, targets, strict=True))
        for path in [path for path, target in new.items() if target in set(former)]:
            former.remove(new.pop(path))
        left: list[str] = []
        for old in sorted(former, key=lambda one: one.count("/")):
            same = self._same_file(old, repository, new)
            if same is None:
                left.append(old)
                continue
            target = new.pop(same)
            if self.context.is_dry_run:
                self.context.report("info", f"{old} would move to {target}")
            else:
                discovered.move(
                    self.integration,
                    old,
                    target,
                    actor=self.context.actor,
                    run=self.context.run,
                )
        return left

    def _same_file(self, old: str, repository: Repository, among: Iterable[str]) -> str | None:
        """Which of some paths an address means that has another repository name or branch."""
        rest = old.partition(self.forge.between)[2]
        branch = f"{quote(repository.branch, safe='/')}/"
        if rest.startswith(branch):
            path = unquote(rest.removeprefix(branch))
            return path if path in among else None
        # Where a branch ends and a path begins is not to be seen: the longest path it is.
        fitting = [one for one in among if rest.endswith(f"/{quote(one)}")]
        return max(fitting, key=len, default=None)

    def _foretell(self, targets: Sequence[str], found: Sequence[Seen]) -> None:
        for target, one in zip(targets, found, strict=True):
            if one.status == "created":
                self.context.report(
                    "info",
                    f"{target} would be registered",
                    blueprint=one.blueprint,
                    identifier=one.identifier,
                )
