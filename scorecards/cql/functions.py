"""The words that stand alone: functions, and the sources that the catalogue itself answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db.models import F, Value

from catalog.kernel.errors import shorten
from catalog.registry import rule_sources
from catalog.selectors.sql import Sql
from scorecards.cql import relations
from scorecards.cql.calculations import captures, date, duration, now, run_jq, semver
from scorecards.cql.errors import Unsupported, nearest
from scorecards.cql.groups import GROUPS, TYPE_NAME, has_group, types_of
from scorecards.cql.names import FUNCTION_NAMES
from scorecards.cql.sources import TOOLS, described, fact, first_of, tool_data
from scorecards.cql.terms import (
    Term,
    Type,
    json_of,
    jsonb,
    list_of,
)
from scorecards.cql.tree import Name
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
    """The level an entity has reached on another scorecard, as it was last evaluated. Drafts and
    archived ones are nobody's business here: whoever may ask must not hear of them.
    """
    given = work.bound(node, "scorecard", needed=1)
    wanted = work.literal(given["scorecard"], "the scorecard")
    active = Scorecard.objects.filter(state=Scorecard.State.ACTIVE)
    if not active.filter(identifier=wanted).exists():
        known = active.order_by("identifier").values_list("identifier", flat=True)
        close = nearest(wanted, known[:1000])
        raise Unsupported(f'There is no scorecard "{shorten(wanted)}"{close}')
    work.seen.is_apart = True
    return Term(
        Type.LEVEL,
        Sql(
            "(SELECT s.level FROM scorecards_score s JOIN scorecards_scorecard c "
            "ON c.id = s.scorecard_id WHERE s.entity_id = {} AND c.identifier = {} "
            "AND c.state = 'active' ORDER BY c.id LIMIT 1)",
            F("pk"),
            Value(wanted),
        ),
        name=wanted,
    )


def ranks_of(scorecard: str) -> dict[str, dict[str, int]]:
    """{pk of an active scorecard of this name: {level: its rank}}."""
    versions = (
        ScorecardVersion.objects.filter(
            scorecard__identifier=scorecard, scorecard__state=Scorecard.State.ACTIVE
        )
        .order_by("scorecard_id", "-version")
        .distinct("scorecard_id")
    )
    return {
        str(one.scorecard_id): {
            str(one_level["title"]): rank for rank, one_level in enumerate(one.levels)
        }
        for one in versions
    }


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
