"""Reads through the API at a given size, each beside the same question as bare SQL.

    python bench/read.py [--count 50000] [--repeat 40]

Prints the median milliseconds of a request (authentication, permission, compiler, statement,
JSON; no network) and of one hand-written statement that fetches the same rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    with engines():
        run(options.count, options.repeat)


def run(count: int, repeat: int) -> None:
    from django.db import connection
    from django.test import Client
    from organisation import BLUEPRINTS, organisation

    from catalog.kernel.actors import Actor, Role
    from catalog.selectors.find import find
    from catalog.services.blueprints import ensure_blueprints
    from catalog.services.entities import apply
    from idp.auth import create_client, issue_token
    from idp.models import User

    actor = Actor.system("bench")
    ensure_blueprints(BLUEPRINTS, actor=actor)
    drafts = list(organisation(count))
    for start in range(0, count, 2000):
        apply(drafts[start : start + 2000], mode="replace", actor=actor, missing_targets="dangle")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    client, secret = create_client(name="bench", role=Role.ADMIN, actor=actor)
    token = issue_token(client_id=client.client_id, client_secret=secret).access_token
    user = User.objects.create_superuser("bench", password="a password for a bench")
    http = Client(headers={"authorization": f"Bearer {token}", "host": "localhost"})
    pages = Client(headers={"host": "localhost"})
    pages.force_login(user)
    one = drafts[-7]
    owner = one.relations["owner"]

    def ask(path: str, body: dict[str, object] | None = None) -> Callable[[], None]:
        def call() -> None:
            if body is None:
                answer = http.get(path)
            else:
                answer = http.post(path, json.dumps(body), content_type="application/json")
            assert answer.status_code == 200, (answer.status_code, answer.content[:300])

        return call

    def page(path: str) -> Callable[[], None]:
        def call() -> None:
            answer = pages.get(path)
            assert answer.status_code == 200, (path, answer.status_code)

        return call

    def sql(statement: str, *params: object) -> Callable[[], None]:
        def call() -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement, params)
                cursor.fetchall()

        return call

    def rules(*given: dict[str, object], limit: int = 20) -> dict[str, object]:
        return {"query": {"combinator": "and", "rules": list(given)}, "limit": limit}

    search = "/v1/blueprints/service/entities/search"
    rows = (
        "SELECT * FROM catalog_entity WHERE blueprint_id = "
        "(SELECT id FROM catalog_blueprint WHERE identifier = 'service')"
    )
    text = (
        "SELECT * FROM catalog_entity "
        "WHERE search @@ plainto_tsquery('simple', 'ledger payments') LIMIT 20"
    )
    equal = {"property": "lifecycle", "operator": "=", "value": "deprecated"}
    tag = {"property": "tags", "operator": "contains", "value": "rust"}
    part = {"property": "$title", "operator": "contains", "value": "Ledger"}
    related = {"operator": "relatedTo", "blueprint": "_team", "value": owner}
    cases = [
        ("by identifier", ask(f"/v1/blueprints/service/entities/{one.identifier}"),
         sql(f"{rows} AND identifier = %s", one.identifier)),
        ("list, 20", ask(search, rules()), sql(f"{rows} ORDER BY id LIMIT 20")),
        ("filter by property, 20", ask(search, rules(equal)),
         sql(f"""{rows} AND properties @> '{{"lifecycle": "deprecated"}}' ORDER BY id LIMIT 20""")),
        ("filter by tag, 20", ask(search, rules(tag)),
         sql(f"""{rows} AND properties @> '{{"tags": ["rust"]}}' ORDER BY id LIMIT 20""")),
        ("part of the title, 20", ask(search, rules(part)),
         sql(f"{rows} AND title LIKE '%%Ledger%%' ORDER BY id LIMIT 20")),
        ("related by any chain, 20", ask(search, rules(related)), None),
        ("full text, 20", lambda: find("ledger payments", principal=user, limit=20),
         sql(text)),
        ("full text, a typo, 20", lambda: find("paymnets ledgr", principal=user, limit=20), None),
        ("page: table", page("/catalog/service"), None),
        ("page: table, filtered", page("/catalog/service?q=ledger"), None),
        ("page: entity", page(f"/catalog/service/{one.identifier}"), None),
        ("page: home", page("/"), None),
    ]  # fmt: skip
    print(f"{count:,} entities, median of {repeat}, milliseconds")
    for label, ours, bare in cases:
        beside = f"{median(bare, repeat):8.2f} in SQL" if bare else ""
        print(f"{label:28} {median(ours, repeat):8.2f} {beside}")


def median(call: Callable[[], object], repeat: int) -> float:
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
