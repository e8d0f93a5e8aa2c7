"""`manage.py prepare`: what must be done before the processes of a new version start."""

import argparse
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from catalog.kernel.errors import IdpError
from idp import bootstrap, health
from idp import demo as organisation


class Command(BaseCommand):
    help = (
        "Migrate the database, collect the static files, and make the first user and API client "
        "where there are none. Harmless to repeat."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--demo",
            action=argparse.BooleanOptionalAction,
            default=None,
            help="load the demo organisation, or do not (at first run)",
        )

    def handle(self, *, demo: bool | None, **_: Any) -> None:
        self._find_engines()
        with self._step("database"):
            call_command("migrate", interactive=False, verbosity=0)
        with self._step("static files"):
            self._collect_static()
        first = bootstrap.is_first_run()
        # Before the first user: a first run that was cut short is then still a first run.
        with_demo = demo or (demo is None and first)
        if with_demo:
            with self._step("demo"):
                organisation.load()
        kept = Path(settings.IDP_HOME) / "credentials"
        try:
            # Kept before they are true, so that a kill in between locks nobody out.
            with transaction.atomic():
                made = bootstrap.make_access(
                    password=os.environ.get("IDP_ADMIN_PASSWORD", ""),
                    client_id=os.environ.get("IDP_CLIENT_ID", ""),
                    client_secret=os.environ.get("IDP_CLIENT_SECRET", ""),
                )
                bootstrap.keep(made, kept)
        except IdpError as error:
            raise CommandError(f"The first user and client were not made: {error}") from error
        if with_demo:
            organisation.adopt_admin()
        if lines := made.lines():
            self.stdout.write(f"\nShown this once, and kept in {kept}:")
            self.stdout.write("".join(f"  {line}\n" for line in lines))

    def _find_engines(self) -> None:
        """Say in one line which server is away, before anything stumbles over it."""
        try:
            health.probe_database()
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"PostgreSQL does not answer, see DATABASE_URL: {reason}") from error
        try:
            health.probe_redis()
        except redis.RedisError as error:
            raise CommandError(f"Redis does not answer, see REDIS_URL: {error}") from error

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began_at = time.monotonic()
        yield
        self.stdout.write(f"{name:<12} {time.monotonic() - began_at:5.1f} s")
        self.stdout.flush()

    def _collect_static(self) -> None:
        """Collect the static files unless the same ones have been collected already."""
        root = Path(settings.STATIC_ROOT)
        stamp = root.parent / "static.stamp"
        wanted = _fingerprint_of_static_files()
        if root.is_dir() and stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        call_command("collectstatic", interactive=False, verbosity=0, clear=True)
        stamp.write_text(wanted)


def _fingerprint_of_static_files() -> str:
    """Return a digest of name, size and time of every file that would be collected."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            facts = os.stat(storage.path(path))
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
