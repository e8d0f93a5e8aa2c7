"""What watching many locations costs: a round in which nothing changed, and one change.

    python bench/locations.py [--count 10000] [--urls 2000] [--first 300]

Prints for files, then for addresses on a server of its own: seconds and statements of the first
reading (of some; the others are put there as if they had been read) and of a round without changes
(CPU of this process alone), and the seconds from the change of one file until its entity shows it,
with all locations due at that moment.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines

DOCUMENT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
  annotations: {{github.com/project-slug: example/{name}}}
  tags: [java, bench]
spec: {{type: service, lifecycle: {lifecycle}, owner: team-a}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--urls", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, engines():
        from django.conf import settings

        from catalog.services import catalog_settings

        settings.IDP_FILES = [folder]
        run("files", "file", options.count, options.first, Path(folder), "")
        with served(folder) as url:
            host = url.partition("//")[2]
            settings.IDP_HTTP_ALLOW = ["127.0.0.1"]
            catalog_settings.update(actor=actor(), reading_allow=[{"host": host}])
            run("addresses", "url", options.urls, options.first, Path(folder), url)


def run(title: str, type: str, count: int, first: int, folder: Path, url: str) -> None:
    from django.utils import timezone

    from catalog.ingest.locations import due, refresh
    from catalog.ingest.locations.registering import entity_ref_of
    from catalog.models import Entity, Location

    Location.objects.update(next_refresh_at=None)
    now = timezone.now()
    rows = []
    for number in range(count):
        name = f"{type}-{number}"
        path = folder / f"{name}.yaml"
        write(path, name, "production")
        target = f"{url}/{path.name}" if url else str(path)
        rows.append(
            Location(
                type=type,
                target=target,
                entity_ref=entity_ref_of(type, target),
                next_refresh_at=now,
                created_at=now,
                created_by="bench",
                updated_at=now,
                updated_by="bench",
            )
        )
    Location.objects.bulk_create(rows, batch_size=1000)
    as_if_read(rows[first:])
    print(f"{count:,} {title}")

    def all_due() -> int:
        pks = [row.pk for row in rows]
        Location.objects.filter(pk__in=pks).update(next_refresh_at=timezone.now())
        return 0

    def round_() -> int:
        seen = 0
        while found := refresh.refresh_due():
            seen += found
        return seen

    measure("first reading", round_)
    all_due()
    measure("nothing changed", round_)
    all_due()
    measure("nothing changed", round_)
    name = f"{type}-{first // 2}"
    write(folder / f"{name}.yaml", name, "experimental")
    all_due()
    start = time.perf_counter()
    while True:
        refresh.refresh_due()
        entity = Entity.objects.get(blueprint__identifier="component", identifier=name)
        if entity.properties["lifecycle"] == "experimental":
            break
    print(f"  one changed among all that are due: {time.perf_counter() - start:.2f} s")
    place = f"url:{url}/{name}.yaml" if url else f"file:{folder / name}.yaml"
    write(folder / f"{name}.yaml", name, "deprecated")
    round_()
    start = time.perf_counter()
    due.refresh_places([place])
    refresh.refresh_due()
    entity.refresh_from_db()
    assert entity.properties["lifecycle"] == "deprecated"
    print(f"  one changed, told by a push: {time.perf_counter() - start:.3f} s")


def as_if_read(rows: list[Any]) -> None:
    """Put there what a reading leaves behind, but for the entities."""
    from django.utils import timezone

    from catalog.dialects.backstage.reader import content_hash
    from catalog.ingest.locations.reader import PlaceReader
    from catalog.ingest.locations.walking import Lead
    from catalog.models import Location, LocationFile

    now = timezone.now()
    files = []
    with PlaceReader() as reader:
        for row in rows:
            read = reader.read(row.place)
            root = Lead(row.entity_ref, row.place, row.target, files=(row.place,))
            files.append(
                LocationFile(
                    location=row,
                    place=row.place,
                    etag=read.etag,
                    content_hash=content_hash(read.content),
                    targets=[root.as_dict()],
                    read_at=now,
                )
            )
    LocationFile.objects.bulk_create(files, batch_size=1000)
    pks = [row.pk for row in rows]
    Location.objects.filter(pk__in=pks).update(state="ready", next_refresh_at=None)


def measure(title: str, work: Callable[[], int]) -> None:
    from django.db import connection

    with counted(connection) as statements:
        start, cpu = time.perf_counter(), time.process_time()
        seen = work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"  {title:16} {seen:6,} looked at  {seconds:7.2f} s  {cpu:6.2f} s CPU  "
        f"{statements[0]:7,} statements"
    )


@contextmanager
def counted(connection: object) -> Iterator[list[int]]:
    """How many statements this process sends meanwhile."""
    count = [0]

    def wrapper(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        count[0] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):  # type: ignore[attr-defined]
        yield count


def write(path: Path, name: str, lifecycle: str) -> None:
    path.write_text(DOCUMENT.format(name=name, lifecycle=lifecycle))
    os.utime(path, (time.time() - 60, time.time() - 60))


def actor():  # type: ignore[no-untyped-def]
    from catalog.kernel.actors import Actor

    return Actor.system("bench")


# --- a server ---------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet

    def __init__(self, folder: str, *args: object) -> None:
        self.folder = folder
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        content = Path(self.folder, Path(self.path).name).read_bytes()
        etag = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"'
        is_same = self.headers.get("if-none-match") == etag
        self.send_response(304 if is_same else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", "0" if is_same else str(len(content)))
        self.end_headers()
        if not is_same:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def serve(folder: str, ports: multiprocessing.Queue[int]) -> None:
    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), partial(Handler, folder))
    ports.put(server.server_port)
    server.serve_forever()


@contextmanager
def served(folder: str) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=serve, args=(folder, ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.terminate()


if __name__ == "__main__":
    main()
