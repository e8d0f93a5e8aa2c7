"""A throw-away home with the embedded engines and an empty, migrated database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from idp import embedded


@contextmanager
def engines() -> Iterator[None]:
    """Data is flushed to disk as in production; the home is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as home:
        os.environ.update(
            IDP_HOME=home,
            IDP_SECRET_KEY="for a bench that signs nothing " * 2,
            DJANGO_SETTINGS_MODULE="idp.settings",
        )
        for variable in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(variable, None)
        with embedded.attach(Path(home)) as started:
            os.environ.update(started.urls)
            import django
            from django.core.management import call_command
            from django.db import connection

            django.setup()
            call_command("migrate", verbosity=0)
            call_command("collectstatic", interactive=False, verbosity=0)
            yield
            connection.close()
