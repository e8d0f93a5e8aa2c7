"""What is read of a tool's data: `git.fileExists("README.md")`, `snyk.numOfIssues()`."""

from __future__ import annotations

from typing import Final

from catalog.selectors.sql import Sql
from scorecards.cql.errors import Unsupported, nearest
from scorecards.cql.sources import TOOLS, first_of, tool_data
from scorecards.cql.terms import Term, Type, json_of, jsonb, path
from scorecards.cql.tree import Member, Name, Node
from scorecards.cql.working import Work

# What a tool's function is asked about, where it is given by name: git.codeSearch(query = "…")
_TOPICS: Final = ("query", "path", "name", "key", "jql", "metric")
# What keeps some of the elements of a list.
NARROWING: Final = (
    "lookback",
    "severity",
    "source",
    "status",
    "type",
    "types",
    "environment",
    "environments",
    "priority",
    "state",
)
_COUNTING: Final = "numOf"


def see_tool(work: Work, name: str) -> None:
    tool = TOOLS[name]
    work.seen.sources.add(name)
    work.seen.facts.add(name)
    work.seen.properties.update(tool.properties, tool.relations, ("annotations",))


def tool_member(work: Work, of: Name, node: Member) -> Term:
    """`S.f` of the fact S, or of what the descriptor says."""
    source = TOOLS[of.name]
    work.bound(of)
    is_known = source.members is None or node.name in source.members
    if node.arguments is not None and not is_known:
        close = nearest(node.name, sorted(source.members or ()))
        raise Unsupported(f"{of.name}.{node.name}() is not supported{close}")
    see_tool(work, of.name)
    places = tool_data(source)
    found = first_of([path(place, (node.name,)) for place in places])
    counted = node.name.removeprefix(_COUNTING)
    if not counted or counted == node.name:
        return json_of(read(work, found, node))
    members = counted[:1].lower() + counted[1:]
    return _counted(work, found, first_of([path(place, (members,)) for place in places]), node)


def _counted(work: Work, number: Sql, listed: Sql, node: Member) -> Term:
    """numOfIssues(): the number of that name, or else how many `issues` there are."""
    topic, filters = _asked(work, node)
    members = work.list(json_of(_about(listed, topic)))
    kept = work.narrowed(members, work.item_filters(filters))
    length = Sql("jsonb_array_length({})::numeric", kept)
    if filters:
        return Term(Type.NUMBER, length)
    told = work.number(json_of(_about(number, topic)))
    return Term(Type.NUMBER, Sql("coalesce({}, {})", told, length))


def read(work: Work, value: Sql, node: Member) -> Sql:
    """A member that may be asked about something, and narrowed down."""
    topic, filters = _asked(work, node)
    found = _about(value, topic)
    if not filters:
        return found
    if set(filters) != {"lookback"}:
        return jsonb("{}", work.narrowed(work.list(json_of(found)), work.item_filters(filters)))
    # an object may have a member for the duration: {"P1W": …}
    _, written = work.lookback(filters)
    return work.once(json_of(found), lambda v: _looked_back(work, v, filters, written))


def _looked_back(work: Work, v: Sql, filters: dict[str, Node], written: str) -> Sql:
    kept = work.narrowed(work.list(json_of(v)), work.item_filters(filters))
    return jsonb("coalesce({}, {}, {})", kept, path(v, (written,)), v)


def _asked(work: Work, node: Member) -> tuple[str | None, dict[str, Node]]:
    """What it is asked about, and what narrows it down."""
    given = work.bound(node, "about", named=(*_TOPICS, *NARROWING))
    topics = [name for name in ("about", *_TOPICS) if name in given]
    if len(topics) > 1:
        raise Unsupported(f"{node.name}() about two things at once is not supported")
    topic = work.literal(given.pop(topics[0]), "what is asked about") if topics else None
    return topic, given


def _about(value: Sql, topic: str | None) -> Sql:
    return value if topic is None else path(value, (topic,))
