"""A real server for real clients, and how those are started.

The clients come from `make clients`; what needs them skips visibly without. Imports of ours stay
inside the fixtures: this file is read before Django is set up.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENTS = ROOT / ".venv-clients" / "bin"


class Program:
    """A running program whose output is kept. `text` is all of it so far."""

    def __init__(self, command: list[str], *, cwd: Path, environment: dict[str, str]) -> None:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    def wait_for(self, pattern: str, within_s: float = 30.0) -> re.Match[str]:
        """Return the first match in the output; fail with all of it when there is none."""
        self.until(lambda: re.search(pattern, self.text) is not None, pattern, within_s)
        found = re.search(pattern, self.text)
        assert found
        return found

    def until(self, fact: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        """Wait until something is so, while the program runs."""
        deadline = time.monotonic() + within_s
        while not fact():
            gone = self.process.poll() is not None
            if gone or time.monotonic() > deadline:
                pytest.fail(
                    f"{what} did not happen {'before its end' if gone else 'in time'}:"
                    f"\n{self.text[-20000:]}"
                )
            time.sleep(0.05)

    def end(self, within_s: float = 30.0) -> int:
        """Wait for its own end; return its exit code."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"it did not end in time:\n{self.text[-20000:]}")
        self._reader.join(5)
        return code

    def terminate(self, within_s: float = 30.0) -> int:
        """Send SIGTERM; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.end(within_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def server(gunicorn: str, transactional_db: None) -> str:
    """The address of a server of this test's database, which is empty."""
    return gunicorn


@pytest.fixture(scope="session")
def gunicorn(django_db_setup: None) -> Iterator[str]:
    """The address of a gunicorn that serves the tests' database, as an installation does.

    It may call this machine, where the tests' own hosts are.
    """
    from django.db import connection

    url = urlsplit(os.environ["DATABASE_URL"])
    database = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    port = free_port()
    passed = {key: value for key, value in os.environ.items() if key.startswith("IDP_")}
    program = Program(
        [sys.executable, "-m", "gunicorn", "-c", "python:idp.gunicorn_conf", "idp.wsgi"],
        cwd=ROOT,
        environment={
            **passed,
            "DATABASE_URL": database,
            "REDIS_URL": os.environ["REDIS_URL"],
            "DJANGO_SETTINGS_MODULE": "idp.settings.test",
            "IDP_PORT": str(port),
            "IDP_HTTP_ALLOW": "127.0.0.1",
            "IDP_WORKERS": "1",
        },
    )
    try:
        program.wait_for("Booting worker")
        yield f"http://127.0.0.1:{port}"
    finally:
        program.kill()


@pytest.fixture(scope="session")
def ocean_program() -> Path:
    program = CLIENTS / "ocean"
    if not program.is_file():
        pytest.skip("port-ocean is not installed (make clients)")
    return program


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="idp-contract-") as name:
        yield Path(name)
