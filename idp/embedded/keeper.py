"""The keeper of one engine: `python -m idp.embedded.keeper NAME HOME`.

It starts the engine, restarts it when it dies, and stops it when nobody uses it any more. Users
are processes that hold a shared lock on HOME/run/NAME.users; the kernel drops the lock of a process
however it ends, so no count can go wrong. The keeper itself holds HOME/run/NAME.keeper, and tells
where the engine listens in HOME/run/NAME.json.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from idp.embedded import ENGINES
from idp.embedded.engine import Engine
from idp.embedded.home import EmbeddedError, Home

_START_TIMEOUT_S = 120.0  # crash recovery of a large database takes its time
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_CALM_S = 60.0  # an engine that ran so long starts again at once


def log(text: str) -> None:
    """Write one line to the keeper's log, which is its standard error."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{moment} {text}", file=sys.stderr, flush=True)  # noqa: T201


def write_state(path: Path, state: dict[str, object]) -> None:
    """Replace a small JSON file in one step."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(state))
    fresh.replace(path)


class Keeper:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.home = engine.home
        self.state_path = self.home.run / f"{engine.name}.json"
        self.events: SimpleQueue[tuple[str, int]] = SimpleQueue()
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    def start(self) -> None:
        """Start the engine and wait until it answers. Raises EmbeddedError."""
        self.engine.prepare()
        output = self.home.open_log(self.engine.name)
        try:
            process = subprocess.Popen(
                self.engine.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(output)
        self.process = process
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.engine.is_ready(process.pid):
            if process.poll() is not None:
                raise EmbeddedError(
                    f"{self.engine.title} stopped while starting (status {process.returncode}); "
                    f"{self.home.log / self.engine.name}.log ends:"
                    + self.home.log_tail(self.engine.name)
                )
            if time.monotonic() > deadline:
                self.stop()
                raise EmbeddedError(
                    f"{self.engine.title} did not answer within {_START_TIMEOUT_S:.0f} seconds; "
                    f"{self.home.log / self.engine.name}.log ends:"
                    + self.home.log_tail(self.engine.name)
                )
            time.sleep(0.02)
        self.engine.settle()
        threading.Thread(target=self._wait_for_end, args=(process,), daemon=True).start()
        write_state(
            self.state_path,
            {
                "url": self.engine.url(),
                "note": self.engine.note,
                "pid": process.pid,
                "keeper": os.getpid(),
                "restarts": self.restarts,
            },
        )
        log(f"{self.engine.title} is ready, process {process.pid}")

    def stop(self) -> None:
        """Stop the engine, gently first."""
        process = self.process
        if process is None:
            return
        engine = self.engine
        for number, patience_s in engine.drop_signals if engine.ephemeral else engine.stop_signals:
            if process.poll() is not None:
                break
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)
        engine.tidy()
        log(f"{engine.title} has stopped, status {process.returncode}")

    def _wait_for_end(self, process: subprocess.Popen[bytes]) -> None:
        # Leaves the status for wait() in the main thread, which at a stop may have it already.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.events.put(("ended", process.pid))

    def _wait_for_last_user(self, users: int) -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        self.events.put(("unused", 0))

    def run(self, users: int) -> None:
        """Keep the engine until the last user has gone or a signal asks to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.events.put(("signal", 0)))
        self.start()
        threading.Thread(target=self._wait_for_last_user, args=(users,), daemon=True).start()
        failures, started = 0, time.monotonic()
        while True:
            what, pid = self.events.get()
            if what != "ended":
                break
            if self.process is None or pid != self.process.pid:
                continue  # news of a process that has been replaced
            status = self.process.wait()
            if time.monotonic() - started > _CALM_S:
                failures = 0
            pause_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            log(f"{self.engine.title} ended with status {status}; starting it in {pause_s} s")
            time.sleep(pause_s)
            failures, started = failures + 1, time.monotonic()
            self.restarts += 1
            try:
                self.start()
            except EmbeddedError as error:
                log(str(error))
                self.events.put(("ended", self.process.pid))
        # Gone from here on for those who look; who comes now waits for our lock.
        self.state_path.unlink(missing_ok=True)
        self.stop()


def take_lock(path: Path, patience_s: float) -> int | None:
    """Take an exclusive lock and return its descriptor, or None when another process keeps it.

    Others probe the lock for an instant to see whether it is held, hence the patience.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.01)


def _throw_away(engine: Engine) -> None:
    """Remove the folders of an engine, and the home once no engine is left in it."""
    home = engine.home
    shutil.rmtree(home.path / engine.name, ignore_errors=True)
    if not any((home.path / name).exists() for name in ENGINES):
        shutil.rmtree(home.path, ignore_errors=True)


def main(name: str, home_path: str, ephemeral: bool) -> int:
    home = Home(Path(home_path))
    if take_lock(home.run / f"{name}.keeper", patience_s=1.0) is None:
        return 0  # another keeper was faster
    state_path = home.run / f"{name}.json"
    state_path.unlink(missing_ok=True)
    users = os.open(home.run / f"{name}.users", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        engine = ENGINES[name](home, ephemeral=ephemeral)
        keeper = Keeper(engine)
        keeper.run(users)
    except (EmbeddedError, OSError) as error:
        log(str(error))
        write_state(state_path, {"error": str(error), "keeper": os.getpid()})
        return 1
    if ephemeral:
        _throw_away(engine)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], "--ephemeral" in sys.argv[3:]))
