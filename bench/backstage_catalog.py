"""Backstage's catalogue API at a given size: documents worked out, and lists beside bare SQL.

    python bench/backstage_catalog.py [--count 30000] [--repeat 20]

Prints what marking costs the door, documents a second, and the median milliseconds of a request
(authentication, permission, statements, JSON; no network), of one hand-written statement that
fetches the same entities, and of the same question to /v1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    with engines():
        run(options.count, options.repeat)


def run(count: int, repeat: int) -> None:
    from django.db import connection
    from django.test import Client
    from organisation import BLUEPRINTS, organisation

    from catalog.dialects.backstage.projection import ensure_current
    from catalog.kernel.actors import Actor, Role
    from catalog.services.blueprints import ensure_blueprints
    from catalog.services.entities import apply
    from idp.auth import create_client, issue_token

    actor = Actor.system("bench")
    ensure_blueprints(BLUEPRINTS, actor=actor)
    drafts = list(organisation(count))
    start = time.perf_counter()
    for first in range(0, count, 2000):
        apply(drafts[first : first + 2000], mode="replace", actor=actor, missing_targets="dangle")
    door = time.perf_counter() - start
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT array_agg(entity_id) FROM catalog_pendingdocument")
        [pks] = cursor.fetchone()
        start = time.perf_counter()
        cursor.execute(
            "INSERT INTO catalog_pendingdocument (entity_id) SELECT unnest(%s::bigint[])", [pks]
        )
        mark = time.perf_counter() - start
        cursor.execute(
            "DELETE FROM catalog_pendingdocument p USING catalog_pendingdocument o "
            "WHERE o.entity_id = p.entity_id AND o.id < p.id"
        )
    print(f"door {door:.2f} s for {count:,} entities; their marks {mark * 1000:.0f} ms of it")

    def refresh(label: str) -> None:
        start = time.perf_counter()
        ensure_current()
        seconds = time.perf_counter() - start
        print(f"{label:28} {seconds:7.2f} s  {count / seconds:9,.0f} documents/s")

    refresh("documents, new")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(
            "INSERT INTO catalog_pendingdocument (entity_id) SELECT id FROM catalog_entity"
        )
    refresh("documents, unchanged")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE catalog_pendingdocument")
        cursor.execute(
            "SELECT pg_size_pretty(pg_total_relation_size('catalog_entitydocument')), "
            "pg_size_pretty(pg_total_relation_size('catalog_documentrelation'))"
        )
        print("tables:", *cursor.fetchone())

    client, secret = create_client(name="bench", role=Role.ADMIN, actor=actor)
    token = issue_token(client_id=client.client_id, client_secret=secret).access_token
    http = Client(headers={"authorization": f"Bearer {token}", "host": "localhost"})
    one = drafts[-7]
    owner = f"group:default/{one.relations['owner']}"

    def ask(path: str, body: object = None) -> Callable[[], None]:
        def call() -> None:
            if body is None:
                answer = http.get(path)
            else:
                answer = http.post(path, json.dumps(body), content_type="application/json")
            content = b"".join(answer) if answer.streaming else answer.content
            assert answer.status_code == 200, (answer.status_code, content[:300])

        return call

    def sql(where: str, *params: object) -> Callable[[], None]:
        def call() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT document::text FROM catalog_entitydocument WHERE {where}", params
                )
                cursor.fetchall()

        return call

    entities, query = "/api/catalog/entities", "/api/catalog/entities/by-query"
    facets = "/api/catalog/entity-facets"
    v1 = "/v1/blueprints/service/entities/search"
    equal = {"property": "lifecycle", "operator": "=", "value": "deprecated"}

    def rules(*given: object) -> dict[str, object]:
        return {"query": {"combinator": "and", "rules": list(given)}, "limit": 20}

    def listed(parameters: str) -> Callable[[], None]:
        return ask(f"{query}?{parameters}&limit=20")

    def having(*terms: str) -> Callable[[], None]:
        return sql("terms @> %s::text[] ORDER BY uid LIMIT 20", list(terms))

    service, in_names = "filter=kind=service", "fullTextFilterFields=metadata.name,metadata.title"
    refs = [f"service:default/{draft.identifier}" for draft in drafts[-100:]]
    cases: list[tuple[str, Any, Any, Any]] = [
        (
            "by name",
            ask(f"{entities}/by-name/service/default/{one.identifier}"),
            sql("ref = %s", f"service:default/{one.identifier}"),
            ask(f"/v1/blueprints/service/entities/{one.identifier}"),
        ),
        ("list, 20", listed(service), having("kind=service"), ask(v1, rules())),
        ("by name, 20", listed(f"{service}&orderField=metadata.name,asc"), None, None),
        ("by a key, 20", listed(f"{service}&orderField=spec.lifecycle,asc"), None, None),
        (
            "filter by property, 20",
            listed(f"{service},spec.lifecycle=deprecated"),
            having("kind=service", "spec.lifecycle=deprecated"),
            ask(v1, rules(equal)),
        ),
        ("filter by relation, 20", listed(f"filter=relations.ownedBy={owner}"), None, None),
        (
            "filter by tag, 20",
            listed("filter=metadata.tags.rust"),
            having("metadata.tags.rust"),
            None,
        ),
        (
            "text in names, 20",
            listed(f"{service}&fullTextFilterTerm=ledger&{in_names}"),
            None,
            None,
        ),
        (
            "prefix, 20",
            ask(query, {"query": {"metadata.name": {"$hasPrefix": "pay"}}, "limit": 20}),
            None,
            None,
        ),
        (
            "not, 20",
            ask(query, {"query": {"$not": {"spec.lifecycle": "deprecated"}}, "limit": 20}),
            None,
            None,
        ),
        ("entities, a page", ask(f"{entities}?{service}&limit=20&offset=100"), None, None),
        ("facet of kinds", ask(f"{facets}?facet=kind"), None, None),
        (
            "three facets of services",
            ask(
                f"{facets}?facet=spec.lifecycle&facet=metadata.tags&facet=relations.ownedBy&{service}"
            ),
            None,
            None,
        ),
        ("by-refs, 100", ask(f"{entities}/by-refs", {"entityRefs": refs}), None, None),
        ("all, whole", ask(entities), sql("true"), None),
        (
            "all, names",
            ask(f"{entities}?fields=kind,metadata.name,metadata.namespace"),
            sql("true"),
            None,
        ),
    ]
    print(f"{count:,} entities, median of {repeat}, milliseconds: ours, SQL, /v1")
    for label, ours, bare, native in cases:
        times = [_median(one, repeat) if one else None for one in (ours, bare, native)]
        print(f"{label:28}", *(f"{t:9.2f}" if t is not None else " " * 9 for t in times))


def _median(call: Callable[[], object], repeat: int) -> float:
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
