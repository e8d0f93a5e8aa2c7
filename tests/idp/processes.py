"""Looking at processes from outside, for tests of what starts and ends them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from idp.embedded.engine import command_line


def eventually(fact: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until something is so; fail when it is not in time."""
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def processes_of(*marks: object) -> dict[int, str]:
    """Return pid and command line of other processes whose command line holds one of `marks`."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (pid := int(entry.name)) != os.getpid():
            line = command_line(pid)
            if any(str(mark) in line for mark in marks):
                found[pid] = line
    return found
