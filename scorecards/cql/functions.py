"""The words that stand alone: functions, and the sources that the catalogue itself answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.db.models import F, Value

from catalog.kernel import jq
from catalog.kernel.errors import InvalidExpression, shorten
from catalog.registry import rule_sources
from catalog.selectors.search.moments import parse_moment
from catalog.selectors.sql import Sql
from scorecards.cql import relations
from scorecards.cql.durations import parse_duration
from scorecards.cql.errors import Unsupported, nearest
from scorecards.cql.groups import GROUPS, TYPE_NAME, has_group, types_of
from scorecards.cql.jq_programs import Step, simple_steps
from scorecards.cql.names import FUNCTION_NAMES
from scorecards.cql.sources import TOOLS, described, fact, first_of, tool_data
from scorecards.cql.terms import (
    Term,
    Type,
    duration_of,
    json_of,
    jsonb,
    list_of,
    moment_of,
    number_in_text,
    path,
)
from scorecards.cql.tree import Name, Node, Text
from scorecards.cql.working import Call, Work
from scorecards.models import Scorecard, ScorecardVersion

Function = Callable[[Work, Call], Term]


# the entity


def tag(work: Work, node: Call) -> Term:
    work.bound(node)
    return Term(Type.TEXT, Sql("{}::text", F("identifier")), is_cheap=True)


def name(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.properties.add("$title")
    return Term(Type.TEXT, Sql("coalesce({}, {})", F("title"), F("identifier")), is_cheap=True)


def type(work: Work, node: Call) -> Term:
    work.bound(node)
    identifier = "(SELECT b.identifier FROM catalog_blueprint b WHERE b.id = {})"
    kind = TYPE_NAME.format("b.identifier")
    return Term(Type.TEXT, Sql(identifier.replace("b.identifier", kind, 1), F("blueprint_id")))


def description(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.properties.add("description")
    return Term(
        Type.TEXT,
        Sql(
            "coalesce(nullif({} ->> 'description', ''), nullif({} #>> '{{info,description}}', ''))",
            F("properties"),
            F("descriptor"),
        ),
    )


def descriptor(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.properties.add("$descriptor")
    return json_of(jsonb("{}::jsonb", F("descriptor")))


def is_archived(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.properties.update(("isArchived", "archived", "lifecycle"))
    return Term(Type.BOOLEAN, relations.is_archived())


def created(work: Work, node: Call) -> Term:
    work.bound(node, named=("asTimestamp",))
    return Term(Type.MOMENT, Sql("extract(epoch FROM {})", F("created_at")))


def destinations(work: Work, node: Call) -> Term:
    return _along(work, node, forward=True)


def sources(work: Work, node: Call) -> Term:
    return _along(work, node, forward=False)


def _along(work: Work, node: Call, *, forward: bool) -> Term:
    given = work.bound(node, "relationshipType", "depth", needed=1)
    links = _links_called(work, work.literal(given["relationshipType"], "the relation"))
    depth = work.whole(given, "depth", 1, relations.MAX_DEPTH)
    listed, length = relations.related(links, forward=forward, depth=depth)
    return list_of(listed, length=length)


def _links_called(work: Work, wanted: str) -> Any:
    work.seen.is_related = True
    work.seen.properties.add(wanted)
    links = relations.links_called(work.compilation.kinds, wanted)
    if not links:
        known = {link.identifier for link in work.compilation.kinds.links()}
        close = nearest(wanted, sorted(known))
        raise Unsupported(f'No blueprint has a relation "{shorten(wanted)}"{close}')
    return links


ENTITY: Final[Mapping[str, Function]] = {
    "tag": tag,
    "name": name,
    "type": type,
    "description": description,
    "descriptor": descriptor,
    "isArchived": is_archived,
    "created": created,
    "destinations": destinations,
    "sources": sources,
}

# Bare fields of the first dialect.
FIELDS: Final = ("tag", "name", "type", "description")


# owners and dependencies


def teams(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.is_related = True
    work.seen.properties.add("$team")
    listed, length = relations.teams(work.compilation.kinds)
    return list_of(listed, length=length)


def individuals(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.is_related = True
    return list_of(relations.individuals(work.compilation.kinds))


def all_owners(work: Work, node: Call) -> Term:
    listed = jsonb("({} || {})", teams(work, node).sql, individuals(work, node).sql)
    people = individuals(work, node).sql
    length = Sql("(cardinality({}) + jsonb_array_length({}))::numeric", F("team"), people)
    return list_of(listed, length=length)


OWNERSHIP: Final[Mapping[str, Function]] = {
    "teams": teams,
    "individuals": individuals,
    "allOwners": all_owners,
}


def incoming(work: Work, node: Call) -> Term:
    return _dependencies(work, node, forward=False)


def outgoing(work: Work, node: Call) -> Term:
    return _dependencies(work, node, forward=True)


def _dependencies(work: Work, node: Call, *, forward: bool) -> Term:
    given = work.bound(node, named=("includeArchived",))
    work.seen.is_related = True
    work.seen.sources.add("dependencies")
    found = relations.dependencies(
        work.compilation.kinds, forward=forward, archived=work.flag(given, "includeArchived")
    )
    if found is None:
        return list_of(jsonb("NULL::jsonb"))
    return list_of(found[0], length=found[1])


DEPENDENCIES: Final[Mapping[str, Function]] = {"in": incoming, "out": outgoing}


def ownership(work: Work) -> Term:
    """Who owns it, or NULL for nobody."""
    people = individuals(work, Name("ownership"))
    work.seen.properties.add("$team")
    work.seen.sources.add("ownership")
    told = jsonb(
        "nullif({} || jsonb_path_query_array({}, '$[*].email'), '[]')",
        jsonb("to_jsonb({})", F("team")),
        people.sql,
    )
    return json_of(told)


# groups and links


def groups(work: Work, node: Call) -> Term:
    work.bound(node)
    _reads_groups(work)
    named = jsonb(
        "(SELECT coalesce(jsonb_agg(jsonb_build_object('name', g.x, 'tag', g.x)), '[]') "
        "FROM jsonb_array_elements({}) AS g(x))",
        GROUPS,
    )
    return list_of(named)


def is_in_group(work: Work, node: Call) -> Term:
    given = work.bound(node, "group", needed=1)
    _reads_groups(work)
    wanted = work.literals(given["group"], "the group")
    return Term(Type.BOOLEAN, has_group(wanted))


def _reads_groups(work: Work) -> None:
    work.seen.properties.update(("groups", "tags"))
    work.seen.facts.add("groups")


def links(work: Work, node: Call) -> Term:
    given = work.bound(node, "type")
    kind = work.literal(given["type"], "the type") if "type" in given else None
    return links_of(work, kind)


def links_of(work: Work, kind: str | None) -> Term:
    work.seen.properties.update(("links", *([kind] if kind else [])))
    work.seen.facts.add("links")
    return list_of(
        relations.links(kind, fact("links"), described(("info", "x-cortex-link"))),
    )


# data of tools


def custom(work: Work, node: Call) -> Term:
    given = work.bound(node, "key", needed=1)
    key = work.literal(given["key"], "the key")
    work.seen.facts.add(key)
    work.seen.properties.add(key)
    own = Sql("nullif({} -> {}::text, 'null')", F("properties"), Value(key))
    computed = Sql("nullif({} -> {}::text, 'null')", F("computed"), Value(key))
    told = described(("info", "x-cortex-custom-metadata", key))
    return json_of(first_of([fact(key), own, computed, _unwrapped(told)]))


def _unwrapped(told: Any) -> Sql:
    """The value of {"value": …, "description": …}."""
    return jsonb(
        "(SELECT CASE WHEN jsonb_typeof(x.v) = 'object' AND x.v ? 'value' "
        "AND x.v - 'value' - 'description' = '{{}}' THEN nullif(x.v -> 'value', 'null') "
        "ELSE x.v END FROM (SELECT {} AS v OFFSET 0) x)",
        told,
    )


def custom_metrics(work: Work, node: Call) -> Term:
    given = work.bound(node, "key", "lookback", needed=1)
    key = work.literal(given["key"], "the key")
    since, _ = work.lookback(given)
    work.seen.is_apart = True
    work.seen.sources.add(key)
    condition = Sql("true") if since is None else work.within(Sql("p.at"), since)
    listed, length = relations.metrics(key, condition)
    return list_of(listed, length=length)


def property(work: Work, node: Call) -> Term:
    return _column(work, node, "properties")


def computed(work: Work, node: Call) -> Term:
    return _column(work, node, "computed")


def _column(work: Work, node: Call, column: str) -> Term:
    key = work.literal(work.bound(node, "name", needed=1)["name"], "the property")
    work.seen.properties.add(key)
    return json_of(Sql("({} -> {}::text)", F(column), Value(key)), is_cheap=True)


def relation(work: Work, node: Call) -> Term:
    given = work.bound(node, "name", needed=1)
    links = _links_called(work, work.literal(given["name"], "the relation"))
    listed, length = relations.related(links, forward=True)
    return list_of(listed, length=length)


def related(work: Work, node: Call) -> Term:
    """The entities of a type that point at this one, by any relation."""
    given = work.bound(node, "type", needed=1)
    wanted = work.literal(given["type"], "the type")
    kinds = work.compilation.kinds
    pks = types_of([wanted], kinds)
    if not pks:
        close = nearest(wanted, [kind.identifier for kind in kinds])
        raise Unsupported(f'There is no blueprint "{shorten(wanted)}"{close}')
    work.seen.is_related = True
    listed, length = relations.related(kinds.links(pks), forward=False)
    return list_of(listed, length=length)


def level(work: Work, node: Call) -> Term:
    """The level an entity has reached on another scorecard, as it was last evaluated."""
    given = work.bound(node, "scorecard", needed=1)
    wanted = work.literal(given["scorecard"], "the scorecard")
    if not Scorecard.objects.filter(identifier=wanted).exists():
        known = Scorecard.objects.order_by("identifier").values_list("identifier", flat=True)
        close = nearest(wanted, known[:1000])
        raise Unsupported(f'There is no scorecard "{shorten(wanted)}"{close}')
    work.seen.is_apart = True
    return Term(
        Type.LEVEL,
        Sql(
            "(SELECT s.level FROM scorecards_score s JOIN scorecards_scorecard c "
            "ON c.id = s.scorecard_id WHERE s.entity_id = {} AND c.identifier = {} "
            "ORDER BY c.id LIMIT 1)",
            F("pk"),
            Value(wanted),
        ),
        name=wanted,
    )


def ranks_of(scorecard: str) -> dict[str, dict[str, int]]:
    """{pk of a scorecard of this name: {level: its rank}}."""
    versions = (
        ScorecardVersion.objects.filter(scorecard__identifier=scorecard)
        .order_by("scorecard_id", "-version")
        .distinct("scorecard_id")
    )
    return {
        str(one.scorecard_id): {
            str(one_level["title"]): rank for rank, one_level in enumerate(one.levels)
        }
        for one in versions
    }


# values


def duration(work: Work, node: Call) -> Term:
    given = work.bound(node, "text", needed=1)["text"]
    written = work.literal(given, "the duration")
    seconds = parse_duration(written)
    if seconds is None:
        raise work.wrong(given, shorten(written), "an ISO 8601 duration: P7D, PT12H, P-90D")
    return duration_of(seconds, written)


def date(work: Work, node: Call) -> Term:
    given = work.bound(node, "text", needed=1)["text"]
    return moment_of(moment_in(work, given, work.literal(given, "the date")))


def moment_in(work: Work, node: Node, written: str) -> datetime:
    moment = parse_moment(written)
    if moment is None:
        raise work.wrong(node, shorten(written), "an ISO 8601 date")
    return moment


def now(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.is_timed = True
    return moment_of(work.compilation.now)


def semver(work: Work, node: Call) -> Term:
    given = work.bound(node, "version", needed=1)["version"]
    term = work.value(given)
    if term.type not in (Type.TEXT, Type.JSON):
        raise work.wrong(given, work.written(given), "a text with a version")
    return work.version(term)


def captures(work: Work, node: Call) -> Term:
    given = work.bound(node, "name", "value", needed=2)
    if work.variables:
        raise Unsupported("captures() within a function is not supported")
    label = work.literal(given["name"], "the name")
    term = work.value(given["value"])
    work.captured.append((label, term))
    return term


def run_jq(work: Work, node: Call) -> Term:
    given = work.bound(node, "value", "program", needed=2)
    value = json_of(work.shown(work.value(given["value"])))
    if not isinstance(given["program"], Text):
        raise Unsupported("A JQ program must be written out as a text; others are not supported")
    program = given["program"].value
    steps = simple_steps(program)
    if steps is not None:
        return _stepped(work, value, steps)
    if problem := _jq_problem(program):
        raise work.wrong(given["program"], shorten(program), f"a JQ program ({problem})")
    if work.variables:
        raise Unsupported(
            f'jq(…, "{shorten(program, 60)}") within a function is not supported; '
            "paths, tonumber, not and length are"
        )
    number, result = work.compilation.call(program, value.sql)
    work.calls.append(number)
    return json_of(result)


@lru_cache(maxsize=1024)
def _jq_problem(program: str) -> str:
    try:
        jq.check(program, field="program")
    except InvalidExpression as error:
        return str(error.details.get("message", error.message))
    return ""


def _stepped(work: Work, value: Term, steps: list[Step]) -> Term:
    """As JQ, but nothing comes of a value that is not there at all."""
    term = value
    for step in steps:
        if step.word == "path":
            term = json_of(path(work.json(term), step.keys)) if step.keys else term
        elif step.word == "tonumber":
            term = Term(Type.NUMBER, work.once(json_of(work.json(term)), number_in_text))
        elif step.word == "not":
            truth = jsonb("coalesce({}, 'null')", work.json(term))
            term = Term(Type.BOOLEAN, Sql("({} IN ('null', 'false'))", truth))
        elif step.word == "length":
            term = Term(Type.NUMBER, work.once(json_of(work.json(term)), _jq_length))
        else:
            same = Sql(
                "(coalesce({}, 'null') = {})",
                work.json(term),
                jsonb("to_jsonb({}::text)", Value(step.value))
                if isinstance(step.value, str)
                else jsonb("{}::jsonb", Value(str(step.value).lower())),
            )
            term = Term(Type.BOOLEAN, same)
    if term.type in (Type.BOOLEAN, Type.NUMBER):
        sql = Sql("CASE WHEN {} IS NOT NULL THEN {} END", value.sql, term.sql)
        return Term(term.type, sql)
    return term


def _jq_length(v: Any) -> Sql:
    """JQ's: of null it is 0, of a number its size; true and false have none."""
    return Sql(
        "CASE jsonb_typeof({}) WHEN 'string' THEN length({} #>> '{{}}')::numeric "
        "WHEN 'array' THEN jsonb_array_length(CASE WHEN jsonb_typeof({}) = 'array' THEN {} END)"
        "::numeric WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys("
        "CASE WHEN jsonb_typeof({}) = 'object' THEN {} END))::numeric "
        "WHEN 'number' THEN CASE WHEN abs((CASE WHEN jsonb_typeof({}) = 'number' THEN {} END)"
        "::numeric) < 1e60 THEN abs((CASE WHEN jsonb_typeof({}) = 'number' THEN {} END)::numeric) "
        "END WHEN 'boolean' THEN NULL ELSE 0 END",
        *(v,) * 10,
    )


FUNCTIONS: Final[Mapping[str, Function]] = {
    "captures": captures,
    "computed": computed,
    "custom": custom,
    "customMetrics": custom_metrics,
    "date": date,
    "duration": duration,
    "groups": groups,
    "hasGroup": is_in_group,
    "jq": run_jq,
    "level": level,
    "links": links,
    "now": now,
    "property": property,
    "related": related,
    "relation": relation,
    "semver": semver,
}


# sources


def lists_of_events(work: Work, node: Name) -> Term:
    """deploys() and customEvents(): the list in the fact of that name."""
    source = TOOLS[node.name]
    given = work.bound(node, named=("lookback", "types", "environments", "environment", "type"))
    work.seen.sources.add(source.name)
    work.seen.facts.add(source.name)
    events = work.list(json_of(first_of(tool_data(source))))
    return list_of(work.narrowed(events, work.item_filters(given)))


def registered(work: Work, source: str) -> Term:
    """Something that another app tells of (`catalog.registry.rule_sources`)."""
    work.seen.is_apart = True
    work.seen.sources.add(source)
    return json_of(rule_sources[source].value())


KNOWN: Final = frozenset(FUNCTION_NAMES)
