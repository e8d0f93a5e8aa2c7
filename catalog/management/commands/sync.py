"""Sync sources from the shell."""

from __future__ import annotations

import threading
import time
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from catalog import tasks
from catalog.ingest import runs
from catalog.ingest.runner import run_sync
from catalog.kernel.errors import IdpError
from catalog.models import Integration, SyncMessage, SyncRun

LOOK_EVERY_S: Final = 1.0
LINES: Final = 20  # of the log, at the end of a run
COLUMNS: Final = ("fetched", "filtered", "failed", "created", "updated", "unchanged", "rejected")


class Command(BaseCommand):
    help = (
        "Sync one source, or all that are on and run here. Without --wait a worker does it later. "
        "Exits with 0 when all went well, 1 when a run failed or was cancelled, 2 when one "
        "completed with errors."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("identifier", nargs="?", metavar="IDENTIFIER")
        parser.add_argument(
            "--kind",
            action="append",
            default=[],
            metavar="KIND",
            help="only this kind of the mapping; may be given several times",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and store nothing"
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help="do it now, here, and print the progress and what came of it",
        )

    def handle(
        self, *, identifier: str | None, kind: list[str], dry_run: bool, wait: bool, **_: Any
    ) -> None:
        asked = [self._ask(one, kind, dry_run) for one in self._sources(identifier)]
        if not asked:
            self.stdout.write("There is no source that is on and runs here.")
        if not wait:
            for run in asked:
                tasks.start_sync(run)
                self.stdout.write(f"{run.integration.identifier}: run {run.pk} is queued")
            return
        states = {self._follow(run).state for run in asked}
        bad = {SyncRun.State.FAILED, SyncRun.State.CANCELLED}
        if states & bad:
            raise CommandError("A run failed or was cancelled.", returncode=1)
        if SyncRun.State.PARTIAL in states:
            raise CommandError("A run completed with errors.", returncode=2)

    def _sources(self, identifier: str | None) -> list[Integration]:
        sources = Integration.objects.exclude(kind=Integration.WEBHOOK)
        if identifier is None:
            return list(sources.filter(runs_here=True, is_enabled=True))
        found = sources.filter(identifier=identifier).first()
        if found is None:
            known = ", ".join(sources.values_list("identifier", flat=True)) or "none"
            raise CommandError(f'There is no source "{identifier}"; there are: {known}.')
        return [found]

    def _ask(self, source: Integration, kinds: list[str], is_dry_run: bool) -> SyncRun:
        try:
            return runs.request_sync(
                source,
                trigger=SyncRun.Trigger.MANUAL,
                requested_by="manage.py sync",
                only_kinds=kinds,
                is_dry_run=is_dry_run,
            )
        except IdpError as error:
            raise CommandError(str(error)) from error

    def _follow(self, run: SyncRun) -> SyncRun:
        """Work on a run, or watch whoever has it; returns it when it is over."""
        name = run.integration.identifier
        started = time.monotonic()
        ends = threading.Event()
        printer = threading.Thread(target=self._print_progress, args=(run.pk, ends), daemon=True)
        printer.start()
        try:
            while True:
                if run_sync(run.pk):
                    continue
                run.refresh_from_db()
                if run.is_finished:
                    break
                time.sleep(LOOK_EVERY_S)  # it waits for another run, or a worker was quicker
        except KeyboardInterrupt:
            runs.cancel(run)
            self.stderr.write(f"{name}: cancelled")
        finally:
            ends.set()
            printer.join()
        self._print_result(run, time.monotonic() - started)
        return run

    def _print_progress(self, pk: int, ends: threading.Event) -> None:
        said = ""
        try:
            while not ends.wait(LOOK_EVERY_S):
                run = SyncRun.objects.filter(pk=pk).first()
                if run is None:
                    continue
                now = next((one for one in run.kinds if one["state"] == "running"), None)
                text = f"{run.get_state_display()}"
                if now:
                    text = f"{now['kind']}: page {now['pages']}, {now['fetched']:,} fetched"
                if text != said:
                    said = text
                    self.stderr.write(f"  {text}", self.style.NOTICE)
        finally:
            connection.close()

    def _print_result(self, run: SyncRun, seconds: float) -> None:
        write = self.stdout.write
        what = " (dry run: nothing was stored)" if run.is_dry_run else ""
        write(
            f"{run.integration.identifier}: {run.get_state_display()}{what}, run {run.pk}, "
            f"{seconds:.1f} s"
        )
        width = max([len(one["kind"]) for one in run.kinds] or [0])
        write("  " + " " * width + "".join(f"{name:>11}" for name in COLUMNS))
        for one in run.kinds:
            numbers = "".join(f"{one[name]:>11,}" for name in COLUMNS)
            trouble = f"  {one['state']}: {one['message']}" if one["message"] else ""
            write(f"  {one['kind']:<{width}}{numbers}{trouble}")
        if run.error:
            write(f"  {run.error}")
        if reason := run.stale.get("reason"):
            write(f"  Gone: {reason}")
        lines = SyncMessage.objects.filter(run=run, level__in=["error", "warning"])
        for line in lines.exclude(stage="fetch")[:LINES]:
            where = " ".join(part for part in (line.blueprint, line.identifier, line.field) if part)
            write(f"  {line.level}: {where}: {line.message}" if where else f"  {line.message}")
        if (more := lines.exclude(stage="fetch").count() - LINES) > 0:
            write(f"  … {more:,} more lines in the log of the run")
