"""A Git server for tests: `git http-backend` behind a small HTTP server on 127.0.0.1.

The fixture `git_server` makes repositories: `git_server.make("shop/cart", {"a.yaml": "…"})` gives
the address to clone, `git_server.commit("shop/cart", {...})` adds a commit (None removes a file).
`git_server.token`: where set, the password that Basic authentication must bring.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

_NAME = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]


class GitServer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = ""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """What Git's own server says to a request."""
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env={
                **os.environ,
                "GIT_PROJECT_ROOT": str(self.folder / "bare"),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": method,
                "REMOTE_USER": "tester",  # who may push
                "CONTENT_TYPE": headers.get("content-type") or "",
                "HTTP_CONTENT_ENCODING": headers.get("content-encoding") or "",
                "GIT_PROTOCOL": headers.get("git-protocol") or "",
            },
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return int(fields.pop("Status", "200").split()[0]), fields, content

    def make_empty(self, name: str, branch: str = "main") -> str:
        bare = self.folder / "bare" / f"{name}.git"
        _git(self.folder, "init", "--quiet", "--bare", f"--initial-branch={branch}", str(bare))
        return f"{self.url}/{name}.git"

    def files(self, name: str, branch: str = "main") -> dict[str, str]:
        """What a branch holds: {path: content}, executable ones as "path*"."""
        bare = self.folder / "bare" / f"{name}.git"
        found = {}
        for line in _git(bare, "ls-tree", "-r", branch).splitlines():
            about, _, path = line.partition("\t")
            mode, _, blob = about.split()
            text = _git(bare, "cat-file", "blob", blob)
            found[f"{path}*" if mode == "100755" else path] = text
        return found

    def log(self, name: str, branch: str = "main") -> list[str]:
        """The commits of a branch, the newest first: "message (author <e-mail>)"."""
        bare = self.folder / "bare" / f"{name}.git"
        return _git(bare, "log", "--format=%s (%an <%ae>)", branch).splitlines()

    def make(self, name: str, files: Mapping[str, str], branch: str = "main") -> str:
        bare, work = self.folder / "bare" / f"{name}.git", self.folder / "work" / name
        work.mkdir(parents=True)
        self.make_empty(name, branch)
        _git(work, "init", "--quiet", f"--initial-branch={branch}")
        _git(work, "remote", "add", "origin", str(bare))
        self.commit(name, files)
        return f"{self.url}/{name}.git"

    def commit(self, name: str, files: Mapping[str, str | None]) -> None:
        work = self.folder / "work" / name
        for path, text in files.items():
            file = work / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        _git(work, "add", "--all")
        _git(work, *_NAME, "commit", "--quiet", "--message", "change")
        _git(work, "push", "--quiet", "origin", "HEAD")


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def _handler_of(owner: GitServer) -> type[BaseHTTPRequestHandler]:
    class RequestHandler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            if owner.token and not self._is_known():
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=git")
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, fields, content = owner.answer(
                self.command, parts.path, parts.query, self.headers, body
            )
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer

        def _is_known(self) -> bool:
            _, _, pair = (self.headers.get("authorization") or "").partition(" ")
            return base64.b64decode(pair).decode().endswith(f":{owner.token}")

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    return RequestHandler


@pytest.fixture
def git_server(tmp_path, settings) -> Iterator[GitServer]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    settings.IDP_HTTP_ALLOW = ["127.0.0.1"]
    server = GitServer(tmp_path)
    yield server
    server.server.shutdown()
    server.server.server_close()
