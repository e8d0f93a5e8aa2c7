"""Entities through the door, beside a bare COPY of the very rows that came of it.

    python bench/ingest.py [--count 50000] [--batch 2000]

Prints entities a second, peak memory of this process, statements a batch, and the ratio to COPY
into tables with the same columns, generated columns, constraints and indexes. Foreign keys are
on the door's side only.
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import engines

TABLES = ("catalog_entity", "catalog_relation", "catalog_change")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=2_000)
    options = parser.parse_args()
    with engines():
        run(options.count, options.batch)


def run(count: int, batch: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from organisation import BLUEPRINTS, organisation

    from catalog.kernel.actors import Actor
    from catalog.services.blueprints import ensure_blueprints
    from catalog.services.entities import apply

    actor = Actor.system("bench")
    ensure_blueprints(BLUEPRINTS, actor=actor)
    drafts = list(organisation(count))
    before = _peak_mb()

    def through_the_door(label: str) -> float:
        seconds = 0.0
        for start in range(0, len(drafts), batch):
            part = drafts[start : start + batch]
            t = time.perf_counter()
            result = apply(part, mode="replace", actor=actor, missing_targets="dangle")
            seconds += time.perf_counter() - t
            assert not result.rejected, result.rejected[0].error
        print(f"{label:34} {seconds:7.2f} s  {count / seconds:9,.0f} entities/s")
        return seconds

    first = through_the_door(f"door, {count:,} new")
    through_the_door(f"door, {count:,} unchanged")
    for size in (100, batch):
        with CaptureQueriesContext(connection) as captured:
            changed = [
                d.__class__(**{**_fields(d), "title": f"changed {size}"}) for d in drafts[-size:]
            ]
            apply(changed, mode="replace", actor=actor, missing_targets="dangle")
        print(f"{'statements, batch of ' + format(size, ',') + ' changed':34} {len(captured):7}")
    print(f"{'peak memory of this process':34} {_peak_mb():7.0f} MB ({before:.0f} MB of it input)")
    copied = bare_copy()
    print(f"{'door / COPY':34} {first / copied:7.2f} x")


def bare_copy() -> float:
    """COPY all rows of the three tables into equal empty ones; returns seconds."""
    from django.db import connection

    total = 0.0
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TABLE copied_{table} (LIKE {table} INCLUDING ALL)")
            cursor.execute(
                "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) "
                "FROM information_schema.columns WHERE table_name = %s "
                "AND table_schema = 'public' AND is_generated = 'NEVER'",
                [table],
            )
            columns = cursor.fetchone()[0]
            buffer = io.BytesIO()
            with cursor.copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT") as out:
                for data in out:
                    buffer.write(data)
            t = time.perf_counter()
            with cursor.copy(f"COPY copied_{table} ({columns}) FROM STDIN") as into:
                view = buffer.getbuffer()
                for start in range(0, len(view), 1 << 16):
                    into.write(view[start : start + (1 << 16)])
            seconds = time.perf_counter() - t
            total += seconds
            cursor.execute(f"SELECT count(*) FROM copied_{table}")
            rows = cursor.fetchone()[0]
            print(f"{'COPY ' + table:34} {seconds:7.2f} s  {rows / seconds:9,.0f} rows/s")
    print(f"{'COPY, all three':34} {total:7.2f} s")
    return total


def _fields(draft: object) -> dict[str, object]:
    return {name: getattr(draft, name) for name in draft.__dataclass_fields__}  # type: ignore[attr-defined]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
