"""Runs of a webhook action from start to delivery, beside the bare calls of the same receiver; and
what automations make of a bulk of changes.

python bench/runs.py [--count 1000]
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engines import engines

BLUEPRINT = {
    "identifier": "service",
    "title": "Service",
    "schema": {"properties": {"tier": {"type": "string"}}},
}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["IDP_HTTP_ALLOW"] = "127.0.0.1"
    with engines():
        measure(f"http://127.0.0.1:{server.server_port}/hook", count)
    server.shutdown()


def measure(url: str, count: int) -> None:
    from actions import dispatching
    from actions.models import Firing
    from actions.services.definitions import create_action
    from actions.services.starting import start_run
    from catalog.kernel import feed
    from catalog.kernel.actors import Actor, Insider
    from catalog.kernel.http import Client
    from catalog.registry import feed_consumers
    from catalog.services.blueprints import create_blueprint
    from catalog.services.entities import EntityDraft, Mode, apply

    actor = Actor.system("bench")
    body = {"name": "{{ .inputs.name }}", "run": "{{ .run.id }}"}
    create_blueprint(BLUEPRINT, actor=actor)
    create_action(
        {
            "identifier": "hook",
            "trigger": {
                "type": "self-service",
                "operation": "CREATE",
                "userInputs": {"properties": {"name": {"type": "string"}}},
            },
            "invocationMethod": {"type": "WEBHOOK", "url": url, "body": body},
        },
        actor=actor,
    )

    began = time.perf_counter()
    with Client() as client:
        for number in range(count):
            client.post(url, json={"name": f"n{number}", "run": "r"}, expect=(202,))
    bare = time.perf_counter() - began
    say("bare calls", bare, count)

    began = time.perf_counter()
    runs = [
        start_run("hook", {"properties": {"name": f"n{n}"}}, principal=Insider(), actor=actor)
        for n in range(count)
    ]
    started = time.perf_counter() - began
    say("started", started, count)

    began = time.perf_counter()
    for run in runs:
        dispatching.dispatch(run.pk)
    delivered = time.perf_counter() - began
    say("delivered", delivered, count)
    print(f"  started and delivered: {(started + delivered) / bare:.1f} times the bare calls")

    create_action(
        {
            "identifier": "gold",
            "trigger": {
                "type": "automation",
                "event": {"type": "ENTITY_CREATED", "blueprintIdentifier": "service"},
                "condition": {
                    "type": "JQ",
                    "expressions": ['.diff.after.properties.tier == "gold"'],
                    "combinator": "and",
                },
            },
            "invocationMethod": {"type": "WEBHOOK", "url": url, "body": body},
            "publish": True,
        },
        actor=actor,
    )
    follow = feed_consumers["actions.automations"]
    while feed.consume("actions.automations", follow):
        pass
    for start in range(0, 10 * count, 1000):
        tiers = ["gold" if n % 100 == 0 else "silver" for n in range(start, start + 1000)]
        apply(
            [
                EntityDraft("service", f"s{start + n}", properties={"tier": tier})
                for n, tier in enumerate(tiers)
            ],
            mode=Mode.CREATE,
            actor=actor,
        )
    began = time.perf_counter()
    while feed.consume("actions.automations", follow):
        pass
    spent = time.perf_counter() - began
    say("changes heard by an automation", spent, 10 * count)
    print(f"  {Firing.objects.count():,} of them started a run")


def say(what: str, seconds: float, count: int) -> None:
    print(f"  {what}: {count:,} in {seconds:.2f} s, {1000 * seconds / count:.2f} ms each")


if __name__ == "__main__":
    main()
