"""A sync of many items: how quick, how large, and what a killed worker leaves.

    python bench/sync.py [--count 20000] [--page 100]

The source is a list made up on the spot, so what is measured is mapping, the door, ownership and
progress. Prints items a second of a first sync and of one that changes nothing, peak memory of
the worker at that size and at a tenth of it (JQ runs in a process of its own, which is limited),
and what was there after kill -9 in the middle and after the restart.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--page", type=int, default=100)
    parser.add_argument("--work", type=int, metavar="RUN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        import django

        django.setup()
        work(options.work)
        return
    with engines():
        run(options.count, options.page)


def toy_kind():
    """A source of made-up repositories, of the size of real ones."""
    from catalog.kernel.source import Page, ResourceKind, SourceKind

    class Bench(SourceKind):
        name, title, icon, description = "bench", "Bench", "", ""
        settings_schema = {"type": "object", "properties": {}}
        resources = (ResourceKind("repository", "Repositories", ".name"),)

        def check(self, connection):
            return []

        def fetch(self, connection, resource, selector, cursor=None):
            count, size = connection.settings["count"], connection.settings["page"]
            for start in range(cursor or 0, count, size):
                items = [item(n) for n in range(start, min(start + size, count))]
                yield Page(items, start + size if start + size < count else None)

        def blueprints(self):
            return []

        def mapping(self):
            return {}

        def samples(self):
            return {}

    return Bench()


def item(number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": f"repository-{number:06}",
        "full_name": f"acme/repository-{number:06}",
        "html_url": f"https://git.example/acme/repository-{number:06}",
        "description": f"Repository number {number} of many, which does what it says",
        "language": ["Python", "Go", "TypeScript", "Rust"][number % 4],
        "topics": ["team-" + str(number % 50), "platform"],
        "archived": number % 10 == 0,
        "owner": {"login": f"team-{number % 50}", "id": number % 50},
        "stargazers_count": number % 997,
        "urls": {name: f"https://api.git.example/{name}/{number}" for name in map(str, range(30))},
    }


MAPPING = {
    "resources": [
        {
            "kind": "repository",
            "selector": {"query": "true"},
            "port": {
                "entity": {
                    "mappings": {
                        "identifier": ".name",
                        "title": ".full_name",
                        "blueprint": '"repository"',
                        "properties": {
                            "url": ".html_url",
                            "description": ".description",
                            "language": ".language",
                            "topics": ".topics",
                            "archived": ".archived",
                            "stars": ".stargazers_count",
                        },
                        "relations": {"owner": ".owner.login"},
                    }
                }
            },
        }
    ]
}


def work(run_pk: int) -> None:
    """What a worker does with a run; prints its peak memory in MB."""
    from catalog.ingest.runner import run_sync
    from catalog.registry import register_source_kind

    register_source_kind(toy_kind())
    before = _peak_mb()
    while run_sync(run_pk):
        pass
    print(f"{_peak_mb():.0f} MB, {before:.0f} MB of it before")


def _peak_mb() -> float:
    """Of this program alone; `getrusage` would tell of the one that started it."""
    status = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def start(run_pk: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, f"--work={run_pk}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    )


def run(count: int, page: int) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from catalog.ingest.runs import request_sync
    from catalog.kernel.actors import Actor
    from catalog.models import Change, Entity, Owned, SyncRun
    from catalog.registry import register_source_kind
    from catalog.services.blueprints import ensure_blueprints
    from catalog.services.integrations import create_integration

    actor = Actor.system("bench")
    text = {"type": "string"}
    properties = {
        **dict.fromkeys(("url", "description", "language"), text),
        "topics": {"type": "array"},
        "archived": {"type": "boolean"},
        "stars": {"type": "number"},
    }
    owner = {"owner": {"target": "team", "title": "Owner"}}
    blueprints = {
        "team": {"identifier": "team", "title": "Team", "schema": {"properties": {}}},
        "repository": {
            "identifier": "repository",
            "title": "Repository",
            "schema": {"properties": properties},
            "relations": owner,
        },
    }
    ensure_blueprints(blueprints, actor=actor)
    register_source_kind(toy_kind())

    def source(name: str, size: int):
        return create_integration(
            identifier=name,
            kind="bench",
            actor=actor,
            settings={"count": size, "page": page},
            mapping=MAPPING,
        )

    def sync(integration, label: str, size: int) -> None:
        asked = request_sync(integration)
        worker = start(asked.pk)
        said, _ = worker.communicate()
        asked.refresh_from_db()
        assert asked.state == SyncRun.State.SUCCEEDED, asked.error
        seconds = (asked.ended_at - asked.started_at).total_seconds()
        print(f"{label:28} {seconds:7.1f} s {size / seconds:8,.0f} items/s   {said.strip()}")

    tenth = source("tenth", count // 10)
    sync(tenth, f"{count // 10:,} new", count // 10)
    Entity.objects.all().delete()
    everything = source("everything", count)
    sync(everything, f"{count:,} new", count)
    sync(everything, f"{count:,} unchanged", count)

    Entity.objects.all().delete()

    def facts(label: str, asked: SyncRun) -> None:
        asked.refresh_from_db()
        named = Entity.objects.filter(blueprint__identifier="repository")
        created = Change.objects.filter(
            action="create", model="entity", blueprint="repository", run=asked.name
        ).count()
        print(
            f"{label:28} {asked.state}: {named.count():,} repositories, "
            f"{Owned.objects.filter(kind='repository').count():,} owned, {created:,} creations in "
            f"the history, {asked.totals['created']:,} counted, "
            f"{asked.stale.get('deleted', 0)} deleted"
        )

    asked = request_sync(everything)
    worker = start(asked.pk)
    while Entity.objects.count() < count // 2:
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    facts("after kill -9 in the middle", asked)
    SyncRun.objects.filter(pk=asked.pk).update(
        heartbeat_at=timezone.now() - SyncRun.SILENCE - timedelta(seconds=1)
    )
    again = start(asked.pk)
    again.communicate()
    facts("after the restart", asked)


if __name__ == "__main__":
    main()
