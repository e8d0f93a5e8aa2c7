"""Files and folders of GitHub's repositories."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from catalog.ingest.sources.github.api import GitHubApi, root
from catalog.ingest.sources.repository_files import (
    MAX_FILE_BYTES,
    Item,
    PathRule,
    RepositoryFiles,
    fixed_part,
)
from catalog.kernel.errors import UpstreamError, UpstreamNotFound


class GitHubFiles(RepositoryFiles):
    includes_beside = True

    def __init__(self, api: GitHubApi, selector: Mapping[str, Any]) -> None:
        super().__init__(selector, api.log)
        self.api = api

    @staticmethod
    def names(repository: Item) -> Sequence[str]:
        return repository["full_name"], repository["name"]

    def shaped_file(
        self, repository: Item, reference: str, path: str, metadata: Item, content: Any
    ) -> Item:
        name = path.rpartition("/")[2]
        return {
            "organization": repository["owner"]["login"],
            "content": content,
            "repository": repository,
            "branch": reference,
            "path": path,
            "name": name,
            "metadata": metadata,
            # The names that mappings of Port's older GitHub app know.
            "repo": repository,
            "file": {**metadata, "name": name, "path": path, "content": content},
        }

    def shaped_folder(self, repository: Item, reference: str, entry: Item) -> Item:
        return {
            "folder": {**entry, "name": entry["path"].rpartition("/")[2]},
            "repo": repository,
            "__repository": repository,
            "__branch": reference,
            "__organization": repository["owner"]["login"],
        }

    def bare_metadata(self, reference: str, path: str) -> Item:
        return {"name": path.rpartition("/")[2], "path": path}

    def tree(self, repository: Item, reference: str, rules: Sequence[PathRule]) -> Iterator[Item]:
        """GitHub cuts trees of more than 100,000 entries; such a tree is read folder by folder."""
        bases = [fixed_part(one.path) for one in rules]
        is_deep = any("/" in one.path.strip("/") or "**" in one.path for one in rules)
        return self._below(repository, reference, "", bases, is_deep)

    def _below(
        self, repository: Item, tree: str, folder: str, bases: Sequence[str], is_deep: bool
    ) -> Iterator[Item]:
        path = f"{root(repository)}/git/trees/{quote(tree, safe='')}"
        answer = self.api.get_json(path, recursive="1" if is_deep else None)
        is_cut = bool(answer.get("truncated"))
        if is_cut and is_deep:
            answer = self.api.get_json(path)
        if is_cut and answer.get("truncated"):
            raise UpstreamError(
                f"The folder {folder or '/'} of {repository['full_name']} has more entries than "
                "GitHub lists",
                details={"status": 200},
            )
        prefix = f"{folder}/" if folder else ""
        for entry in answer["tree"]:
            at = prefix + entry["path"]
            yield {**entry, "path": at}
            if is_cut and entry["type"] == "tree" and any(_leads(at, base) for base in bases):
                yield from self._below(repository, entry["sha"], at, bases, True)

    def read(self, repository: Item, reference: str, path: str) -> tuple[Item, bytes] | None:
        try:
            answer = self.api.get_json(
                f"{root(repository)}/contents/{quote(path)}", ref=reference or None
            )
        except UpstreamNotFound:
            return None
        if not isinstance(answer, dict) or answer.get("type") != "file":
            return None
        if answer.get("encoding") != "base64" or answer.get("size", 0) > MAX_FILE_BYTES:
            self.too_large(repository, path)
            return None
        metadata = {
            name: value for name, value in answer.items() if name not in ("content", "encoding")
        }
        return metadata, base64.b64decode(answer["content"])


def _leads(folder: str, base: str) -> bool:
    """Whether a folder is above or below the fixed part of a pattern."""
    above, below = f"{folder.lower()}/", f"{base.lower()}/" if base else ""
    return below.startswith(above) or above.startswith(below)
