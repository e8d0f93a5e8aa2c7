"""SQL of what is around an entity: owners, dependencies, related entities, documents, metrics.

Lists are jsonb arrays; an entity in one is {"tag", "identifier", "name", "title", "type",
"isArchived", "properties"}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import F, Value

from catalog.models import TEAM, USER
from catalog.selectors.kinds import Kinds, Link
from catalog.selectors.sql import Sql
from scorecards.cql.groups import TYPE_NAME
from scorecards.cql.terms import jsonb

MAX_DEPTH: Final = 5

# Relations that say what an entity depends on, and those that say it the other way round; by
# their names without joints and capitals.
_DEPENDS: Final = frozenset(
    [
        "dependson",
        "dependencies",
        "dependency",
        "uses",
        "calls",
        "consumesapis",
        "consumes",
        "requires",
    ]
)
_DEPENDED_ON: Final = frozenset(["dependencyof", "dependents", "usedby", "calledby"])
_OWNERS: Final = frozenset(["owner", "owners", "ownedby"])

_IS_ARCHIVED: Final = (
    "(coalesce({0} -> 'isArchived' = 'true' OR {0} -> 'archived' = 'true' "
    "OR lower({0} ->> 'lifecycle') = 'archived', false))"
)


def is_archived() -> Sql:
    return Sql(_IS_ARCHIVED.replace("{0}", "{}"), *(F("properties"),) * 3)


def _entity_json(row: str) -> str:
    """SQL of an entity `row` that may be missing, beside `found` (blueprint, identifier)."""
    kind = TYPE_NAME.format("found.blueprint")
    return (
        "jsonb_build_object('tag', found.identifier, 'identifier', found.identifier, "
        f"'name', coalesce({row}.title, found.identifier), "
        f"'title', coalesce({row}.title, found.identifier), 'type', {kind}, "
        f"'isArchived', {_IS_ARCHIVED.format(f'{row}.properties')}, "
        f"'properties', coalesce({row}.properties || {row}.computed, '{{{{}}}}'))"
    )


_OUT: Final = (
    "SELECT r.target_id AS id, r.target_blueprint AS blueprint, r.target_identifier AS identifier "
    "FROM catalog_relation r WHERE r.source_id = {} AND r.definition_id = ANY({}::bigint[])"
)
_IN: Final = (
    "SELECT s.id, b.identifier AS blueprint, s.identifier FROM catalog_relation r "
    "JOIN catalog_entity s ON s.id = r.source_id JOIN catalog_blueprint b ON b.id = s.blueprint_id "
    "WHERE r.target_id = {} AND r.definition_id = ANY({}::bigint[])"
)
_WALK: Final = (
    "SELECT DISTINCT s.id, b.identifier AS blueprint, s.identifier FROM ("
    "WITH RECURSIVE walk(id, depth) AS (SELECT {{}}::bigint, 0 UNION "
    "SELECT r.{ahead}_id, walk.depth + 1 FROM walk JOIN catalog_relation r "
    "ON r.{here}_id = walk.id AND r.definition_id = ANY({{}}::bigint[]) "
    "WHERE walk.depth < {depth:d} AND r.{ahead}_id IS NOT NULL) "
    "SELECT id FROM walk WHERE depth > 0) w JOIN catalog_entity s ON s.id = w.id "
    "JOIN catalog_blueprint b ON b.id = s.blueprint_id WHERE s.id <> {{}}"
)


def _edges(links: Sequence[Link], *, forward: bool, depth: int = 1) -> tuple[str, list[Any]]:
    pks = Value([link.pk for link in links])
    if depth == 1:
        return (_OUT if forward else _IN), [F("pk"), pks]
    ahead, here = ("target", "source") if forward else ("source", "target")
    return _WALK.format(ahead=ahead, here=here, depth=depth), [F("pk"), pks, F("pk")]


def related(
    links: Sequence[Link], *, forward: bool, depth: int = 1, archived: bool = True
) -> tuple[Sql, Sql]:
    """The entities at the other end of some relations, as a list; and how many they are.

    Targets that are not in the catalogue (yet) count too.
    """
    return _listed([_edges(links, forward=forward, depth=depth)], archived=archived)


def dependencies(kinds: Kinds, *, forward: bool, archived: bool) -> tuple[Sql, Sql] | None:
    """None where no blueprint has a relation that says so."""
    links = list(kinds.links())
    straight = [link for link in links if plain(link.identifier) in _DEPENDS]
    reverse = [link for link in links if plain(link.identifier) in _DEPENDED_ON]
    edges = [
        _edges(those, forward=is_forward)
        for those, is_forward in ((straight, forward), (reverse, not forward))
        if those
    ]
    return _listed(edges, archived=archived) if edges else None


def _listed(edges: list[tuple[str, list[Any]]], *, archived: bool) -> tuple[Sql, Sql]:
    found = " UNION ".join(f"({sql})" for sql, _ in edges)
    params = [param for _, those in edges for param in those]
    kept = "true" if archived else f"NOT {_IS_ARCHIVED.format('t.properties')}"
    source = f"FROM ({found}) AS found LEFT JOIN catalog_entity t ON t.id = found.id WHERE {kept}"
    listed = jsonb(
        f"(SELECT coalesce(jsonb_agg({_entity_json('t')} ORDER BY found.blueprint, "
        f"found.identifier), '[]') {source})",
        *params,
    )
    return listed, Sql(f"(SELECT count(*)::numeric {source})", *params)


def plain(name: str) -> str:
    """A name without joints and capitals: depends_on is dependsOn."""
    return "".join(filter(str.isalnum, name)).lower()


def links_called(kinds: Kinds, name: str) -> list[Link]:
    exact = kinds.links(name=name)
    return exact or [link for link in kinds.links() if plain(link.identifier) == plain(name)]


_PERSON: Final = (
    "jsonb_build_object('name', coalesce(p.title, p.identifier), 'tag', p.identifier, 'email', "
    "coalesce(p.properties ->> 'email', CASE WHEN strpos(p.identifier, '@') > 0 "
    "THEN p.identifier END))"
)
_TEAMS: Final = f"""(SELECT coalesce(jsonb_agg(jsonb_build_object(
    'name', coalesce(t.title, o.name), 'tag', o.name,
    'description', t.properties -> 'description',
    'members', (SELECT coalesce(jsonb_agg({_PERSON} ORDER BY p.identifier), '[]')
        FROM catalog_entity p WHERE p.id IN (
            SELECT r.target_id FROM catalog_relation r
            WHERE r.source_id = t.id AND r.definition_id = {{}}
            UNION SELECT r.source_id FROM catalog_relation r
            WHERE r.target_id = t.id AND r.definition_id = {{}})),
    'identityProviderGroups', coalesce(
        (SELECT nullif(f.value, 'null') FROM catalog_fact f
         WHERE f.entity_id = t.id AND f.key = 'identityProviderGroups'),
        t.properties -> 'identityProviderGroups',
        (SELECT jsonb_agg(jsonb_build_object(
             'source', g -> 'provider', 'groupIdentifier', g -> 'name'))
         FROM jsonb_path_query(
             (t.descriptor #> '{{{{info,x-cortex-team,groups}}}}')::jsonb, 'lax $[*]') g),
        '[]')
    ) ORDER BY o.place), '[]')
    FROM unnest({{}}) WITH ORDINALITY AS o(name, place)
    LEFT JOIN catalog_entity t ON t.blueprint_id = {{}} AND t.identifier = o.name)"""  # noqa: S608


def teams(kinds: Kinds) -> tuple[Sql, Sql]:
    team, user = kinds.get(TEAM), kinds.get(USER)
    members = team.links.get("members") if team else None
    team_of = user.links.get("team") if user else None
    listed = jsonb(
        _TEAMS,
        Value(members.pk if members else 0),
        Value(team_of.pk if team_of else 0),
        F("team"),
        Value(team.pk if team else 0),
    )
    return listed, Sql("cardinality({})::numeric", F("team"))


_INDIVIDUALS: Final = f"""(SELECT coalesce(jsonb_agg(person.told), '[]') FROM (
    SELECT {_PERSON} AS told FROM catalog_relation r
    JOIN catalog_entity p ON p.id = r.target_id AND p.blueprint_id = {{}}
    WHERE r.source_id = {{}} AND r.definition_id = ANY({{}}::bigint[])
    UNION ALL
    SELECT jsonb_build_object('email', o -> 'email', 'name', o -> 'email')
    FROM jsonb_path_query(({{}} #> '{{{{info,x-cortex-owners}}}}')::jsonb, 'lax $[*]') o
    WHERE lower(o ->> 'type') = 'email') person)"""  # noqa: S608


def individuals(kinds: Kinds) -> Sql:
    owning = [link.pk for link in kinds.links() if plain(link.identifier) in _OWNERS]
    return jsonb(
        _INDIVIDUALS, Value(kinds.pk_of(USER) or 0), F("pk"), Value(owning), F("descriptor")
    )


_DOCS: Final = """(SELECT jsonb_build_object('state', s.state, 'pages', s.page_count,
    'builtAt', s.built_at, 'name', s.name) FROM catalog_docsite s WHERE s.entity_id = {})"""


def docs() -> Sql:
    return jsonb(_DOCS, F("pk"))


def metrics(key: str, condition: Any) -> tuple[Sql, Sql]:
    """condition: on the moment `p.at`."""
    source = "FROM catalog_metricpoint p WHERE p.entity_id = {} AND p.key = {} AND {}"
    params = [F("pk"), Value(key), condition]
    listed = jsonb(
        "(SELECT coalesce(jsonb_agg(jsonb_build_object('timestamp', p.at, 'value', p.value) "
        f"ORDER BY p.at), '[]') {source})",
        *params,
    )
    return listed, Sql(f"(SELECT count(*)::numeric {source})", *params)


# Of the fact, the descriptor and a Backstage entity; each link as {"name", "url", "type"}.
_LINKS: Final = """(SELECT coalesce(jsonb_agg(jsonb_build_object(
    'name', coalesce(l.x -> 'name', l.x -> 'title'), 'url', l.x -> 'url', 'type', l.x -> 'type')),
    '[]') FROM (
        SELECT jsonb_path_query({}, 'lax $[*]') AS x
        UNION ALL SELECT jsonb_path_query({}, 'lax $[*]')
        UNION ALL SELECT jsonb_path_query({} -> 'links', 'lax $[*]')
        UNION ALL SELECT jsonb_build_object('name', p.key, 'url', p.value, 'type', p.key)
            FROM jsonb_each({}) p WHERE lower(p.key) = {}
            AND jsonb_typeof(p.value) = 'string' AND p.value #>> '{{}}' ~* '^https?://'
    ) l WHERE jsonb_typeof(l.x) = 'object' AND ({}::text IS NULL OR lower(l.x ->> 'type') = {}))"""


def links(type: str | None, fact: Any, described: Any) -> Sql:
    """type: None for all of them."""
    wanted = Value(type.lower() if type is not None else None)
    properties = F("properties")
    name = Sql("{}::text", wanted)
    return jsonb(_LINKS, fact, described, properties, properties, name, wanted, name)
