"""What the keeper needs to know of an engine."""

import os
import signal
import stat
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from idp.embedded.home import EmbeddedError, Home


class Engine(ABC):
    """One server process: how it is prepared, started, found ready and stopped."""

    name: ClassVar[str]
    title: ClassVar[str]
    variable: ClassVar[str]  # the environment variable that names such a server elsewhere
    # Sent one after the other until the process is gone, each with seconds to wait for it.
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]
    # Of a home that is thrown away.
    drop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]
    on_death: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, home: Home, *, ephemeral: bool = False) -> None:
        self.home = home
        self.ephemeral = ephemeral
        self.note = ""  # one line for the user, or nothing

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder fit to start on. Raises EmbeddedError."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line that becomes the server."""

    @abstractmethod
    def is_ready(self, pid: int) -> bool:
        """Whether the process `pid` answers."""

    @abstractmethod
    def url(self) -> str:
        """Return where the server listens."""

    @property
    @abstractmethod
    def sockets(self) -> Path:
        """Return the folder of the server's socket."""

    def tidy(self) -> None:
        """Remove the socket's folder after the end when it lies outside the home."""
        if not self.sockets.is_relative_to(self.home.path):
            with suppress(OSError):
                self.sockets.rmdir()

    def settle(self) -> None:  # noqa: B027 - most engines have nothing to do
        """Do what needs a running server, each time it has started."""


def make_private(folder: Path, user: tuple[int, int] | None = None) -> None:
    """Make a folder that only we, or `user` for us, can use. Raises EmbeddedError.

    It may lie in a folder where anyone can have made it before: then it is refused.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    ours = {os.geteuid(), user[0] if user else os.geteuid()}
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in ours or facts.st_mode & 0o022:
        raise EmbeddedError(
            f"{folder} belongs to another user or is open to others. Run this as its owner, or "
            "choose another home with --home or IDP_HOME."
        )
    if user is not None:
        os.chown(folder, *user)


def command_line(pid: int) -> str:
    """Return the command line of a process, empty when there is no such process."""
    if sys.platform.startswith("linux"):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ""
        return " ".join(word.decode("utf-8", "replace") for word in words)
    shown = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout


def end_orphan(pid: int, mark: str, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """End a server left over from a killed keeper: the process `pid` if its command holds `mark`.

    It has been told to go by the kernel already, so it gets five seconds first.
    """
    for number, patience_s in ((None, 5.0), *signals):
        if mark not in command_line(pid):
            return
        if number is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and mark in command_line(pid):
            time.sleep(0.05)
