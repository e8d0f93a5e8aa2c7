"""Take the configuration of Backstage, or of a Cortex-like portal, over."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from catalog.dialects.backstage.config import FilesOnDisk
from catalog.ingest.configuration import Report, Status, import_configuration
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError
from catalog.services.permissions import actor_of, can_administer


class Command(BaseCommand):
    help = (
        "Import configuration files: app-config.yaml of Backstage, several of which are merged "
        "from left to right, and those of Cortex. Says of every line what it became, or what to do "
        "instead. Variables come from the environment; what is refused stores nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument(
            "--dry-run", action="store_true", help="check everything and store nothing"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--as", dest="user", metavar="USER", help="an administrator whom the history names"
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="remove locations that an earlier configuration named and this one does not",
        )

    def handle(self, *, files: list[str], verbosity: int, **given: Any) -> None:
        actor = _actor(given["user"])
        folders = dict.fromkeys(str(Path(one).resolve().parent) for one in files)
        try:
            report = import_configuration(
                files,
                files=FilesOnDisk(),
                environ=os.environ,
                actor=actor,
                folders=list(folders),
                is_dry_run=given["dry_run"],
                prune=given["prune"],
            )
        except IdpError as error:
            raise CommandError(str(error)) from error
        if given["format"] == "json":
            self.stdout.write(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
        else:
            self._print(report)
        if report.refused:
            raise CommandError(f"{len(report.refused)} values were refused, so nothing was stored.")

    def _print(self, report: Report) -> None:
        write = self.stdout.write
        paint = {
            Status.TAKEN: self.style.SUCCESS,
            Status.PARTLY: self.style.WARNING,
            Status.UNSUPPORTED: self.style.WARNING,
            Status.REFUSED: self.style.ERROR,
        }
        file = ""
        width = min(60, max((len(one.key) for one in report.lines), default=0))
        for one in report.lines:
            place = one.file if one.line else "environment"
            if place != file:
                file = place
                write(self.style.MIGRATE_HEADING(file))
            status = paint.get(one.status, str)(f"{one.status.value:<19}")
            where = f"{one.line:>5}" if one.line else one.file
            write(f"{where}  {one.key:<{width}}  {status}  {one.message}")
        write("")
        if report.leftovers:
            write("No longer named, and kept (--prune removes them):")
            for place in report.leftovers:
                write(f"  {place}")
        if report.unset:
            write(f"Secrets that are not set yet: {', '.join(report.unset)}")
        if report.is_stored or report.is_dry_run:
            heading = "Would be written:" if report.is_dry_run else "Written:"
            write(heading if report.changes else "Nothing changes.")
            for change in report.changes:
                write(f"  {change}")
        write(", ".join(f"{count} {status}" for status, count in report.counts.items()))
        if report.is_dry_run:
            write("Dry run: nothing was stored.")


def _actor(name: str | None) -> Actor:
    """Raises CommandError unless `name` is an administrator; without a name it is the command."""
    if not name:
        return Actor.system("import_config")
    user = get_user_model()._default_manager.filter(username=name).first()
    if user is None:
        raise CommandError(f"--as {name}: there is no such user.")
    if not can_administer(user):
        raise CommandError(f"--as {name}: this takes an administrator.")
    return actor_of(user)
