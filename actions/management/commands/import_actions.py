"""Read actions from files."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from actions.services.importing import Given, Report, Status, import_actions, read_text
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError

SUFFIXES = (".yaml", ".yml", ".json")


class Command(BaseCommand):
    help = (
        "Import actions from YAML or JSON files, or from all such files of folders. Says of each "
        "whether it was created, updated, unchanged or refused, and why; never stops at one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument(
            "--dry-run", action="store_true", help="check everything and store nothing"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *, paths: list[Path], dry_run: bool, **given: Any) -> None:
        for path in paths:
            if not path.exists():
                raise CommandError(f"{path}: there is no such file or folder.")
        try:
            report = import_actions(
                _read(paths), actor=Actor.system("import_actions"), is_dry_run=dry_run
            )
        except IdpError as error:
            raise CommandError(str(error)) from error
        if given["format"] == "json":
            shown = {
                "actions": [one.as_dict() for one in report.items],
                "counts": report.counts,
                "dry_run": dry_run,
            }
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        else:
            self._print(report, is_dry_run=dry_run)
        if report.refused:
            count = len(report.refused)
            raise CommandError(f"{count} action{' was' if count == 1 else 's were'} refused.")

    def _print(self, report: Report, *, is_dry_run: bool) -> None:
        for one in report.items:
            paint = self.style.ERROR if one.status is Status.REFUSED else self.style.SUCCESS
            self.stdout.write(f"{paint(f'{one.status.value:<9}')}  {one.identifier}  {one.place}")
            if one.reason:
                self.stdout.write(f"           {one.reason}")
        self.stdout.write(", ".join(f"{count} {name}" for name, count in report.counts.items()))
        if is_dry_run:
            self.stdout.write("Dry run: nothing was stored.")


def _read(paths: list[Path]) -> Iterator[Given]:
    for path in paths:
        files = (
            sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
            if path.is_dir()
            else [path]
        )
        for file in files:
            try:
                text = file.read_bytes()
            except OSError as error:
                yield Given(str(file), error=str(error))
                continue
            yield from read_text(text, name=str(file))
