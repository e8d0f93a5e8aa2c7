"""The home folder: everything the program writes by itself lives in it."""

import base64
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A Unix socket's path has 108 bytes on Linux and 104 on macOS, a final zero included.
MAX_SOCKET_PATH = 103


class EmbeddedError(Exception):
    """An engine or the home folder cannot be used. The message says why and what to do."""


@dataclass(frozen=True)
class Home:
    """Paths inside one home folder, which is absolute."""

    path: Path

    @property
    def run(self) -> Path:
        """Locks and state of running processes; worth nothing once they are gone."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def socket_dir(self, name: str, socket_name: str) -> Path:
        """Return a folder for an engine's socket: inside the home unless that path is too long."""
        inside = self.path / name / "run"
        if len(os.fsencode(inside / socket_name)) <= MAX_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"idp-{digest}-{name}"

    def open_log(self, name: str) -> int:
        """Open HOME/log/NAME.log to append and return its descriptor; a big one is set aside."""
        path = self.log / f"{name}.log"
        if path.exists() and path.stat().st_size > 20 * 1024 * 1024:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def log_tail(self, name: str, lines: int = 6) -> str:
        """Return the last lines of HOME/log/NAME.log, indented; empty when there are none."""
        try:
            text = (self.log / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""
        return "".join(f"\n    {line}" for line in text.splitlines()[-lines:])


def make_home(path: Path) -> Home:
    """Make the home folder with what every process expects in it; harmless when it is there.

    Raises EmbeddedError when it cannot be written.
    """
    home = Home(Path(path).expanduser().resolve())
    try:
        # Root runs PostgreSQL as another user, who must be able to pass through.
        home.path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        for folder in (home.run, home.log):
            folder.mkdir(mode=0o700, exist_ok=True)
        # A folder may exist and still be closed to us, or full.
        probe = home.run / f"probe.{os.getpid()}"
        probe.write_text("writable")
        probe.unlink()
        _make_once(home.path / "secret_key", secrets.token_urlsafe(48))
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        _make_once(home.path / "encryption.key", f"{key}\n")
    except OSError as error:
        raise EmbeddedError(
            f"The home folder {home.path} cannot be used: {error.strerror or error}. "
            "Choose another with --home or IDP_HOME."
        ) from error
    return home


def _make_once(path: Path, text: str) -> None:
    if path.exists():
        return
    # Written aside and linked into place, so that two first starts agree on one key.
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
