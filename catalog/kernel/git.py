"""Reading and writing Git repositories, by the program `git`, with as little trust as it can be
given.

Only http(s): addresses are checked as the HTTP client checks them, and `git` is told the very
ones to dial (`http.curloptResolve`). It runs without the machine's configuration, without hooks,
filters, submodules, symbolic links and redirects, and is stopped when it takes too long or
writes too much. Credentials travel in its environment, not on its command line.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from catalog.kernel.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
    shorten,
)
from catalog.kernel.http import mask_url
from catalog.kernel.http.addresses import addresses_to_dial, check_proxied, is_proxied, parse_url
from catalog.kernel.http.addresses import port_of as port_of_url
from catalog.kernel.http.masking import mask

MAX_BYTES: Final = 1024 * 1024 * 1024
TIMEOUT_S: Final = 600.0
_LOOK_EVERY_S = 0.2

# What servers say through git when they do not let us in, or have no such repository.
_REFUSED = ("authentication failed", "could not read username", "403", "access denied")
_MISSING = ("not found", "404")
_NO_BRANCH = "remote branch"
_REJECTED = ("[rejected]", "[remote rejected]")
_MAX_MESSAGE = 10_000  # characters of a commit's message


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree. commit: its full name. branch: "" where HEAD names none."""

    folder: Path
    commit: str
    branch: str


@dataclass(frozen=True, slots=True)
class Author:
    name: str
    email: str


@contextmanager
def checked_out(
    url: str,
    *,
    branch: str = "",
    username: str = "",
    token: str = "",
    max_bytes: int = MAX_BYTES,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Checkout]:
    """The newest commit of a repository in a folder of its own, which goes with the block.

    branch: "" is the repository's own choice. Raises AddressRefused, UpstreamRefused,
    UpstreamNotFound, UpstreamUnavailable, UpstreamError and InvalidInput.
    """
    program = _program()
    if branch.startswith("-"):
        raise InvalidInput(f"{shorten(branch)} is no name of a branch")
    address = _address(url)
    options = _options(address, username, token)
    with tempfile.TemporaryDirectory(prefix="idp-git-") as temporary:
        folder = Path(temporary, "tree")
        wanted = ["--branch", branch] if branch else []
        _run(
            [
                *(program, "clone", "--quiet", "--depth", "1", "--single-branch", "--no-tags"),
                *wanted,
                *("--", address, str(folder)),
            ],
            _environment(options, Path(temporary)),
            Path(temporary),
            what=mask_url(url),
            secrets={token, *options.values()} - {""},
            max_bytes=max_bytes,
            timeout_s=timeout_s,
        )
        git = [program, "-C", str(folder)]
        commit = _answer([*git, "rev-parse", "HEAD"], Path(temporary))
        name = _answer([*git, "rev-parse", "--abbrev-ref", "HEAD"], Path(temporary))
        yield Checkout(folder, commit, "" if name == "HEAD" else name)


def push(
    url: str,
    tree: Path,
    *,
    branch: str,
    message: str,
    author: Author,
    onto: Checkout | None = None,
    username: str = "",
    token: str = "",
    max_bytes: int = MAX_BYTES,
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Commit all files of a folder, and push the commit as a branch; returns its full name.

    onto: a checkout of the repository, whose newest commit it continues and whose folder `tree`
    is; without one it is the first commit of an empty branch. What the folder ignores
    (`.gitignore`) stays out. "" is returned, and nothing is pushed, where nothing has changed.
    Nothing is ever pushed by force.
    Raises AddressRefused, UpstreamRefused, UpstreamNotFound, UpstreamUnavailable, UpstreamError
    (the server rejects the commit) and InvalidInput.
    """
    program = _program()
    address = _address(url)
    _check_branch(program, branch)
    options = {**_options(address, username, token), "gc.auto": "0"}
    with tempfile.TemporaryDirectory(prefix="idp-git-") as temporary:
        home = Path(temporary)
        store = onto.folder / ".git" if onto else home / "store"
        environment = {
            **_environment(options, home),
            **{f"GIT_{who}_NAME": _plain(author.name) for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": _plain(author.email) for who in ("AUTHOR", "COMMITTER")},
            "GIT_DIR": str(store),
            "GIT_WORK_TREE": str(tree),
        }

        def git(*command: str) -> None:
            _run(
                [program, *command],
                environment,
                home,
                what=mask_url(url),
                secrets={token, *options.values()} - {""},
                max_bytes=max_bytes,
                timeout_s=timeout_s,
            )

        if onto is None:
            git("init", "--quiet", "--template=", f"--initial-branch={branch}")
        git("add", "--all")
        answer = [program, "--git-dir", str(store), "--work-tree", str(tree)]
        if onto is not None and not _answer([*answer, "status", "--porcelain"], home):
            return ""
        text = message.strip()[:_MAX_MESSAGE] or "Update"
        git("commit", "--quiet", "--no-verify", "--allow-empty", f"--message={text}")
        git("push", "--quiet", "--", address, f"HEAD:refs/heads/{branch}")
        return _answer([*answer, "rev-parse", "HEAD"], home)


def _program() -> str:
    program = shutil.which("git")
    if program is None:
        raise UpstreamError("The program git is not installed here", hint="Install it.")
    return program


def _check_branch(program: str, branch: str) -> None:
    """Raises InvalidInput."""
    done = subprocess.run(
        [program, "check-ref-format", f"refs/heads/{branch}"], capture_output=True, check=False
    )
    if done.returncode or not branch or branch.startswith("-") or branch == "HEAD":
        raise InvalidInput(f"{shorten(branch)!r} is no name of a branch")


def _plain(text: str) -> str:
    """A name as a commit may hold it."""
    return " ".join(re.sub(r"[<>\x00-\x1f\x7f]", " ", text).split()) or "idp"


def _address(url: str) -> str:
    """`url` written out as it was checked, so that git's own reading of it finds no other host.

    Raises AddressRefused.
    """
    parsed = parse_url(url)
    return str(parsed.copy_with(host=parsed.raw_host.decode("ascii"), fragment=None))


def _options(url: str, username: str, token: str) -> dict[str, str]:
    """Git's configuration for one call. Raises AddressRefused."""
    parsed = parse_url(url)
    host, port = parsed.raw_host.decode("ascii"), port_of_url(parsed)
    options = {
        "core.hooksPath": os.devnull,
        "core.symlinks": "false",
        "credential.helper": "",
        "http.followRedirects": "false",
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "60",
        "protocol.allow": "never",
        f"protocol.{parsed.scheme}.allow": "always",
        "submodule.recurse": "false",
    }
    if is_proxied(host):
        check_proxied(host)
        options["http.proxy"] = settings.IDP_HTTP_PROXY
    else:
        try:
            addresses = addresses_to_dial(host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UpstreamUnavailable(f"{mask_url(url)} was not reached: {reason}") from error
        options["http.proxy"] = ""
        # By the name, or by whatever git's own reading makes of it: nothing is looked up again.
        options["http.curloptResolve"] = f"*:{port}:{','.join(addresses)}"
    if token:
        pair = base64.b64encode(f"{username or 'git'}:{token}".encode()).decode()
        options["http.extraHeader"] = f"Authorization: Basic {pair}"
    return options


def _environment(options: Mapping[str, str], home: Path) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_COUNT": str(len(options)),
    }
    if settings.IDP_HTTP_CA_FILE:
        environment["GIT_SSL_CAINFO"] = str(settings.IDP_HTTP_CA_FILE)
    for number, (key, value) in enumerate(options.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


def _run(
    command: list[str],
    environment: dict[str, str],
    folder: Path,
    *,
    what: str,
    secrets: set[str],
    max_bytes: int,
    timeout_s: float,
) -> None:
    errors = folder / "errors"
    deadline = time.monotonic() + timeout_s
    with errors.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY_S)
                if time.monotonic() > deadline:
                    raise UpstreamUnavailable(f"{what} was not read within {timeout_s:g} s")
                if _size(folder) > max_bytes:
                    raise UpstreamError(f"{what} has more than {max_bytes:,} bytes")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
    if process.returncode:
        raise _failed(what, mask(errors.read_text(errors="replace"), secrets))


def _failed(what: str, said: str) -> UpstreamError:
    lines = [
        line.removeprefix("fatal: ").removeprefix("remote: ").strip()
        for line in said.splitlines()
        if line.strip() and not line.startswith(("Cloning into", "hint:"))
    ]
    words = shorten("; ".join(lines[-2:]) or "git gave no reason", 300)
    message = f"{what}: {words}"
    lower = words.lower()
    if any(one in lower for one in _REJECTED):
        return UpstreamError(message)
    if any(one in lower for one in _REFUSED):
        return UpstreamRefused(message)
    if _NO_BRANCH in lower or any(one in lower for one in _MISSING):
        return UpstreamNotFound(message)
    return UpstreamUnavailable(message)


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # a temporary file of git's, gone meanwhile
                continue
    return total


def _answer(command: list[str], home: Path) -> str:
    done = subprocess.run(
        command,
        env=_environment({}, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise UpstreamError(f"git: {shorten(done.stderr.strip(), 300)}")
    return done.stdout.strip()
