"""`manage.py up`: the whole life of an installation, as real processes."""

import json
import os
import queue
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp import supervisor
from tests.idp.processes import eventually, processes_of

ROOT = Path(__file__).resolve().parent.parent.parent


class Up:
    """A running `manage.py up` whose output is read line by line."""

    def __init__(self, home: Path, *flags: str) -> None:
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", f"--home={home}", "--no-demo", *flags],
            cwd=ROOT,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.seen: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def wait_for(self, pattern: str, within_s: float = 60.0) -> re.Match[str]:
        """Return the first new line that matches."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no line {pattern!r} in time:\n" + "\n".join(self.seen))
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found

    def child(self, name: str) -> int:
        """Return the pid of web, worker, syncs or beat."""
        pids = [pid for pid, _ in self.children()]
        return dict(zip(("web", "worker", "syncs", "beat"), pids, strict=True))[name]

    def children(self) -> list[tuple[int, str]]:
        """Return pid and mark of each child, in the order of their start."""
        state = json.loads((self.home / "run" / "up.lock").read_text())
        children: list[tuple[int, str]] = state["children"]
        return children

    def all_processes(self) -> dict[int, str]:
        return processes_of(self.home, *(mark for _, mark in self.children()))


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="idp-up-") as folder:
        yield Path(folder) / "home"


def status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


def refused(home: Path, *flags: str) -> str:
    """Run an `up` that must fail; return its only line."""
    up = Up(home, *flags)
    assert up.process.wait(30) == 1
    line = up.lines.get(timeout=5)
    assert up.lines.empty()
    return line


def test_the_whole_life_of_an_installation(home):
    first = Up(home, "--port=0", "--workers=1")
    url = first.wait_for(r"^ready (http://127\.0\.0\.1:\d+) in \d+\.\d s$").group(1)
    steps = [line.split()[0] for line in first.seen if re.search(r" \d+\.\d s$", line)]
    assert steps == ["engines", "database", "static", "processes", "ready"]
    assert any("password=" in line for line in first.seen)
    assert stat.S_IMODE((home / "credentials").stat().st_mode) == 0o600
    assert [status(url + path) for path in ("/readyz", "/healthz", "/accounts/login/")] == [200] * 3

    assert refused(home).startswith(f"error: idp runs already on the home {home} (process ")
    port = url.rpartition(":")[2]
    assert refused(home.with_name("other"), f"--port={port}").startswith(
        f"error: Cannot listen on 127.0.0.1 port {port}: "
    )

    # A killed supervisor leaves nothing behind,
    marked = first.all_processes()
    first.process.kill()
    first.process.wait()
    eventually(lambda: not (processes_of(home).keys() | marked.keys()) & processes_of("").keys())

    # and the next start loses nothing and makes nothing anew.
    second = Up(home, f"--port={port}", "--workers=1")
    second.wait_for(r"^ready ")
    assert not any("password=" in line for line in second.seen)
    assert status(url + "/readyz") == 200

    # A killed child is replaced.
    worker = second.child("worker")
    os.kill(worker, signal.SIGKILL)
    second.wait_for(r"^worker ended \(signal 9\); starting it again in ")
    eventually(lambda: second.child("worker") != worker)

    # SIGTERM ends everything in order.
    marked = second.all_processes()
    assert marked
    second.process.send_signal(signal.SIGTERM)
    second.wait_for(r"^stopped after ")
    assert second.process.wait(10) == 0
    assert [line for line in second.seen if line.startswith("stopping")] == [
        "stopping web",
        "stopping worker",
        "stopping syncs",
        "stopping beat",
    ]
    assert not (processes_of(home).keys() | marked.keys()) & processes_of("").keys()


@pytest.mark.parametrize(
    ("given", "environment", "message"),
    [
        ({"port": "x"}, {}, "--port is 'x'; expected a whole number from 0 to 65535."),
        ({}, {"IDP_PORT": "65536"}, "IDP_PORT is '65536'; expected a whole number from 0 to"),
        ({"workers": "0"}, {}, "--workers is '0'; expected a whole number from 1 to 64."),
        ({}, {"IDP_DEMO": "perhaps"}, "IDP_DEMO is 'perhaps'; expected true or false."),
    ],
)
def test_a_wrong_option_is_named(given, environment, message):
    with pytest.raises(supervisor.StartError) as error:
        supervisor.read_options(given, environment)
    assert str(error.value).startswith(message)


def test_flags_win_over_the_environment():
    environment = {"IDP_HOST": "0.0.0.0", "IDP_PORT": "9000", "IDP_DEMO": "no", "IDP_HOME": "/h"}
    options = supervisor.read_options({"port": "9001", "demo": None, "workers": "3"}, environment)
    assert options == supervisor.Options("0.0.0.0", 9001, Path("/h"), demo=False, workers=3)
    defaults = supervisor.read_options({}, {})
    assert (defaults.host, defaults.port, defaults.demo) == ("127.0.0.1", 8000, None)


def test_a_home_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    line = refused(tmp_path / "file" / "home", "--port=0")
    assert line.startswith("error: The home folder ")
    assert line.endswith("Choose another with --home or IDP_HOME.")


def test_a_host_that_is_not_ours_is_one_clear_line(home):
    line = refused(home, "--host=192.0.2.1", "--port=0")
    assert line.startswith("error: Cannot listen on 192.0.2.1 port 0: ")
