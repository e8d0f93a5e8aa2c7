"""What forges (GitHub, GitLab) share: how their lists are walked, their answers and events read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from catalog.kernel.errors import InvalidInput, UpstreamError, UpstreamUnavailable, shorten
from catalog.kernel.source import Page

Item = dict[str, Any]
Pages = Callable[[Any], Iterator[Page]]

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


# --- answers and events -----------------------------------------------------------------------


def graphql_data(answer: Any, url: str) -> Item:
    """The `data` of an answer. Raises UpstreamError with what the forge says is wrong."""
    data = answer.get("data") if isinstance(answer, dict) else None
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if errors or not isinstance(data, dict):
        said = "; ".join(str(one.get("message")) for one in (errors or [])[:3])
        raise UpstreamError(
            f"POST {url} answered: {shorten(said or 'nothing', 300)}",
            details={"status": 200, "url": url},
        )
    return data


@contextmanager
def understood(event: str, vendor: str) -> Iterator[None]:
    """Raises InvalidInput where a live event lacks what is read from it inside."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"The event {event} lacks what such an event says: {error}",
            hint=f"Was it sent by {vendor} itself?",
            details={"event": event},
        ) from error


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
class Refusals:
    """The objects that could not be looked into. Kept in cursors, so bounded.

    read: how many could be. said: the first of those that could not, with the reason.
    """

    count: int = 0
    read: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def is_hopeless(self) -> bool:
        """Nothing but refusals, and enough of them."""
        return self.count >= _HOPELESS_FROM and not self.read

    def add(self, name: str, error: UpstreamError) -> None:
        self.count += 1
        if len(self.said) < _NAMED_LIMIT:
            self.said.append(f"{name}: {shorten(error.message, 300)}")

    def error(self, what: str) -> UpstreamError:
        """what: the objects in words. Told at the end, so that nothing is taken for gone."""
        more = self.count - len(self.said)
        return UpstreamError(
            f"{self.count} of the {what} could not be read: {'; '.join(self.said)}"
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
    refused = Refusals(*(state.get("refused") or (0, 0, [])))
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
                    if refused.is_hopeless:
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


def _place(parents: Any, parent: str | None, children: Any, refused: Refusals) -> Item:
    return {
        "parents": parents,
        "parent": parent,
        "children": children,
        "refused": [refused.count, refused.read, list(refused.said)],
    }


def concerns_all(error: UpstreamError) -> bool:
    """Whether what went wrong with one object would go wrong with all others too."""
    return isinstance(error, UpstreamUnavailable) or error.details.get("status") in (None, 401)
