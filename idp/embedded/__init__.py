"""PostgreSQL and Redis without an installation: started from Python packages, kept in the home.

`attach()` makes this process a user of a home's engines: it starts them when nobody has, joins
them when somebody has (`manage.py up`, another command, a test run), and keeps them alive until it
lets go or ends. See `keeper` for how.

Standard library only: this runs before Django and beside it.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from idp.embedded.engine import Engine
from idp.embedded.home import EmbeddedError, Home, make_home
from idp.embedded.postgres import Postgres
from idp.embedded.redis import Redis

__all__ = ["Attachment", "EmbeddedError", "Home", "attach", "make_home", "missing"]

ENGINES: dict[str, type[Engine]] = {Postgres.name: Postgres, Redis.name: Redis}
_PATIENCE_S = 150.0  # longer than a keeper gives its engine
_CHECKOUT = Path(__file__).resolve().parent.parent.parent


def missing(environment: dict[str, str] | os._Environ[str] = os.environ) -> list[str]:
    """Return the names of the engines that the environment names no server for."""
    return [name for name, engine in ENGINES.items() if not environment.get(engine.variable)]


def _is_held(path: Path) -> bool:
    """Whether some process holds the exclusive lock on `path`."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class _Use:
    """This process's use of one engine."""

    def __init__(self, home: Home, name: str, *, ephemeral: bool) -> None:
        self.home = home
        self.name = name
        self.ephemeral = ephemeral
        self.users = home.run / f"{name}.users"
        self.keeper_lock = home.run / f"{name}.keeper"
        self.state_path = home.run / f"{name}.json"
        self.descriptor: int | None = None
        self.keeper: subprocess.Popen[bytes] | None = None

    def take(self) -> None:
        """Count as a user from now on; waits while a keeper is stopping its engine."""
        descriptor = os.open(self.users, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise EmbeddedError(
                        f"{ENGINES[self.name].title} of the home {self.home.path} has been "
                        f"stopping for {_PATIENCE_S:.0f} seconds. See the logs in {self.home.log}."
                    ) from None
                time.sleep(0.02)
        self.descriptor = descriptor

    def state(self) -> dict[str, Any] | None:
        """Return what a living keeper says of its engine, or None."""
        try:
            state: dict[str, Any] = json.loads(self.state_path.read_text())
        except (OSError, ValueError):
            return None
        if "error" in state or _is_held(self.keeper_lock):
            return state
        return None

    def launch(self) -> None:
        """Start a keeper; it ends at once when there is one."""
        self.state_path.unlink(missing_ok=True)
        kept = {key: os.environ[key] for key in ("PATH", "TMPDIR", "HOME") if key in os.environ}
        output = self.home.open_log("engines")
        try:
            self.keeper = subprocess.Popen(
                [
                    *(sys.executable, "-B", "-m", "idp.embedded.keeper"),
                    *(self.name, str(self.home.path)),
                    *(["--ephemeral"] if self.ephemeral else []),
                ],
                cwd=_CHECKOUT,
                env={**kept, "LC_ALL": "C"},  # and none of our secrets
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in our terminal is not meant for it
            )
        finally:
            os.close(output)

    def wait(self) -> dict[str, Any]:
        """Wait until the engine is ready and return its state. Raises EmbeddedError."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            state = self.state()
            if state is not None and "error" not in state:
                return state
            if self.keeper is None or self.keeper.poll() is not None:
                if state is not None and self.keeper is not None:
                    raise EmbeddedError(str(state["error"]))
                if self.keeper is not None and self.keeper.returncode:
                    raise EmbeddedError(
                        f"{ENGINES[self.name].title} could not be started; "
                        f"{self.home.log}/engines.log ends:" + self.home.log_tail("engines")
                    )
                self.launch()
            time.sleep(0.02)
        raise EmbeddedError(
            f"{ENGINES[self.name].title} was not ready after {_PATIENCE_S:.0f} seconds. "
            f"See the logs in {self.home.log}."
        )

    def release(self) -> None:
        """Stop counting as a user; wait for the engine's end when nobody else uses it."""
        if self.descriptor is None:
            return
        os.close(self.descriptor)
        self.descriptor = None
        # The keeper of an unused engine takes its state file away at once.
        deadline = time.monotonic() + 1.0
        while self.state_path.exists():
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        deadline = time.monotonic() + 60.0
        while _is_held(self.keeper_lock) and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.keeper is not None:
            with suppress(subprocess.TimeoutExpired):
                self.keeper.wait(1.0)


class Attachment:
    """The engines this process uses, as a context manager."""

    def __init__(self, home: Home, names: Iterable[str], *, ephemeral: bool = False) -> None:
        self.home = home
        self._uses = {name: _Use(home, name, ephemeral=ephemeral) for name in names}
        self.urls: dict[str, str] = {}  # by environment variable
        self.notes: list[str] = []

    def start(self) -> None:
        """Take part, and wait until every engine is ready. Raises EmbeddedError."""
        try:
            for use in self._uses.values():
                use.take()
                if use.state() is None:
                    use.launch()  # side by side
            for name, use in self._uses.items():
                state = use.wait()
                self.urls[ENGINES[name].variable] = state["url"]
                if state["note"]:
                    self.notes.append(state["note"])
        except OSError as error:
            self.release()
            raise EmbeddedError(
                f"The home folder {self.home.path} cannot be used: {error.strerror or error}. "
                "Choose another with --home or IDP_HOME."
            ) from error
        except BaseException:
            self.release()
            raise

    def states(self) -> dict[str, dict[str, Any] | None]:
        """Return what each engine's keeper says; None for a keeper that is gone."""
        return {name: use.state() for name, use in self._uses.items()}

    def mend(self, name: str) -> None:
        """Start a new keeper in place of one that was killed; does not wait for it."""
        use = self._uses[name]
        if use.keeper is None or use.keeper.poll() is not None:
            use.launch()

    def release(self, *names: str) -> None:
        """Let go of the named engines, or of all: Redis before PostgreSQL."""
        for name in names or tuple(reversed(self._uses)):
            self._uses[name].release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def attach(
    path: Path, *, names: Iterable[str] | None = None, ephemeral: bool = False
) -> Attachment:
    """Return an attachment to the engines of a home that the environment names no server for.

    ephemeral: for tests; nothing is flushed to disk, and the home is removed at the end.
    """
    wanted = missing() if names is None else list(names)
    return Attachment(make_home(path), wanted, ephemeral=ephemeral)
