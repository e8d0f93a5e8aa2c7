"""Compare what is stored with what it should be."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from catalog.services.doctor import Check, examine


class Command(BaseCommand):
    help = (
        "Compare computed values, edges and digests with what they are made from, after the "
        "background work that waits is done. Exits with 1 where something differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="mend what differs")

    def handle(self, *, fix: bool, **_: Any) -> None:
        checks = examine(fix=fix)
        self._print_table(checks)
        for check in checks:
            if check.examples:
                self._print_examples(check)
        bad = [check for check in checks if check.is_bad]
        if not bad:
            self.stdout.write(self.style.SUCCESS("All is well."))
            return
        hint = "" if fix else " Run it with --fix to mend what can be mended."
        self.stderr.write(self.style.ERROR(f"{len(bad)} checks found differences.{hint}"))
        raise SystemExit(1)

    def _print_table(self, checks: list[Check]) -> None:
        width = max(len(check.name) for check in checks)
        self.stdout.write(f"{'':{width}}  {'looked at':>10}  {'wrong':>8}  {'mended':>8}")
        for check in checks:
            line = (
                f"{check.name:{width}}  {check.looked_at:>10,}  {check.found:>8,}  "
                f"{check.mended:>8,}"
            )
            style = self.style.ERROR if check.is_bad else None
            self.stdout.write(line, style)
        self.stdout.write("")

    def _print_examples(self, check: Check) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(check.name))
        for finding in check.examples:
            self.stdout.write(f"  {finding.subject}: {finding.message}")
        if check.found > len(check.examples):
            self.stdout.write(f"  … and {check.found - len(check.examples):,} more")
        self.stdout.write("")
