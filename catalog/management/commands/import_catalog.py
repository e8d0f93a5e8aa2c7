"""Read catalogue files of Backstage into the catalogue."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError
from catalog.services.imports import (
    NO_ENTITY,
    ImportOptions,
    ImportResult,
    Report,
    import_files,
)

STATUSES = ("created", "updated", "unchanged", "rejected")


class Command(BaseCommand):
    help = (
        "Import catalogue files: files, folders or shell patterns, and what their Locations name. "
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
            help="leave out a whole file for one broken document in it, as Backstage does",
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

    def handle(self, *, paths: list[str], **given: Any) -> None:
        options = ImportOptions(
            dry_run=given["dry_run"],
            strict=given["strict"],
            create_kinds=given["create_kinds"],
            take_over=given["take_over"],
            roots=tuple(Path(root) for root in given["root"]),
        )
        started = time.monotonic()
        try:
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
            answer = {**result.as_dict(), "dryRun": options.dry_run, "seconds": round(seconds, 3)}
            self.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False))
        else:
            self._print(result, seconds, options, given["verbosity"])
        if not result.files:
            raise CommandError("No catalogue file was read.")
        if given["fail_on_rejected"] and result.rejected:
            raise CommandError(f"{len(result.rejected)} documents were rejected.")

    def _progress(self, result: ImportResult) -> None:
        totals = result.totals
        said = ", ".join(f"{totals[status]} {status}" for status in STATUSES if totals[status])
        self.stderr.write(f"{result.files} files: {said}", self.style.NOTICE)

    def _print(
        self, result: ImportResult, seconds: float, options: ImportOptions, verbosity: int
    ) -> None:
        write = self.stdout.write
        for title, reports in (("Rejected", result.rejected), ("Warnings", result.warnings)):
            if reports:
                write(self.style.MIGRATE_HEADING(f"{title}: {len(reports)}"))
                for report in reports:
                    self._print_report(report)
                write("")
        if result.skipped:
            write(self.style.MIGRATE_HEADING(f"Skipped files: {len(result.skipped)}"))
            without = [file for file, reason in result.skipped if reason == NO_ENTITY]
            for file, reason in result.skipped:
                if reason != NO_ENTITY or verbosity > 1:
                    write(f"  {file}: {reason}")
            if without and verbosity <= 1:
                write(f"  {len(without)} files: {NO_ENTITY} (--verbosity 2 names them)")
            write("")
        width = max((len(name) for name in result.counts), default=0)
        width = max(width, len("unreadable"))
        write(" " * width + "".join(f"{status:>11}" for status in STATUSES))
        for name, counts in sorted(result.counts.items()):
            numbers = "".join(f"{counts[status]:>11}" for status in STATUSES)
            write(f"{name or 'unreadable':<{width}}{numbers}")
        totals = result.totals
        write(f"{'all':<{width}}" + "".join(f"{totals[status]:>11}" for status in STATUSES))
        if result.created_blueprints:
            write(f"New blueprints: {', '.join(result.created_blueprints)}")
        write(f"{result.documents} documents in {result.files} files, {seconds:.1f} s")
        if options.dry_run:
            write("Dry run: nothing was stored.")

    def _print_report(self, report: Report) -> None:
        name = f" {report.entity}" if report.entity else ""
        self.stdout.write(f"  {report.file}:{report.line}{name}")
        for finding in report.findings:
            place = f"line {finding.line}: " if finding.line != report.line else ""
            hint = f" {finding.hint}" if finding.hint else ""
            self.stdout.write(f"      {place}{finding.message}.{hint}")
