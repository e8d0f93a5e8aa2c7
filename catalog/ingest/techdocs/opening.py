"""Opens the folder that a place names, and says cheaply whether it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from catalog.dialects.backstage.files import Workspace
from catalog.dialects.backstage.reader import (
    FileMissing,
    FileRefused,
    address_in,
    is_file,
    path_in,
)
from catalog.ingest.locations.reader import PlaceReader, opened_folders
from catalog.ingest.locations.scm import Forge, RepoPath, told
from catalog.ingest.techdocs.trees import AddressTree, FolderTree, Tree
from catalog.kernel.git import checked_out

MAX_REPOSITORY_BYTES = 500 * 1024 * 1024
CHECKOUT_S = 240.0


class Place:
    """A folder of documentation.

    own_file: the place of the entity's file. A folder of this server is open to an entity whose
    file is one of this server too: an annotation alone, which any member may write, opens none.
    Use it with an open reader.
    """

    def __init__(self, place: str, reader: PlaceReader, *, own_file: str = "") -> None:
        self.place = place
        self._reader = reader
        self._own_file = own_file
        self._forge: Forge | None = None
        self._at: RepoPath | None = None
        if not is_file(place):
            self._forge = reader.forges.of(address_in(place))
            self._at = self._repository(self._forge) if self._forge else None

    def revision(self) -> str:
        """The same while nothing below has changed; "" where that cannot be told cheaply.

        Raises FileMissing, FileUnreachable, FileRefused.
        """
        if is_file(self.place):
            return self._folder().stamp()
        if self._forge is None or self._at is None:
            return ""
        return self._forge.last_commit(self._at)

    @contextmanager
    def opened(self) -> Iterator[Tree]:
        """The folder. Raises FileMissing, FileUnreachable, FileRefused."""
        if is_file(self.place):
            yield self._folder()
        elif self._forge is None or self._at is None:
            yield AddressTree(address_in(self.place), self._reader)
        else:
            with self._checked_out(self._forge, self._at) as tree:
                yield tree

    def _folder(self) -> FolderTree:
        path = path_in(self.place)
        if not is_file(self._own_file):
            raise FileRefused(
                "a folder of this server may only be named by a file of this server",
                hint="Let an administrator register a location for its descriptor.",
            )
        workspace = opened_folders()
        beside = Workspace.around(path_in(self._own_file))
        workspace = replace(workspace, roots=(*workspace.roots, *beside.roots))
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            real = None
        workspace.check(real or path)
        if real is None or not real.is_dir():
            raise FileMissing(f"there is no folder {path.name}")
        return FolderTree(real)

    def _repository(self, forge: Forge) -> RepoPath:
        url = address_in(self.place)
        at = forge.parse(url.rstrip("/"))
        if at is None:
            raise FileRefused(f"{url} is no address of a folder on {forge.web}")
        return forge.exact(at)

    @contextmanager
    def _checked_out(self, forge: Forge, at: RepoPath) -> Iterator[Tree]:
        if at.is_commit:
            raise FileRefused(
                f"{address_in(self.place)} names a commit", hint="Name a branch or a tag."
            )
        user, token = forge.credentials()
        branch = "" if at.ref in ("", "HEAD") else at.ref
        with (
            told(f"{forge.title} has no {at.project}", hint="Or the token may not see it."),
            checked_out(
                forge.clone_url(at.project),
                branch=branch,
                username=user,
                token=token,
                max_bytes=MAX_REPOSITORY_BYTES,
                timeout_s=CHECKOUT_S,
            ) as checkout,
        ):
            folder = Path(checkout.folder, at.path)
            if not folder.resolve().is_relative_to(checkout.folder.resolve()):
                raise FileRefused(f"{at.path} leads out of {at.project}")
            if not folder.is_dir():
                raise FileMissing(f"{at.project} has no folder {at.path or '/'}")
            shown = replace(at, ref=at.ref or "HEAD", rest=_rest(at, checkout.branch))
            yield FolderTree(
                folder, limit=folder, address=forge.address(shown, "tree").rstrip("/") + "/"
            )


def _rest(at: RepoPath, branch: str) -> str:
    ref = at.ref if at.ref not in ("", "HEAD") else branch or "HEAD"
    return "/".join(one for one in (quote(ref), quote(at.path)) if one)
