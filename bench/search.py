"""Search over entities, pages of docs and operations of APIs at a given size.

    python bench/search.py [--count 30000] [--pages 5000] [--apis 300] [--repeat 20]

Prints how many statements the selector takes, and the median milliseconds of it alone, of the
search page with its facets and of `/api/search/query` (all but the network). Half of the pages are
short, half are long; each API has 20 operations.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines
from read import median

SEED = 20261125
NOUNS = [
    *("order", "payment", "ledger", "invoice", "shipment", "customer", "basket", "price"),
    *("stock", "refund", "coupon", "account", "session", "token", "message", "queue"),
    *("topic", "event", "report", "export", "import", "schedule", "gateway", "adapter"),
]
VERBS = [
    *("list", "get", "create", "update", "delete", "close"),
    *("open", "confirm", "cancel", "send", "receive", "check"),
]
OPERATIONS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--pages", type=int, default=5_000)
    parser.add_argument("--apis", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    with engines():
        run(options)


def run(options: argparse.Namespace) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from catalog.kernel.actors import Actor, Role
    from catalog.selectors.find import find
    from idp.auth import create_client, issue_token
    from idp.models import User

    actor = Actor.system("bench")
    _fill(options, actor)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    user = User.objects.create_superuser("bench", password="a password for a bench")
    client, secret = create_client(name="bench", role=Role.ADMIN, actor=actor)
    token = issue_token(client_id=client.client_id, client_secret=secret).access_token
    api = Client(headers={"authorization": f"Bearer {token}", "host": "localhost"})
    pages = Client(headers={"host": "localhost"})
    pages.force_login(user)

    def get(http: Client, path: str) -> Callable[[], Any]:
        def call() -> None:
            answer = http.get(path)
            assert answer.status_code == 200, (path, answer.status_code, answer.content[:300])

        return call

    cases = [
        ("two words", "ledger payments"),
        ("one word, in everything", "payment"),
        ("beginning of a word", "pay"),
        ("one letter", "p"),
        ("part of a word", "edge"),
        ("an operation", "GET /orders-7"),
        ("a phrase", '"late refund"'),
        ("a mistake", "paymnet ledgr"),
        ("nothing", "xylophone"),
        ("everything", ""),
    ]
    print(
        f"{options.count:,} entities, {options.pages:,} pages, {options.apis * OPERATIONS:,} "
        f"operations; median of {options.repeat}, milliseconds"
    )
    heads = " ".join(f"{head:>10}" for head in ("statements", "selector", "page", "API"))
    print(f"{'':26} {'matches':>8} {heads}")
    for label, text in cases:
        found = find(text, principal=user)
        calls = [
            lambda text=text: find(text, principal=user),
            get(pages, f"/search?q={quote(text)}" + ("" if text else "&type=catalog")),
            get(api, f"/api/search/query?term={quote(text)}"),
        ]
        with CaptureQueriesContext(connection) as captured:
            calls[0]()
        count = len(captured)
        cells = " ".join(f"{median(call, options.repeat):10.2f}" for call in calls)
        print(f"{label:26} {found.total:8,} {count:10} {cells}")


def _fill(options: argparse.Namespace, actor: Any) -> None:
    from organisation import BLUEPRINTS, organisation

    from catalog.models import DocPage, DocSite, Entity
    from catalog.selectors.kinds import load_kinds
    from catalog.services import api_index
    from catalog.services.blueprints import ensure_blueprints
    from catalog.services.entities import EntityDraft, apply

    dice = random.Random(SEED)
    ensure_blueprints(BLUEPRINTS, actor=actor)
    drafts = list(organisation(options.count))
    drafts += [
        EntityDraft("api", f"bench-{n}", properties={"type": "openapi", "definition": _api(n)})
        for n in range(options.apis)
    ]
    for start in range(0, len(drafts), 2000):
        apply(drafts[start : start + 2000], mode="replace", actor=actor, missing_targets="dangle")
    defined = Entity.objects.filter(properties__has_key="definition").values_list("pk", flat=True)
    api_index.index(list(defined), load_kinds())
    owners = Entity.objects.exclude(blueprint__identifier="api").order_by("pk")
    for pk in owners.values_list("pk", flat=True)[: max(1, options.pages // 10)]:
        DocSite.objects.create(entity_id=pk, ref=f"component:default/bench-{pk}")
    sites = list(DocSite.objects.values_list("pk", flat=True))
    DocPage.objects.bulk_create(
        [
            DocPage(
                site_id=sites[n % len(sites)],
                path=f"page-{n}.md",
                url=f"page-{n}/",
                title=f"{dice.choice(VERBS).title()} a {dice.choice(NOUNS)}",
                html="",
                text=" ".join(_words(dice, 80 if n % 2 else 1200)),
                content_hash=b"bench",
            )
            for n in range(options.pages)
        ],
        batch_size=500,
    )


def _words(dice: random.Random, count: int) -> Iterator[str]:
    topics = dice.sample(NOUNS, 3)
    for _ in range(count):
        yield dice.choice(topics) if dice.random() < 0.2 else f"word{dice.randrange(4000)}"
    if dice.random() < 0.05:
        yield "late refund"


def _api(number: int) -> str:
    paths = "".join(
        f"  /{NOUNS[n % len(NOUNS)]}s-{number}/{VERBS[n % len(VERBS)]}:\n"
        f"    get: {{summary: {VERBS[n % len(VERBS)].title()} {NOUNS[n % len(NOUNS)]}s}}\n"
        for n in range(OPERATIONS)
    )
    return f"openapi: 3.0.3\ninfo: {{title: API {number}, version: 1.0.0}}\npaths:\n{paths}"


if __name__ == "__main__":
    main()
