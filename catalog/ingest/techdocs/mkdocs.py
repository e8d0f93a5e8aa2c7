"""mkdocs.yml: what of it says how a site looks. Plugins, hooks and themes are not for us to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import yaml

from catalog.dialects.backstage.reader import FileRefused
from catalog.ingest.sources.repository_files import glob
from catalog.ingest.techdocs.trees import Tree, joined
from catalog.kernel.identifiers import is_storable

NAMES: Final = ("mkdocs.yaml", "mkdocs.yml")
MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Config:
    """A mkdocs.yml. folder: where it lies; docs: the folder of its pages, both from the root of
    the tree. nav: as written, None where it has none. edit_base: what a page's path is put behind
    to edit it, "" where that is not known. snippets: the folders that snippets are read from."""

    folder: str
    docs: str
    name: str = ""
    description: str = ""
    nav: list[Any] | None = None
    edit_base: str = ""
    uses_folders: bool = True
    excluded: tuple[Any, ...] = ()
    snippets: tuple[str, ...] = ()


# YAML writes by these what no text of ours may hold: NUL and halves of characters
_ESCAPED = re.compile(rb"\\(?:0|x00|u0000|U00000000|[uU](?:0000)?[dD][89a-fA-F])")


def read_config(tree: Tree, path: str) -> Config | None:
    """The configuration in a file; None when there is none. Raises FileRefused when it is broken,
    or names a folder outside of the repository."""
    content = tree.read(path, MAX_BYTES)
    if content is None:
        return None
    try:
        # _Loader builds plain values only, whatever tags the file has
        said = yaml.load(content, _Loader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FileRefused(f"{path} is no YAML: {reason}") from error
    if not isinstance(said, dict):
        raise FileRefused(f"{path} must be an object with site_name and nav")
    if not is_storable(content.decode(errors="replace")) or _ESCAPED.search(content):
        raise FileRefused(f"{path} holds signs that are no text")
    folder = path.rpartition("/")[0]
    docs = joined(folder, _text(said, "docs_dir") or "docs")
    if docs is None:
        raise FileRefused(f"the docs_dir of {path} leads out of the repository")
    nav = said.get("nav", said.get("pages"))
    return Config(
        folder,
        docs,
        _text(said, "site_name"),
        _text(said, "site_description"),
        nav if isinstance(nav, list) else None,
        _edit_base(said),
        said.get("use_directory_urls") is not False,
        _patterns(said.get("exclude_docs")),
        _snippet_folders(said, folder),
    )


def find_config(tree: Tree) -> Config | None:
    """The configuration of a tree. Raises FileRefused."""
    return next((found for name in NAMES if (found := read_config(tree, name))), None)


class _Loader(yaml.SafeLoader):
    """Reads tags of Python and of plugins as what they are about, running nothing."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    """`!ENV [A, b, "value"]` is its last item; of any other tag only plain text is kept."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if suffix == "ENV" and isinstance(node, yaml.SequenceNode):
        last = node.value[-1] if node.value else None
        return str(last.value) if isinstance(last, yaml.ScalarNode) else None
    return None


def _python(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> None:
    return None


_Loader.add_multi_constructor("!", _tagged)
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _python)


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return value.strip() if isinstance(value, str) else ""


def _edit_base(said: Mapping[str, Any]) -> str:
    """As MkDocs: edit_uri below repo_url, of GitHub and GitLab also without being told."""
    repo, edit = _text(said, "repo_url"), said.get("edit_uri")
    if edit is None and repo:
        host = urlsplit(repo).hostname or ""
        docs = _text(said, "docs_dir") or "docs"
        if "github" in host or "gitlab" in host:
            edit = f"edit/master/{docs.strip('/')}/"
        elif "bitbucket" in host:
            edit = f"src/default/{docs.strip('/')}/"
    if not isinstance(edit, str) or not edit:
        return ""
    base = urljoin(repo.rstrip("/") + "/", edit) if repo else edit
    is_web = base.startswith(("https://", "http://"))
    return base.rstrip("/") + ("" if base.endswith("=") else "/") if is_web else ""


def _patterns(said: Any) -> tuple[Any, ...]:
    """Lines of .gitignore, of which the usual forms are understood; `!` is not."""
    lines = said.splitlines() if isinstance(said, str) else []
    found = []
    for line in (one.strip() for one in lines):
        if not line or line.startswith(("#", "!")):
            continue
        pattern = line.lstrip("/") if "/" in line.strip("/") or line[0] == "/" else f"**/{line}"
        found.append(glob(pattern.rstrip("/") + ("/**" if pattern.endswith("/") else "")))
    return tuple(found)


def _snippet_folders(said: Mapping[str, Any], folder: str) -> tuple[str, ...]:
    """base_path of the snippets extension, inside the repository; its folder where unsaid."""
    extensions = said.get("markdown_extensions")
    options: Any = None
    if isinstance(extensions, dict):
        options = extensions.get("pymdownx.snippets")
    for one in extensions if isinstance(extensions, list) else ():
        if isinstance(one, dict) and "pymdownx.snippets" in one:
            options = one["pymdownx.snippets"]
    named = options.get("base_path") if isinstance(options, dict) else None
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else ["."]
    inside = [joined(folder, one) for one in names if isinstance(one, str)]
    return tuple(one for one in inside if one is not None)
