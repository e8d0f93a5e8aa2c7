"""The limited processes that users' JQ and templates run in (`jq_child.py`).

An item that goes beyond its limits costs a process; then it is reported, and another process takes
over the rest. Processes start when first needed, stay warm, and end with this one; a process
forked from this one starts children of its own.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

MAX_ITEM_BYTES: Final = 16 << 20
CPU_S: Final = 2.0  # an item's budget, …
CPU_S_PER_MB: Final = 2.0  # … and more for a large one
MEMORY_BYTES: Final = 256 << 20
CALL_S: Final = 45.0  # for all items of one call; a sync is given up for dead after a minute
MAX_STOPS: Final = 5  # items of one call that may cost a process
POOL_SIZE: Final = 2  # so that a long batch does not hold up a quick one
_FRAME_BYTES: Final = 2 << 20  # measured: larger ones gain nothing
_WAIT_FACTOR: Final = 4  # wall time for a second of CPU time, on a busy machine; and beside that:
_START_S: Final = 10.0
_CHILD: Final = Path(__file__).with_name("jq_child.py")


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer. in_setup: the program did not get as far as an item."""

    message: str
    in_setup: bool = False


def encode(item: Any) -> bytes | Failed:
    """A JSON value as `work` takes it, or why there is none."""
    try:
        text = orjson.dumps(item)
    except TypeError:  # beyond orjson: long integers, lone surrogates, dates in keys
        try:
            loose = json.dumps(item, ensure_ascii=False, default=str)
        except RecursionError:
            return Failed("It is nested too deeply")
        except (TypeError, ValueError) as error:
            return Failed(f"It is not JSON: {error}")
        text = loose.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if len(text) > MAX_ITEM_BYTES:
        return Failed(f"It is larger than {MAX_ITEM_BYTES >> 20} MB")
    return text


def work(header: dict[str, Any], items: Sequence[bytes | Failed]) -> list[bytes | Failed]:
    """A child's answer to each item (see `jq_child.py`), or why there is none."""
    answers = {n: item for n, item in enumerate(items) if isinstance(item, Failed)}
    head = orjson.dumps({**header, "cpu_s": [CPU_S, CPU_S_PER_MB]})
    call = _Call(head, {n: item for n, item in enumerate(items) if isinstance(item, bytes)})
    call.work_off()
    return [answers.get(n) or call.answers[n] for n in range(len(items))]


class _Call:
    """One call's way through one or, when items end them, several children."""

    def __init__(self, head: bytes, items: Mapping[int, bytes]) -> None:
        self.head, self.items = head, items
        self.answers: dict[int, bytes | Failed] = {}
        self.ends_at = time.monotonic() + CALL_S
        self.stops = 0

    def work_off(self) -> None:
        """Answer all items."""
        waiting = list(self.items)
        while waiting:
            if self.stops >= MAX_STOPS:
                reason = f"Not tried: {MAX_STOPS} items before it had to be stopped"
                return self._fail(waiting, reason)
            if time.monotonic() > self.ends_at:
                return self._fail(waiting, f"Not tried: its batch took more than {CALL_S:.0f} s")
            try:
                with _the_pool.child() as child:
                    done = self._send(child, list(self._frame(waiting)))
            except _Unstartable as error:
                return self._fail(waiting, str(error), in_setup=True)
            waiting = waiting[done:]
        return None

    def _frame(self, waiting: list[int]) -> Iterator[int]:
        size = 0
        for n in waiting:
            size += len(self.items[n]) + 1
            if size > _FRAME_BYTES and n != waiting[0]:
                return
            yield n

    def _send(self, child: _Child, frame: list[int]) -> int:
        """Have `frame` worked off by `child`; returns how many of it have their answer."""
        was_fresh, child.is_fresh = child.is_fresh, False
        try:
            child.send(b"\n".join([self.head, *(self.items[n] for n in frame)]))
            began = child.receive(_START_S * _WAIT_FACTOR)
        except _Died as death:
            if was_fresh or death.is_sure:
                raise _Unstartable(f"It does not compile. {death}") from None
            return 0
        if began:
            raise _Unstartable(began[1:].decode())
        for position, n in enumerate(frame):
            budget = CPU_S + CPU_S_PER_MB * len(self.items[n]) / (1 << 20)
            try:
                answer = child.receive(_START_S + budget * _WAIT_FACTOR)
            except _Died as death:
                return self._died(frame, position, death, is_sure=was_fresh and position == 0)
            good = answer[:1] == b"="
            self.answers[n] = answer[1:] if good else Failed(answer[1:].decode())
            if time.monotonic() > self.ends_at and position + 1 < len(frame):
                child.kill()  # it would go on with the rest
                return position + 1
        return len(frame)

    def _died(self, frame: list[int], position: int, death: _Died, *, is_sure: bool) -> int:
        """Put the death down to the item at `position`, or let a fresh child try it again.

        What earlier items left in memory is not this one's fault; time always is.
        """
        if not (is_sure or death.is_sure):
            return position
        self.stops += 1
        self.answers[frame[position]] = Failed(str(death))
        return position + 1

    def _fail(self, numbers: Sequence[int], message: str, *, in_setup: bool = False) -> None:
        self.answers.update(dict.fromkeys(numbers, Failed(message, in_setup)))


# --- children


class _Died(Exception):
    """The child ended before it answered. is_sure: the item at hand is to blame."""

    def __init__(self, message: str, *, is_sure: bool = False) -> None:
        super().__init__(message)
        self.is_sure = is_sure


class _Unstartable(Exception):
    """The program cannot run on any item."""


class _Child:
    """One limited process; used by one thread at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", _CHILD, str(os.getpid()), str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what users' programs make it say is not for our log
            env={},
            cwd="/",
            process_group=0,  # a signal to our group is for us; we end it ourselves
        )
        self._pipes = [one for one in (self.process.stdin, self.process.stdout) if one]
        self._to, self._from = (pipe.fileno() for pipe in self._pipes)
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._buffer = bytearray()
        self.is_fresh = True

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def send(self, payload: bytes) -> None:
        """Raises _Died when the child does not take it."""
        ends_at = time.monotonic() + _START_S * _WAIT_FACTOR
        view = memoryview(len(payload).to_bytes(4, "big") + payload)
        while view:
            self._wait(self._to, select.POLLOUT, ends_at)
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._end() from None

    def receive(self, timeout_s: float) -> bytes:
        """The next answer. Raises _Died when the child ends, or is ended for taking too long."""
        ends_at = time.monotonic() + timeout_s
        while True:
            size = int.from_bytes(self._buffer[:4], "big") + 4
            if len(self._buffer) >= max(4, size):
                payload = bytes(self._buffer[4:size])
                del self._buffer[:size]
                return payload
            self._wait(self._from, select.POLLIN, ends_at)
            part = os.read(self._from, 1 << 20)
            if not part:
                raise self._end()
            self._buffer += part

    def _wait(self, descriptor: int, event: int, ends_at: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0, math.ceil((ends_at - time.monotonic()) * 1000))):
            self.kill()
            raise _Died("It took too long and was stopped", is_sure=True)

    def _end(self) -> _Died:
        """Why the child, which has closed its pipe, is dead."""
        try:
            code = self.process.wait(_START_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return _Died("It ended the process without a word")
        if code == -signal.SIGPROF:
            limit = f"{CPU_S:g} s and {CPU_S_PER_MB:g} s per MB"
            return _Died(f"It ran longer than an item may ({limit}) and was stopped", is_sure=True)
        if code == -signal.SIGABRT:
            return _Died(f"It needed more than {MEMORY_BYTES >> 20} MB of memory and was stopped")
        if code == -signal.SIGSEGV:
            return _Died("It went too deep (endless recursion?) and was stopped")
        return _Died(f"It ended the process (code {code})")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self.forget()

    def forget(self) -> None:
        """Let go of it without ending it: after a fork it is the other process's child."""
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.close()
        self.process.returncode = self.process.returncode or 0


class _Pool:
    """The children of this process: at most POOL_SIZE, started when needed."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(POOL_SIZE)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    @contextmanager
    def child(self) -> Iterator[_Child]:
        """A child of one's own; the caller waits until one is free."""
        with self._slots:
            child = self._take()
            try:
                yield child
            except BaseException:  # in the middle of an answer: nobody could read on
                self._drop(child)
                raise
            if child.is_alive:
                with self._lock:
                    self._idle.append(child)
            else:
                self._drop(child)

    def _take(self) -> _Child:
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                child = _Child()
                with self._lock:
                    self._all.add(child)
                return child
            if child.is_alive:
                return child
            self._drop(child)

    def _drop(self, child: _Child) -> None:
        with self._lock:
            self._all.discard(child)
        child.close()

    def close(self) -> None:
        for child in list(self._all):
            self._drop(child)

    def forget(self) -> None:
        for child in self._all:
            child.forget()


_the_pool = _Pool()


def _after_fork() -> None:
    global _the_pool
    _the_pool.forget()
    _the_pool = _Pool()


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def stop() -> None:
    """End the children now; the next call starts new ones."""
    _the_pool.close()
