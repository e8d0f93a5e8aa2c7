#!/usr/bin/env python
"""Runs a command, on the embedded engines where the environment names no others."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

# Commands that need neither PostgreSQL nor Redis.
_ALONE = {
    *("check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help"),
    *("makemessages", "makemigrations", "spectacular", "startapp", "startproject", "version"),
}


def _needs_engines(arguments: list[str]) -> bool:
    """Whether the command works on the database: unknown ones do."""
    if not arguments or {"-h", "--help", "--version"} & set(arguments):
        return False
    return arguments[0] not in _ALONE


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    from idp import embedded

    if arguments[:1] == ["up"]:
        # The supervisor lives long and needs no Django in its memory.
        from idp import supervisor

        return supervisor.main(arguments[1:])

    needed = embedded.missing() if _needs_engines(arguments) else []
    try:
        home = Path(os.environ.get("IDP_HOME") or ".idp")
        with embedded.attach(home, names=needed) if needed else nullcontext() as engines:
            if engines is not None:
                os.environ.update(engines.urls)
                for note in engines.notes:
                    print(note, file=sys.stderr)
            return _run_django(arguments)
    except embedded.EmbeddedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run_django(arguments: list[str]) -> int:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        settings.INSTALLED_APPS  # noqa: B018 - reads the settings, whose errors are for people
    except ImproperlyConfigured as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    execute_from_command_line([sys.argv[0], *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
