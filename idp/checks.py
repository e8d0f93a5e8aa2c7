"""System checks of the settings: `manage.py check`, and `manage.py check --deploy` for production.

idp.E001 no lasting secret key · E002 flag · E003 number · E004 choice · E005 address · E006 to E008
URL of PostgreSQL, Redis, e-mail · E009 PostgreSQL too old · E010 unknown plugin · E011 broken
plugin · E012 allow-list · E013 encryption keys · E014 proxy · E015 file · W001 plain HTTP · W002
short metrics token · W003 embedded engines.
"""

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OLDEST_POSTGRES = 15
_SHORTEST_TOKEN = 20


@register
def settings_are_understood(**_: Any) -> list[CheckMessage]:
    """Report each variable whose value was not understood."""
    return [Error(problem.message, id=problem.code) for problem in settings.IDP_PROBLEMS]


@register(deploy=True)
def fit_for_production(**_: Any) -> list[CheckMessage]:
    """Report what works on one machine and not for others."""
    found: list[CheckMessage] = [
        Error(problem.message, id=problem.code) for problem in settings.IDP_NO_LASTING_KEY
    ]
    if not settings.IDP_ENCRYPTION_KEYS:
        found.append(
            Error(
                "IDP_ENCRYPTION_KEYS is not set: no secret can be kept.",
                hint="Set the output of `manage.py rotate_keys --new-key`.",
                id="idp.E013",
            )
        )
    public = urlsplit(settings.IDP_URL)
    if public.scheme != "https" and public.hostname not in _LOOPBACK:
        found.append(
            Warning(
                f"IDP_URL is {settings.IDP_URL}: passwords and sessions travel in the clear.",
                hint="Put a proxy with TLS in front and name its https address in IDP_URL.",
                id="idp.W001",
            )
        )
    if 0 < len(settings.IDP_METRICS_TOKEN) < _SHORTEST_TOKEN:
        found.append(
            Warning(
                f"IDP_METRICS_TOKEN has {len(settings.IDP_METRICS_TOKEN)} characters.",
                hint=f"Use {_SHORTEST_TOKEN} random characters or more.",
                id="idp.W002",
            )
        )
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if missing:
        found.append(
            Warning(
                f"{' and '.join(missing)} not set: the embedded engines serve one machine.",
                hint="Name a PostgreSQL and a Redis server of their own.",
                id="idp.W003",
            )
        )
    return found


@register(Tags.database)
def postgres_is_new_enough(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report a PostgreSQL server that misses what our SQL uses."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        version: int = connections[alias].get_database_version()[0]
        if version < _OLDEST_POSTGRES:
            found.append(
                Error(
                    f"PostgreSQL {version} is too old; expected {_OLDEST_POSTGRES} or newer.",
                    id="idp.E009",
                )
            )
    return found
