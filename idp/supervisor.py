"""`manage.py up`: everything on one machine, under one process.

The supervisor starts the embedded engines where the environment names no others, has `manage.py
prepare` bring database and static files up to date, and runs four children: web, worker, a worker
for syncs, and beat. It restarts what dies, and ends with nothing left behind. Nothing of Django is
loaded here: this process lives as long as the server and should weigh little.
"""

import argparse
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO
from urllib.parse import urlsplit

from idp import embedded
from idp.embedded import launch
from idp.embedded.engine import end_orphan
from idp.embedded.home import EmbeddedError, Home

_CHECKOUT = Path(__file__).resolve().parent.parent
_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_CALM_S = 60.0  # a child that ran so long is restarted at once
_ENGINES_EVERY_S = 2.0
_READY_WITHIN_S = 180.0
_KILL = ((signal.SIGKILL, 5.0),)


class StartError(Exception):
    """`up` cannot start; the message is one line for people."""


class Stopped(Exception):
    """A signal asked to stop while starting."""


@dataclass(frozen=True)
class Options:
    """What `up` was asked for. demo: None means at first run."""

    host: str
    port: int
    home: Path
    demo: bool | None
    workers: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; each has an environment variable, and the flag wins."""
    parser.add_argument("--host", help="address to listen on (IDP_HOST, 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (IDP_PORT, 8000)")
    parser.add_argument("--home", help="folder for everything this writes (IDP_HOME, .idp)")
    parser.add_argument(
        "--demo",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="load the demo organisation (IDP_DEMO, at first run)",
    )
    parser.add_argument("--workers", help="web processes, and background ones (IDP_WORKERS)")


def read_options(given: Mapping[str, object], environment: Mapping[str, str]) -> Options:
    """Combine flags and environment. Raises StartError that names what is wrong."""

    def value(name: str, default: str) -> tuple[str, str]:
        variable = f"IDP_{name.upper()}"
        if given.get(name) is not None:
            return f"--{name}", str(given[name])
        return variable, environment.get(variable, "").strip() or default

    def number(name: str, default: int, low: int, high: int) -> int:
        source, raw = value(name, str(default))
        if not raw.isdecimal() or not low <= int(raw) <= high:
            raise StartError(f"{source} is {raw!r}; expected a whole number from {low} to {high}.")
        return int(raw)

    demo = given.get("demo")
    if demo is None and (raw := environment.get("IDP_DEMO", "").strip().lower()):
        if raw not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            raise StartError(f"IDP_DEMO is {raw!r}; expected true or false.")
        demo = raw in {"1", "true", "yes", "on"}
    cores = os.cpu_count() or 1
    return Options(
        host=value("host", "127.0.0.1")[1],
        port=number("port", 8000, 0, 65535),
        home=Path(value("home", ".idp")[1]).expanduser().absolute(),
        demo=bool(demo) if demo is not None else None,
        workers=number("workers", min(4, max(2, cores)), 1, 64),
    )


@dataclass
class Child:
    """One long-lived process, restarted when it ends."""

    name: str
    mark: str  # tells this child's command line from any other program's
    argv: list[str]
    environment: dict[str, str]
    log: Callable[[], int]
    stop_signals: Sequence[tuple[signal.Signals, float]]
    on_death: signal.Signals
    keep_open: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    restart_at: float | None = None  # while it waits for its turn

    def start(self) -> None:
        output = self.log()
        try:
            self.process = subprocess.Popen(
                launch.command(self.argv, on_death=self.on_death),
                cwd=_CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops in order
                pass_fds=self.keep_open,
            )
        finally:
            os.close(output)
        self.started_at = time.monotonic()
        self.restart_at = None

    def has_ended(self) -> bool:
        """Whether the process ended since we last looked; what is left of its group ends too."""
        process = self.process
        if process is None or process.poll() is None:
            return False
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return True

    def plan_restart(self) -> float:
        """Decide when to start again; return the pause in seconds."""
        if time.monotonic() - self.started_at > _CALM_S:
            self.failures = 0
        pause_s = _BACKOFF_S[min(self.failures, len(_BACKOFF_S) - 1)]
        self.failures += 1
        self.process = None
        self.restart_at = time.monotonic() + pause_s
        return pause_s


class Supervisor:
    def __init__(self, options: Options, out: IO[str]) -> None:
        self.options = options
        self.out = out
        self.began_at = time.monotonic()
        self.events: SimpleQueue[int] = SimpleQueue()
        self.stop_requests = 0
        self.is_interruptible = False
        self.children: list[Child] = []
        self.engine_restarts: dict[str, int] = {}
        self.url = ""

    # -- what the user sees ----------------------------------------------------------------------

    def say(self, text: str) -> None:
        with suppress(OSError):  # a closed terminal is no reason to stop
            print(text, file=self.out, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print how long a step took."""
        began_at = time.monotonic()
        yield
        self.say(f"{name:<12} {time.monotonic() - began_at:5.1f} s")

    # -- from start to end -----------------------------------------------------------------------

    def run(self) -> int:
        """Start everything, stay until a signal asks to stop, stop everything."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        home = embedded.make_home(self.options.home)
        lock = self._lock(home)
        listener = self._listen()
        try:
            engines = embedded.attach(home.path)
            with self.step("engines"):
                self._interruptible(engines.start)
            for note in engines.notes:
                self.say(note)
            try:
                self._run_on(home, engines, listener, lock)
            finally:
                listener.close()
                self._stop_children()
                engines.release()
        except Stopped:
            pass
        finally:
            listener.close()
            with suppress(OSError):
                os.ftruncate(lock, 0)
            os.close(lock)
        self.say(f"stopped after {time.monotonic() - self.began_at:.0f} s")
        return 0

    def _run_on(
        self, home: Home, engines: embedded.Attachment, listener: socket.socket, lock: int
    ) -> None:
        environment = self._environment(home, engines, listener)
        self._prepare(environment)
        metrics = Path(environment["PROMETHEUS_MULTIPROC_DIR"])
        shutil.rmtree(metrics, ignore_errors=True)  # counts of processes that are gone
        metrics.mkdir()
        self.children = self._make_children(home, environment, listener)
        with self.step("processes"):
            for child in self.children:
                child.start()
                self._write_lock(lock)
            self._wait_until_ready(home, listener, lock)
        self.say(f"ready {self.url} in {time.monotonic() - self.began_at:.1f} s")
        self._watch(engines, lock)

    # -- steps -----------------------------------------------------------------------------------

    def _lock(self, home: Home) -> int:
        """Make sure that we are the only supervisor of this home, and that none left children."""
        descriptor = os.open(home.run / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"idp runs already on the home {home.path}{self._who(descriptor)}. Stop it first, "
                "or choose another home with --home."
            ) from None
        # What is written there means that the last one was killed.
        with suppress(ValueError, KeyError, AttributeError):
            for pid, mark in json.loads(os.pread(descriptor, 65536, 0))["children"]:
                end_orphan(pid, mark, _KILL)
        return descriptor

    @staticmethod
    def _who(lock: int) -> str:
        try:
            state = json.loads(os.pread(lock, 65536, 0))
            return f" (process {state['pid']}, {state['url']})"
        except (ValueError, KeyError):
            return ""

    def _write_lock(self, lock: int) -> None:
        state = {
            "pid": os.getpid(),
            "url": self.url,
            "children": [(c.process.pid, c.mark) for c in self.children if c.process],
        }
        text = json.dumps(state).encode()
        os.pwrite(lock, text, 0)
        os.ftruncate(lock, len(text))

    def _listen(self) -> socket.socket:
        """Open the port ourselves: a busy one is known at once, and web restarts drop no one."""
        host, port = self.options.host, self.options.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found[0]
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
        except OSError as error:
            raise StartError(
                f"Cannot listen on {host} port {port}: {error.strerror or error}. Stop the program "
                "that uses it, or choose another with --port or --host."
            ) from error
        return listener

    def _environment(
        self, home: Home, engines: embedded.Attachment, listener: socket.socket
    ) -> dict[str, str]:
        """Return the environment of the children."""
        port = listener.getsockname()[1]
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)  # noqa: S104
        name = f"[{reached}]" if ":" in reached else reached
        self.url = os.environ.get("IDP_URL", "").rstrip("/") or f"http://{name}:{port}"
        environment = {
            **os.environ,
            **engines.urls,
            "DJANGO_SETTINGS_MODULE": "idp.settings",
            "IDP_HOME": str(home.path),
            "IDP_HOST": self.options.host,
            "IDP_PORT": str(port),
            "IDP_WORKERS": str(self.options.workers),
            "PROMETHEUS_MULTIPROC_DIR": str(home.run / "prometheus"),
        }
        if "REDIS_URL" in engines.urls:
            environment["IDP_SOLE_WORKER"] = "1"  # nobody else works for an embedded Redis
        return environment

    def _prepare(self, environment: dict[str, str]) -> None:
        """Bring database, static files, first user and demo up to date, in a process of its own."""
        argv = [sys.executable, str(_CHECKOUT / "manage.py"), "prepare"]
        if self.options.demo is not None:
            argv.append("--demo" if self.options.demo else "--no-demo")
        # The metrics' folder is made after this, for the processes that stay.
        quiet = {k: v for k, v in environment.items() if k != "PROMETHEUS_MULTIPROC_DIR"}
        process = subprocess.Popen(
            launch.command(argv), env=quiet, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while process.poll() is None:
                self._wait(1.0)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode != 0:
            raise StartError("The database could not be made ready; the reason is above.")

    def _make_children(
        self, home: Home, environment: dict[str, str], listener: socket.socket
    ) -> list[Child]:
        tag = "idp-" + hashlib.sha256(os.fsencode(home.path)).hexdigest()[:10]
        python = [sys.executable, "-m"]
        celery = [*python, "celery", "--app=idp"]
        schedule = f"--schedule={home.run / 'beat-schedule'}"
        count, level = self.options.workers, environment.get("IDP_LOG_LEVEL", "info")

        def worker(name: str, host: str, queue: str, count: int, patience_s: float) -> Child:
            return Child(
                name,
                f"--hostname={host}@",
                [
                    *(*celery, "worker", f"--hostname={host}@%h", f"--queues={queue}"),
                    *(f"--concurrency={count}", f"--loglevel={level}"),
                    *("--without-gossip", "--without-mingle"),
                ],
                environment,
                lambda: home.open_log(name),
                # Finish what runs; then stop it and hand it back to the queue.
                stop_signals=((signal.SIGTERM, patience_s), (signal.SIGQUIT, 5.0), *_KILL),
                # The only worker of a queue takes up at its start what a killed one left; among
                # several it hands its tasks back before it goes.
                on_death=signal.SIGKILL if "IDP_SOLE_WORKER" in environment else signal.SIGQUIT,
            )

        return [
            Child(
                "web",
                f"--name={tag}",
                [
                    *(*python, "gunicorn", f"--name={tag}", "--config=python:idp.gunicorn_conf"),
                    *(f"--bind=fd://{listener.fileno()}", "idp.wsgi"),
                ],
                environment,
                lambda: home.open_log("web"),
                stop_signals=((signal.SIGTERM, 25.0), *_KILL),
                # A gentler one is lost on a process that has just been forked.
                on_death=signal.SIGKILL,
                keep_open=(listener.fileno(),),
            ),
            worker("worker", tag, "default", count, 20.0),
            # Syncs take long: with a worker of their own nobody waits behind them. They go on where
            # they were stopped, so nothing is gained by waiting for them either.
            worker("syncs", f"{tag}-syncs", "sources", max(1, count // 2), 5.0),
            Child(
                "beat",
                schedule,
                [
                    *(*celery, "beat", schedule),
                    *(f"--loglevel={level}", "--pidfile="),
                ],
                environment,
                lambda: home.open_log("beat"),
                stop_signals=((signal.SIGTERM, 5.0), *_KILL),
                on_death=signal.SIGTERM,
            ),
        ]

    def _wait_until_ready(self, home: Home, listener: socket.socket, lock: int) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._answers(listener):
            self._restart_children(lock)
            tired = next((child for child in self.children if child.failures > 3), None)
            if tired is not None:
                raise StartError(
                    f"{tired.name} does not start; {home.log / tired.name}.log ends:"
                    + home.log_tail(tired.name, 12)
                )
            if time.monotonic() > deadline:
                raise StartError(
                    f"Not ready after {_READY_WITHIN_S:.0f} seconds: {self._readiness(listener)}. "
                    f"See the logs in {home.log}."
                )
            self._wait(0.1)

    def _readiness(self, listener: socket.socket) -> str:
        """Return what /readyz says, as text."""
        host, port = listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        link = http.client.HTTPConnection(host, port, timeout=5)
        try:
            # The portal's own name: the only one sure to be allowed.
            link.request("GET", "/readyz", headers={"Host": urlsplit(self.url).netloc})
            answer = link.getresponse()
            return f"{answer.status} {answer.read(2000).decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({error})"
        finally:
            link.close()

    def _answers(self, listener: socket.socket) -> bool:
        return self._readiness(listener).startswith("200 ")

    # -- watching --------------------------------------------------------------------------------

    def _watch(self, engines: embedded.Attachment, lock: int) -> None:
        """Restart what dies until a signal asks to stop."""
        next_look = 0.0
        while True:
            self._restart_children(lock)
            if time.monotonic() >= next_look:
                self._look_after(engines)
                next_look = time.monotonic() + _ENGINES_EVERY_S
            waits = [child.restart_at for child in self.children if child.restart_at is not None]
            self._wait(max(0.05, min([next_look, *waits]) - time.monotonic()))

    def _restart_children(self, lock: int) -> None:
        for child in self.children:
            if child.has_ended():
                status = child.process.returncode if child.process else 0
                how = f"signal {-status}" if status < 0 else f"status {status}"
                pause_s = child.plan_restart()
                self.say(f"{child.name} ended ({how}); starting it again in {pause_s:g} s")
            elif child.restart_at is not None and time.monotonic() >= child.restart_at:
                child.start()
                self._write_lock(lock)

    def _look_after(self, engines: embedded.Attachment) -> None:
        for name, state in engines.states().items():
            if state is None:
                self.say(f"the keeper of {name} ended; starting it again")
                engines.mend(name)
                self.engine_restarts[name] = 0
            elif (count := state.get("restarts", 0)) != self.engine_restarts.get(name, 0):
                self.engine_restarts[name] = count
                self.say(f"{name} ended and runs again, process {state['pid']}")

    # -- signals and stopping --------------------------------------------------------------------

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self.stop_requests += 1
            if self.is_interruptible:
                self.is_interruptible = False
                raise Stopped
        self.events.put(number)

    def _wait(self, seconds: float) -> None:
        """Sleep until something happens. Raises Stopped once a signal has asked to stop."""
        with suppress(Empty):
            self.events.get(timeout=seconds)
        if self.stop_requests:
            raise Stopped

    def _interruptible(self, work: Callable[[], None]) -> None:
        """Do long work that never calls _wait(), so that a signal breaks it off."""
        self.is_interruptible = True
        try:
            if not self.stop_requests:
                work()
        finally:
            self.is_interruptible = False
        if self.stop_requests:
            raise Stopped

    def _stop_children(self) -> None:
        """Stop web, worker and beat one after the other; a second signal kills them all."""
        asked = self.stop_requests
        for child in self.children:
            process = child.process
            if process is None or process.poll() is not None:
                continue
            self.say(f"stopping {child.name}")
            for number, patience_s in child.stop_signals:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
                deadline = time.monotonic() + patience_s
                while process.poll() is None and time.monotonic() < deadline:
                    if self.stop_requests > asked:
                        process.kill()
                    with suppress(Empty):
                        self.events.get(timeout=0.2)
                if process.poll() is not None:
                    break
            child.has_ended()


def run(options: Options, out: IO[str] = sys.stdout) -> int:
    """Run `up`; return its exit status. Errors are one line on standard error."""
    try:
        return Supervisor(options, out).run()
    except (StartError, EmbeddedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def main(arguments: list[str]) -> int:
    """Run `up` from its command-line arguments."""
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Start the engines, the portal and its background work."
    )
    add_arguments(parser)
    try:
        options = read_options(vars(parser.parse_args(arguments)), os.environ)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return run(options)
