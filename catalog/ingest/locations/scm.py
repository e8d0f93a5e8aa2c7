"""Addresses of files on a forge, and their content over its API.

A file's address has many forms (`blob`, `tree`, `raw`, `edit`, `/-/`, raw hosts, none of them);
here they are taken apart and put together as Backstage does it. What GitHub and GitLab have of
their own, and which source reads a host, is in `forges`.
"""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, ClassVar, Final
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from django.core.cache import cache

from catalog.dialects.backstage.annotations import EDIT_URL, SOURCE
from catalog.dialects.backstage.reader import (
    MAX_FILE_BYTES,
    FileMissing,
    FileRefused,
    FileUnreachable,
    Read,
)
from catalog.ingest.connections import FORM_WAIT_S, open_source
from catalog.ingest.sources.repository_files import glob
from catalog.kernel.errors import (
    IdpError,
    UpstreamError,
    UpstreamNotFound,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client, Response, mask_url
from catalog.kernel.source import Connection
from catalog.models import Integration

MAX_TREE_ENTRIES: Final = 200_000
MAX_MATCHES: Final = 10_000
_KEPT_S: Final = 24 * 3600  # where a branch with slashes ends
_KEPT_MISSING_S: Final = 600
_COMMIT = re.compile(r"[0-9a-f]{40}", re.I)
FORMS = ("blob", "tree", "raw", "edit", "blame")


@dataclass(frozen=True, slots=True)
class RepoPath:
    """A file or folder of a repository, as an address names it.

    host: with the port, lower case. project: "owner/name", on GitLab with all its groups. ref: a
    branch, tag or commit; "" is the default branch. path: without a leading slash; "" is the root.
    rest: what stands in the address behind the project and the form, still percent-encoded; where
    the ref ends in it is a guess when a branch may have slashes (`is_guess`).
    """

    host: str
    project: str
    ref: str = ""
    path: str = ""
    rest: str = ""
    is_guess: bool = False

    @property
    def is_commit(self) -> bool:
        return _COMMIT.fullmatch(self.ref) is not None

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file or folder of a repository's tree; size_bytes is None where it is not told."""

    path: str
    is_folder: bool
    size_bytes: int | None = None


class Forge(ABC):
    """A GitHub or GitLab server, as one source reads it.

    integration: None for what anybody may read of the public servers. web: where people see it,
    without a closing slash. All that fails is a FileRefused with the server's own words.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    in_tree: ClassVar[str]  # what stands between a project and the form
    commit_key: ClassVar[str]  # what its API calls the name of a commit

    def __init__(self, integration: Integration | None, web: str) -> None:
        self.integration = integration
        self.web = web
        self._connection: Connection | None = None

    @property
    @abstractmethod
    def client(self) -> Client:
        """Guarded, and authorised for the API; its addresses continue that of the API."""

    @abstractmethod
    def credentials(self) -> tuple[str, str]:
        """User name and password for Git over HTTPS; both "" when nobody signs in."""

    @abstractmethod
    def default_branch(self, project: str) -> str: ...

    @abstractmethod
    def _fetch(self, project: str, ref: str, path: str, etag: str, max_bytes: int) -> Response: ...

    @abstractmethod
    def _entries(self, project: str, ref: str, pattern: str) -> Iterator[Mapping[str, Any]]: ...

    @abstractmethod
    def _commits(self, at: RepoPath) -> Any: ...

    @abstractmethod
    def _refs(self, project: str, start: str) -> Iterator[str]:
        """The branches and tags whose names begin with `start`."""

    @abstractmethod
    def _split(self, parts: list[str]) -> tuple[str, str, str] | None:
        """Project, form ("" where there is none) and the rest of a path of this server."""

    # --- addresses ----------------------------------------------------------------------------

    def parse(self, url: str) -> RepoPath | None:
        """What an address means; None when it is none of a repository here."""
        try:
            split = urlsplit(url)
        except ValueError:
            return None
        inside = self._inside(split.scheme, split.netloc, split.path)
        found = self._split(inside.split("/")) if inside else None
        if found is None:
            return None
        project, form, rest = found
        rest = rest.rstrip("/")
        at = RepoPath(split.netloc.rpartition("@")[2].lower(), project, rest=rest)
        if not form:
            return replace(at, path=unquote(rest))
        is_named = rest.startswith(("refs/heads/", "refs/tags/"))
        if is_named:
            rest = rest.split("/", 2)[2]
        ref, _, path = rest.partition("/")
        at = replace(at, ref=unquote(ref), path=unquote(path), rest=rest)
        may_be_longer = "/" in path or (form == "tree" and path != "")
        return replace(at, is_guess=may_be_longer and not at.is_commit)

    def address(self, at: RepoPath, form: str) -> str:
        """The address of a file or folder in a form: "blob", "tree", "raw", "edit"."""
        rest = at.rest if at.ref else f"HEAD/{at.rest}"
        return f"{self.web}/{at.project}{self.in_tree}/{form}/{rest}"

    def resolve(self, base: str, target: str) -> str:
        """A target as an address, seen from the file at `base`: relative to it, or to the root of
        its repository when it begins with "/"; branch and query stay."""
        if target.startswith("/") and (at := self.parse(base)):
            found = self._from_root(base, self.exact(at), target)
        else:
            found = urljoin(base, target.replace(" ", "%20"))
        split = urlsplit(found)
        return self._as_shown(urlunsplit(split._replace(query=urlsplit(base).query)))

    def _from_root(self, base: str, at: RepoPath, target: str) -> str:
        split = urlsplit(base)
        depth = len(at.path.split("/")) if at.path else 0
        root = split.path.split("/")[:-depth] if depth else split.path.rstrip("/").split("/")
        path = "/".join(root) + "/" + target.lstrip("/").replace(" ", "%20")
        return urljoin(base, urlunsplit((split.scheme, split.netloc, path, "", "")))

    def _as_shown(self, url: str) -> str:
        return url

    def _inside(self, scheme: str, netloc: str, path: str) -> str:
        """The path below this server's own; "" when it lies elsewhere."""
        return below(self.web, scheme, netloc, path)

    def covers(self, url: str) -> bool:
        """Whether an address is one of this server."""
        try:
            split = urlsplit(url)
        except ValueError:
            return False
        return bool(self._inside(split.scheme, split.netloc, split.path))

    def annotations(self, url: str) -> dict[str, str]:
        at = self.parse(url)
        if at is None:
            return {}
        folder = at.rest.rpartition("/")[0]
        source = self.address(replace(at, rest=folder), "tree").rstrip("/") + "/"
        found = {SOURCE: f"url:{source}"}
        if at.ref and not at.is_commit:
            found[EDIT_URL] = self.address(at, "edit")
        return found

    # --- content ------------------------------------------------------------------------------

    def read(
        self,
        project: str,
        ref: str,
        path: str,
        etag: str = "",
        *,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> Read | None:
        """A file; None when it is the same as with that etag. ref: "" is the default branch.

        Raises FileMissing, FileUnreachable, FileRefused.
        """
        where = f"{project} ({ref})" if ref else project
        with told(f"{self.title} has no {path} in {where}", hint="Or the token may not see it."):
            answer = self._fetch(project, ref, path, etag, max_bytes)
            if answer.status == 304:
                return None
            # a GitLab behind a proxy may give no etag, but the name of the content
            now = answer.headers.get("etag", "") or answer.headers.get("x-gitlab-blob-id", "")
            found = Read(_content(answer), now)
            return None if etag and found.etag == etag else found

    def read_address(self, url: str, etag: str = "", *, max_bytes: int) -> Read | None:
        """As `read`; a branch whose name has slashes is found by asking."""
        guess = self.parse(url)
        if guess is None or not guess.path:
            raise FileRefused(
                f"{mask_url(url)} is no address of a file on {self.web}",
                hint="Copy the address from the browser while it shows the file.",
            )
        at = self._known(guess) or guess
        try:
            return self.read(at.project, at.ref, at.path, etag, max_bytes=max_bytes)
        except FileMissing:
            exact = self.exact(guess)
            if exact.ref == at.ref:
                raise
        return self.read(exact.project, exact.ref, exact.path, etag, max_bytes=max_bytes)

    def list_tree(self, project: str, ref: str, pattern: str = "**") -> Iterator[TreeEntry]:
        """Files and folders whose paths a pattern means, in the order of the server.

        Names that begin with a dot are meant only by a pattern that says the dot.
        Raises FileMissing (no such repository or branch), FileUnreachable, FileRefused.
        """
        wanted, says_dot = glob(pattern), re.search(r"(?:^|/)\.", pattern)
        is_all = pattern == "**"
        what = f"branch {ref} in {project}" if ref else f"repository {project}"
        with told(f"{self.title} has no {what}", hint="Or the token may not see it."):
            for count, entry in enumerate(self._entries(project, ref, pattern)):
                if count >= MAX_TREE_ENTRIES:
                    raise FileRefused(
                        f"{project} has more than {MAX_TREE_ENTRIES:,} files",
                        hint="Name a folder: services/**/catalog-info.yaml.",
                    )
                if entry["type"] not in ("blob", "tree"):  # another repository within
                    continue
                path = str(entry["path"])
                is_hidden = not says_dot and re.search(r"(?:^|/)\.", path)
                if is_all or (not is_hidden and wanted.fullmatch(path)):
                    yield TreeEntry(path, entry["type"] == "tree", entry.get("size"))

    def expand(self, url: str) -> list[str]:
        """The addresses of the files that a pattern in an address means. Raises FileMissing for
        none."""
        at = self.parse(url)
        if at is None:
            raise FileRefused(f"{mask_url(url)} is no address of files on {self.web}")
        at = self._known(at) or at
        try:
            paths = self._matches(at)
        except FileMissing:
            exact = self.exact(at)
            if exact.ref == at.ref:
                raise
            at = exact
            paths = self._matches(at)
        split = urlsplit(url)
        root = split.path[: len(split.path) - len(_raw_path(at))]
        return [
            urlunsplit((split.scheme, split.netloc, root + quote(one), split.query, ""))
            for one in paths
        ]

    def _matches(self, at: RepoPath) -> list[str]:
        found = []
        for entry in self.list_tree(at.project, at.ref, at.path):
            if not entry.is_folder:
                found.append(entry.path)
            if len(found) > MAX_MATCHES:
                raise FileRefused(f"the pattern names more than {MAX_MATCHES:,} files")
        if not found:
            raise FileMissing("the pattern names no file")
        return sorted(found)

    # --- branches with slashes ----------------------------------------------------------------

    def exact(self, at: RepoPath) -> RepoPath:
        """The same address with the branch that it really means, as far as it can be found."""
        if not at.is_guess:
            return at
        if known := self._known(at):
            return known
        if cache.get(self._key(at)) is not None:  # asked not long ago, and there was none
            return at
        first, rest = at.rest.split("/", 1)[0], unquote(at.rest)
        try:
            refs = list(self._refs(at.project, unquote(first)))
        except UpstreamError:
            return at
        fitting = [one for one in refs if f"{rest}/".startswith(f"{one}/")]
        longest = max(fitting, key=len, default="")
        cache.set(self._key(at), longest, _KEPT_S if longest else _KEPT_MISSING_S)
        return _with_ref(at, longest) if longest else at

    def _known(self, at: RepoPath) -> RepoPath | None:
        ref = cache.get(self._key(at)) if at.is_guess else None
        return _with_ref(at, ref) if ref else None

    def _key(self, at: RepoPath) -> str:
        name = f"{self.web}/{at.project}\0{at.rest}"
        return "forge-ref:" + blake2b(name.encode(), digest_size=16).hexdigest()

    # --- repositories -------------------------------------------------------------------------

    def last_commit(self, at: RepoPath) -> str:
        """The last commit that touched a folder: one small request.

        Raises FileMissing, FileUnreachable, FileRefused.
        """
        with told(f"{self.title} has no {at.project}", hint="Or the token may not see it."):
            commits = self._commits(at)
        if not isinstance(commits, list) or not commits:
            raise FileMissing(f"{at.project} has no folder {at.path or '/'}")
        return str(commits[0].get(self.commit_key) or "")

    def clone_url(self, project: str) -> str:
        """What Git clones; see `credentials`."""
        return f"{self.web}/{quote(project)}.git"

    @abstractmethod
    def fit(self, project: str) -> int:
        """How well the source's settings fit a project: 2 they name it, 1 they name nothing, 0
        they name others."""

    def _open(self) -> Connection:
        if self.integration is None:
            http = Client(max_wait_s=FORM_WAIT_S, retries=1)
            self._connection = Connection({}, http, lambda level, message: None)
        else:
            opened = open_source(self.integration, log=lambda level, message: None)
            self._connection = opened.connection
        return self._connection

    def close(self) -> None:
        if self._connection:
            self._connection.http.close()


# --- details ----------------------------------------------------------------------------------


def below(web: str, scheme: str, netloc: str, path: str) -> str:
    """The path below a server's address; "" when it lies elsewhere."""
    own = urlsplit(web)
    if scheme not in ("http", "https") or _host(own.scheme, own.netloc) != _host(scheme, netloc):
        return ""
    if not path.startswith(f"{own.path}/"):
        return ""
    return path[len(own.path) + 1 :]


def _host(scheme: str, netloc: str) -> str:
    host = netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443" if scheme == "https" else ":80")


def _with_ref(at: RepoPath, ref: str) -> RepoPath:
    path = unquote(at.rest)[len(ref) + 1 :]
    return replace(at, ref=ref, path=path, is_guess=False)


def _raw_path(at: RepoPath) -> str:
    """The path as it stands at the end of the address."""
    return "/".join(at.rest.split("/")[-len(at.path.split("/")) :])


def _content(answer: Response) -> bytes:
    """The bytes of a file. Some servers give it in JSON, whatever they were asked for."""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return answer.content
    try:
        body = answer.json()
    except UpstreamError:
        return answer.content
    if isinstance(body, list) and all(isinstance(one, dict) and "sha" in one for one in body):
        raise FileRefused("it is a folder, not a file")
    if isinstance(body, dict) and body.get("encoding") == "base64" and "content" in body:
        return base64.b64decode(body["content"])
    return answer.content


@contextmanager
def told(missing: str, *, hint: str = "") -> Iterator[None]:
    """Tell what goes wrong with a server as what goes wrong with a file. missing, hint: what is
    said of what is not there."""
    try:
        yield
    except FileRefused:
        raise
    except UpstreamNotFound as error:
        raise FileMissing(missing, hint=hint, details=error.details) from error
    except UpstreamUnavailable as error:
        raise FileUnreachable(error.message, hint=error.hint, details=error.details) from error
    except IdpError as error:
        raise FileRefused(error.message, hint=error.hint, details=error.details) from error
