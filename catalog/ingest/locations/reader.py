"""Reads places: files of this server, files of forges through their sources, allowed addresses."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from django.conf import settings

from catalog.dialects.backstage.annotations import VIEW_URL
from catalog.dialects.backstage.files import GIT, FileReader, Workspace
from catalog.dialects.backstage.reader import (
    FILE,
    MAX_FILE_BYTES,
    URL,
    FileRefused,
    Read,
    ReadingNotAllowed,
    address_in,
    is_address,
    is_file,
    path_in,
)
from catalog.ingest.connections import FORM_WAIT_S
from catalog.ingest.locations.forges import Forges
from catalog.ingest.locations.scm import Forge, told
from catalog.kernel.http import Client, Response, mask_url
from catalog.kernel.identifiers import is_storable
from catalog.services import catalog_settings

MAX_REDIRECTS: Final = 5
_MOVED: Final = (301, 302, 303, 307, 308)
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(.*))?")
_DATED: Final = "last-modified:"  # before a date that stands for an etag


class PlaceReader:
    """See `Reader`. What may be read:

    - `file:` below the folders of IDP_FILES and `roots`, or those of `workspace` when one is given;
    - `url:` on the hosts of the enabled GitHub and GitLab sources, with their tokens;
    - `url:` on the hosts that the settings of the catalogue allow (`reading_allow`), as anybody
      may read them.

    Holds connections: close it, or use it as a context. The sources and settings are read once.
    """

    def __init__(self, workspace: Workspace | None = None, *, roots: Iterable[Path] = ()) -> None:
        self.files = FileReader(workspace or opened_folders(roots))
        self.forges = Forges()

    @cached_property
    def _allow(self) -> Sequence[Any]:
        allowed: Sequence[Any] = catalog_settings.current().reading_allow
        return allowed

    @cached_property
    def _http(self) -> Client:
        return Client(max_wait_s=FORM_WAIT_S, retries=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.forges.close()
        if "_http" in vars(self):
            self._http.close()

    def prepare(self) -> None:
        """Read the sources and settings now, so that threads may share this without asking."""
        self.forges.all()
        _ = self._allow, self._http

    # --- the protocol -------------------------------------------------------------------------

    def read(self, place: str, *, etag: str = "", max_bytes: int = MAX_FILE_BYTES) -> Read | None:
        if is_file(place):
            return self.files.read(place, etag=etag, max_bytes=max_bytes)
        url = address_in(place)
        if forge := self._forge(url):
            return forge.read_address(url, etag, max_bytes=max_bytes)
        return self._read_plainly(url, etag, max_bytes)

    def resolve(self, base: str, target: str, *, type: str = "") -> str:
        if not is_storable(target):
            raise FileRefused("it has a character that no name or address may have")
        if is_file(base):
            return self.files.resolve(base, target, type=type)
        if type == FILE:
            raise FileRefused("a file of this server may not be named from elsewhere")
        if is_address(target):
            return f"{URL}:{target}"
        url = address_in(base)
        try:
            forge = self._forge(url)
        except FileRefused:
            forge = None
        try:
            return f"{URL}:{forge.resolve(url, target) if forge else urljoin(url, target)}"
        except ValueError:
            return f"{URL}:{target}"

    def expand(self, place: str) -> list[str]:
        if is_file(place):
            return [one for one in self.files.expand(place) if is_storable(one)]
        url = address_in(place)
        forge = self._forge(url)
        if "*" not in _split(url).path:
            return [place]
        if forge is None:
            raise FileRefused(
                "a pattern can only be searched for on GitHub and GitLab",
                hint="Name each file, or add a source for its host.",
            )
        return [f"{URL}:{one}" for one in forge.expand(url)]

    def annotations(self, place: str) -> dict[str, str]:
        if is_file(place):
            return {}
        url = address_in(place)
        try:
            forge = self._forge(url)
        except FileRefused:
            forge = None
        found = forge.annotations(url) if forge else {}
        return {VIEW_URL: url, **found}

    def check_content(self, base: str, place: str) -> None:
        """A document may not show what another repository holds: its author may not see that."""
        if is_file(place):
            [own_root] = Workspace.around(path_in(base)).roots
            in_repository = (own_root / GIT).exists()
            if in_repository and not path_in(place).resolve().is_relative_to(own_root):
                raise FileRefused("it lies in another repository", hint="Keep a copy beside it.")
            return
        if is_file(base):  # an administrator registered it
            return
        theirs = self.forges.of(address_in(place))
        if theirs is None:
            return
        own = self.forges.of(address_in(base))
        if own is None:
            raise FileRefused(
                "it lies in a repository, and the document that names it does not",
                hint="Keep the document in that repository.",
            )
        there, here = theirs.parse(address_in(place)), own.parse(address_in(base))
        if (
            there
            and here
            and (own.web, here.project.lower()) != (theirs.web, there.project.lower())
        ):
            raise FileRefused(
                f"it lies in another repository, {there.project}",
                hint=f"Keep a copy in {here.project}, or describe the API there.",
            )

    # --- addresses ----------------------------------------------------------------------------

    def _forge(self, url: str) -> Forge | None:
        """What reads an address; None for a plain request. Raises ReadingNotAllowed."""
        split = _split(url)
        if forge := self.forges.of(url):
            return forge
        if not any(_is_allowed(split, entry) for entry in self._allow):
            raise ReadingNotAllowed(
                f"nothing may be read from {split.netloc}",
                hint="An administrator may add a GitHub or GitLab source for it, or allow the host "
                "in the settings of the catalogue.",
            )
        public = self.forges.public(url)
        return public if public and url.startswith(f"{public.web}/") else None

    def _read_plainly(self, url: str, etag: str, max_bytes: int) -> Read | None:
        with told(f"there is no {mask_url(url)}"):
            answer = self._follow(url, etag, max_bytes)
        if answer.status == 304:
            return None
        dated = answer.headers.get("last-modified", "")
        now = answer.headers.get("etag", "") or (f"{_DATED}{dated}" if dated else "")
        return Read(answer.content, now)

    def _follow(self, url: str, etag: str, max_bytes: int) -> Response:
        """The answer behind redirects, of which each must be allowed too."""
        if etag.startswith(_DATED):
            headers = {"if-modified-since": etag.removeprefix(_DATED)}
        else:
            headers = {"if-none-match": etag} if etag else {}
        http = self._http.with_(max_bytes=max_bytes)
        for _ in range(MAX_REDIRECTS + 1):
            answer = http.get(url, headers=headers, expect=(200, 304, *_MOVED))
            if answer.status not in _MOVED:
                return answer
            try:
                following = urljoin(url, answer.headers.get("location", ""))
            except ValueError:
                raise FileRefused(f"{mask_url(url)} has moved to no address") from None
            if self._forge(following):
                raise FileRefused(
                    f"{mask_url(url)} has moved to {mask_url(following)}",
                    hint="Write the new address.",
                )
            if url.startswith("https:") and not following.startswith("https:"):
                raise FileRefused(
                    f"{mask_url(url)} has moved to {mask_url(following)}, which is not encrypted"
                )
            url = following
        raise FileRefused(f"{mask_url(url)}: it is redirected more than {MAX_REDIRECTS} times")


def opened_folders(roots: Iterable[Path] = ()) -> Workspace:
    """The folders that the operator opens, and further ones."""
    opened = [Path(one) for one in settings.IDP_FILES]
    return Workspace(
        tuple(one.resolve() for one in (*opened, *roots)),
        outside="it lies outside the folders that may be read",
        hint="The operator names them in IDP_FILES.",
    )


def _split(url: str) -> SplitResult:
    """Raises FileRefused for what is no address that can be read."""
    try:
        split = urlsplit(url)
        # Nobody's name before the host: it would be shown wherever the address is.
        is_read = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
        is_read = is_read and "@" not in split.netloc and "\\" not in url
    except ValueError:
        is_read = False
    if not is_read or not is_storable(url):
        shown = mask_url(url) if is_storable(url) else "it"
        raise FileRefused(f"{shown} is no address that can be read", hint="https://… is meant.")
    return split


def _is_allowed(split: SplitResult, entry: Any) -> bool:
    """Whether an entry of `reading_allow` ({"host", "paths"}) means an address.

    host: a name, with the port where it is not the usual one or `*` for any; `*.` before it means
    every name below. paths: how the path begins; none means all.
    """
    found = _HOST.fullmatch(str(entry.get("host") or "").lower())
    if found is None:
        return False
    wanted, wanted_port = found[1].strip("[]"), found[2]
    usual = {"https": "443", "http": "80"}[split.scheme]
    host, port = split.hostname or "", str(split.port or usual)
    if (wanted_port or usual) not in ("*", port):
        return False
    if not (host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted):
        return False
    paths = entry.get("paths") or ()
    path = unquote(split.path)
    return not paths or (
        "\\" not in path
        and posixpath.normpath(path) == path.rstrip("/")
        and any(map(path.startswith, paths))
    )
