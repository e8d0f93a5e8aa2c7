"""Objects of a source through a mapping, beside the usual way of running JQ.

    python bench/mapping.py [--count 5000] [--batch 200]

Prints, for objects of about 3.6 KB and a mapping of 19 expressions, mapped objects a second:

- compile per expression: each expression compiled for each object
- compile once: each compiled once and run by itself, in this process (what exporters do)
- sandbox: `map_items`, one program per mapping in a limited child process
- two sandboxes: two threads of one process, a child each

The sandbox is the only one of them that survives an endless expression; the last lines say what
such an expression costs a batch.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

MAPPING = {
    "identifier": ".full_name",
    "title": ".name",
    "blueprint": '"repository"',
    "properties": {
        "url": ".html_url",
        "description": '.description // "none"',
        "language": ".language",
        "languages": ".languages | keys",
        "topics": '[.topics[] | select(startswith("team-") | not)]',
        "visibility": 'if .private then "private" else "public" end',
        "isArchived": ".archived",
        "stars": ".stargazers_count",
        "license": ".license.spdx_id",
        "pushedAt": '.pushed_at | sub("\\\\.[0-9]+"; "")',
        "openIssues": ".open_issues_count",
        "summary": '"\\(.owner.login)/\\(.name) has \\(.stargazers_count) stars"',
    },
    "relations": {
        "owner": ".owner.login | ascii_downcase",
        "team": '[.topics[] | select(startswith("team-"))] | first',
        "parent": ".parent.full_name",
    },
}
QUERY = '.archived == false and (.name | startswith("tmp-") | not)'


def repository(number: int) -> dict[str, Any]:
    """An object as large and as nested as a forge's repository."""
    name = f"service-{number}"
    base = f"https://forge.example.com/api/repos/shop/{name}"
    parts = (
        "branches commits compare contents contributors deployments downloads events forks hooks "
        "issues keys labels languages merges milestones notifications pulls releases stargazers "
        "statuses subscribers subscription tags teams trees"
    )
    return {
        "id": 700_000_000 + number,
        "name": name,
        "full_name": f"shop/{name}",
        "private": number % 3 == 0,
        "archived": False,
        "html_url": f"https://forge.example.com/shop/{name}",
        "description": None
        if number % 5
        else "Takes orders and hands them on, day and night. " * 3,
        "owner": {"login": "Shop", "id": 9, "type": "Organization", "site_admin": False},
        "language": "Go",
        "languages": {"Go": 120_000, "HTML": 900, "Makefile": 300},
        "topics": ["orders", f"team-{number % 20}", "backend", "critical"],
        "stargazers_count": number % 400,
        "open_issues_count": number % 30,
        "license": {"key": "apache-2.0", "spdx_id": "Apache-2.0", "name": "Apache License 2.0"},
        "created_at": "2024-02-03T04:05:06Z",
        "pushed_at": "2026-05-06T07:08:09.123Z",
        "parent": None,
        "permissions": {"admin": True, "push": True, "pull": True},
        **{f"{part}_url": f"{base}/{part}{{/number}}" for part in parts.split()},
        "custom_properties": [{"name": f"key-{n}", "value": f"value {n}"} for n in range(20)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--batch", type=int, default=200)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings.test")
    import django

    django.setup()
    run(options.count, options.batch)


def run(count: int, batch: int) -> None:
    import jq as binding
    import orjson

    from catalog.ingest.mapping import ResourceMapping, map_items, parse_mapping
    from catalog.kernel import jq

    document = {
        "kind": "repository",
        "selector": {"query": QUERY},
        "port": {"entity": {"mappings": MAPPING}},
    }
    [resource] = parse_mapping({"resources": [document]}).resources
    items = [repository(n) for n in range(count)]
    size = sum(len(orjson.dumps(one)) for one in items[:100]) / 100
    expressions = [QUERY, *(leaf.expression for leaf in resource.leaves if leaf.name != "query")]
    print(f"objects of {size:,.0f} bytes, {len(expressions)} expressions, batches of {batch}")

    def measure(label: str, number: int, work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        print(f"{label:34} {number / seconds:9,.0f} objects/s")
        return number / seconds

    few = items[: min(50, count)]
    start = "def env: {}; {} as $ENV | "
    once = [binding.compile(start + one) for one in expressions]
    measure(
        "compile per expression",
        len(few),
        lambda: [
            binding.compile(start + e).input_value(item).first()
            for item in few
            for e in expressions
        ],
    )
    some = items[: min(500, count)]
    usual = measure(
        "compile once, run one by one",
        len(some),
        lambda: [program.input_value(item).first() for item in some for program in once],
    )

    def sandboxed(part: list[dict[str, Any]], mapping: ResourceMapping = resource) -> int:
        return sum(
            len(map_items(mapping, part[n : n + batch]).entities)
            for n in range(0, len(part), batch)
        )

    assert sandboxed(items[:1]) == 1  # the child is warm, as it is in a sync
    ours = measure("sandbox", count, lambda: sandboxed(items))
    half = count // 2
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(sandboxed, [items[:1], items[1:2]]))
        measure(
            "two sandboxes",
            count,
            lambda: list(threads.map(sandboxed, [items[:half], items[half:]])),
        )
    print(f"{'sandbox / one by one':34} {ours / usual:9.1f} x")

    endless = f"if .id == {items[batch // 2]['id']} then last(range(infinite)) else .name end"
    program = jq.Program({"title": endless, "id": ".id"})
    jq.run(program, items[:1])
    began = time.perf_counter()
    outcomes = jq.run(program, items[:batch])
    stopped = sum(1 for one in outcomes if one.failure)
    seconds = time.perf_counter() - began
    print(
        f"{'a batch with one endless item':34} {seconds:9.2f} s  "
        f"({stopped} stopped, {len(outcomes) - stopped} mapped)"
    )


if __name__ == "__main__":
    main()
