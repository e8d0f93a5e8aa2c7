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
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def make(self, name: str, files: Mapping[str, str], branch: str = "main") -> str:
        bare, work = self.folder / "bare" / f"{name}.git", self.folder / "work" / name
        work.mkdir(parents=True)
        _git(self.folder, "init", "--quiet", "--bare", f"--initial-branch={branch}", str(bare))
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


def _git(folder: Path, *command: str) -> None:
    subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


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
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                capture_output=True,
                env={
                    **os.environ,
                    "GIT_PROJECT_ROOT": str(owner.folder / "bare"),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": parts.path,
                    "QUERY_STRING": parts.query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("content-type") or "",
                    "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding") or "",
                    "GIT_PROTOCOL": self.headers.get("git-protocol") or "",
                },
                check=False,
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(fields.pop("Status", "200").split()[0]))
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
