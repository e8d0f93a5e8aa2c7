"""Files and folders of GitLab's projects."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalog.ingest.sources.gitlab.api import GitLabApi, root, segment
from catalog.ingest.sources.repository_files import (
    MAX_FILE_BYTES,
    Item,
    PathRule,
    RepositoryFiles,
    fixed_part,
)
from catalog.kernel.errors import UpstreamNotFound


class GitLabFiles(RepositoryFiles):
    includes_beside = False

    def __init__(self, api: GitLabApi, selector: Mapping[str, Any]) -> None:
        super().__init__(selector, api.log)
        self.api = api

    @staticmethod
    def names(project: Item) -> Sequence[str]:
        path = str(project["path_with_namespace"])
        return path, path.rpartition("/")[2], str(project["id"])

    def shaped_file(
        self, project: Item, reference: str, path: str, metadata: Item, content: Any
    ) -> Item:
        about = {"project_id": str(project["id"]), "path": path, "content": content}
        return {"file": {**metadata, **about}, "repo": project}

    def shaped_folder(self, project: Item, reference: str, entry: Item) -> Item:
        return {"folder": entry, "repo": project, "__branch": reference}

    def bare_metadata(self, reference: str, path: str) -> Item:
        return {"file_path": path, "file_name": path.rpartition("/")[2], "ref": reference}

    def tree(self, project: Item, reference: str, rules: Sequence[PathRule]) -> Iterator[Item]:
        for rule in rules:
            yield from self._tree_of(project, reference, rule)

    def _tree_of(self, project: Item, reference: str, rule: PathRule) -> Iterator[Item]:
        base = fixed_part(rule.path)
        depth = len(rule.path.strip("/").split("/")) - len(base.split("/") if base else ())
        params = {
            "ref": reference,
            "path": base or None,
            "recursive": depth > 1 or "**" in rule.path or None,
            "pagination": "keyset",
        }
        try:
            for page in self.api.pages(f"{root(project)}/repository/tree", params):
                yield from page.items
        except UpstreamNotFound:
            if not base:
                raise  # the branch itself is not there

    def read(self, project: Item, reference: str, path: str) -> tuple[Item, bytes] | None:
        answer = self.api.optional(
            f"{root(project)}/repository/files/{segment(path)}", ref=reference
        )
        if not isinstance(answer, dict) or answer.get("encoding") != "base64":
            return None
        if answer.get("size", 0) > MAX_FILE_BYTES:
            self.too_large(project, path)
            return None
        metadata = {name: value for name, value in answer.items() if name != "content"}
        return metadata, base64.b64decode(answer["content"])
