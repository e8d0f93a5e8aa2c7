"""Read catalogue files of Backstage into the catalogue, and what else apps take from files."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.dialects.backstage.reading import NO_ENTITY, Report
from catalog.dialects.imports import ImportOptions, ImportResult, import_files
from catalog.ingest.locations.reader import PlaceReader
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError

MANY = 20  # files without entities are named up to here
STATUSES = ("created", "updated", "unchanged", "rejected")


class Command(BaseCommand):
    help = (
        "Import catalogue files: files, folders or shell patterns, and what their Locations name. "
        "Scorecards of Cortex and Port that lie there are imported, too. "
        "Reports every rejected document with file, line and reason; never stops at one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH")
        parser.add_argument(
            "--dry-run", action="store_true", help="check everything and store nothing"
        )
        parser.add_argument(
            "--strict",
            action="store_true",
            help="as Backstage does, leave out a whole file for one document that is no entity",
        )
        parser.add_argument(
            "--create-kinds",
            action="store_true",
            help="make blueprints for kinds that Backstage does not know",
        )
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="move entities here that another file holds",
        )
        parser.add_argument(
            "--root",
            action="append",
            default=[],
            metavar="FOLDER",
            help="a further folder whose files may be named by Locations and placeholders",
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--fail-on-rejected",
            action="store_true",
            help="exit with 1 when a document was rejected",
        )

    def handle(self, *, paths: list[str], verbosity: int, **given: Any) -> None:
        roots = tuple(Path(root) for root in given["root"])
        for root in roots:
            if not root.is_dir():
                raise CommandError(f"--root {root}: there is no such folder.")
        readers = ExitStack()
        options = ImportOptions(
            dry_run=given["dry_run"],
            strict=given["strict"],
            create_kinds=given["create_kinds"],
            take_over=given["take_over"],
            roots=roots,
            reader=lambda workspace: readers.enter_context(PlaceReader(workspace)),
            takes_others=True,
        )
        started = time.monotonic()
        try:
            with readers:
                result = import_files(
                    paths,
                    actor=Actor.system("import_catalog"),
                    options=options,
                    progress=self._progress,
                )
        except IdpError as error:
            raise CommandError(str(error)) from error
        seconds = time.monotonic() - started
        if given["format"] == "json":
            answer = {**result.as_dict(), "dry_run": options.dry_run, "seconds": round(seconds, 3)}
            self.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False))
        else:
            self._print_journal(result, verbosity)
            self._print_counts(result)
            self.stdout.write(
                f"{result.journal.documents} documents in {result.journal.files} files, "
                f"{seconds:.1f} s"
            )
            if options.dry_run:
                self.stdout.write("Dry run: nothing was stored.")
        if not result.journal.files:
            raise CommandError("No catalogue file was read.")
        if given["fail_on_rejected"] and result.journal.rejected:
            raise CommandError(f"{len(result.journal.rejected)} documents were rejected.")

    def _progress(self, result: ImportResult) -> None:
        totals = result.totals
        said = ", ".join(f"{totals[status]} {status}" for status in STATUSES if totals[status])
        self.stderr.write(f"{result.journal.files} files: {said}", self.style.NOTICE)

    def _print_journal(self, result: ImportResult, verbosity: int) -> None:
        write, heading = self.stdout.write, self.style.MIGRATE_HEADING
        journal = result.journal
        for title, reports in (("Rejected", journal.rejected), ("Warnings", journal.warnings)):
            if reports:
                write(heading(f"{title}: {len(reports)}"))
                for report in reports:
                    self._print_report(report)
                write("")
        if journal.skipped:
            write(heading(f"Skipped files: {len(journal.skipped)}"))
            without = sum(reason == NO_ENTITY for reason in journal.skipped.values())
            is_short = without > MANY and verbosity < 2
            for file, reason in journal.skipped.items():
                if reason != NO_ENTITY or not is_short:
                    write(f"  {file}: {reason}")
            if is_short:
                write(f"  {without} files: {NO_ENTITY} (--verbosity 2 names them)")
            write("")

    def _print_counts(self, result: ImportResult) -> None:
        counts = {name or "unreadable": count for name, count in result.counts.items()}
        counts["all"] = result.totals
        width = max(map(len, counts))
        self.stdout.write(" " * width + "".join(f"{status:>11}" for status in STATUSES))
        for name, count in counts.items():
            numbers = "".join(f"{count[status]:>11}" for status in STATUSES)
            self.stdout.write(f"{name:<{width}}{numbers}")
        if result.created_blueprints:
            self.stdout.write(f"New blueprints: {', '.join(result.created_blueprints)}")

    def _print_report(self, report: Report) -> None:
        name = f" {report.entity}" if report.entity else ""
        self.stdout.write(f"  {report.file}:{report.line}{name}")
        for finding in report.findings:
            place = f"line {finding.line}: " if finding.line != report.line else ""
            hint = f" {finding.hint}" if finding.hint else ""
            self.stdout.write(f"      {place}{finding.message}.{hint}")
