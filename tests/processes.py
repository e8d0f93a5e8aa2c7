"""Other processes on the database of a test: for what only real concurrency can show."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from django.db import connection

_START = 20_101  # an advisory lock: the starting line


def start(function: Callable[..., None], *args: object) -> subprocess.Popen[str]:
    """Call a function of a module of tests in a new process, on the database of this test.

    args: anything that `repr` writes as Python reads it. The test must commit what the process is
    to see (`transactional_db`).
    """
    code = (
        f"import django; django.setup(); from {function.__module__} import {function.__name__} "
        f"as work; work(*{args!r})"
    )
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "DATABASE_URL": url.geturl()},
        stderr=subprocess.PIPE,
        text=True,
    )


def race(function: Callable[[int], None], count: int) -> list[subprocess.Popen[str]]:
    """Start `function(number)` in `count` processes, which begin at the same moment: each calls
    `wait_for_start` first.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_START])
        racers = [start(function, number) for number in range(count)]
        waiting = 0
        while waiting < count and all(racer.poll() is None for racer in racers):
            time.sleep(0.01)
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                "AND objid = %s AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())",
                [_START],
            )
            waiting = cursor.fetchone()[0]
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_START])
    return racers


def wait_for_start() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [_START])


def finish(*processes: subprocess.Popen[str], timeout_s: float = 60) -> None:
    """Wait for processes; raises AssertionError with what the first failed one printed."""
    for process in processes:
        _, errors = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, errors


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
