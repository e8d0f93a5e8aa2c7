"""Reading configuration: files merged from left to right, then what the environment overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.dialects.backstage.config.files import ConfigFiles
from catalog.dialects.backstage.config.substitution import reference, substitute
from catalog.dialects.backstage.config.tree import (
    Leaf,
    Node,
    Path,
    Replaced,
    dotted,
    leaves,
    merge_objects,
)
from catalog.kernel.errors import IdpError, InvalidInput, NotFound, shorten
from catalog.kernel.yaml_reader import YamlLimits, read_documents

OVERRIDE = "APP_CONFIG_"

_LIMITS = YamlLimits(max_bytes=1024 * 1024, max_depth=50, max_nodes=50_000, max_documents=10)
_MAX_VALUES = 20_000
_MAX_INCLUDES = 10  # one in another
_KEY = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z][a-z0-9]*)*", re.I)
_INCLUDED = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Config:
    """The merged tree, and what later files replaced in earlier ones."""

    root: dict[str, Any]
    replaced: list[Replaced] = field(default_factory=list)

    def leaves(self) -> list[tuple[Path, Leaf]]:
        return list(leaves(self.root))


def load(
    paths: Sequence[str], *, files: ConfigFiles, environ: Mapping[str, str]
) -> list[tuple[str, Config]]:
    """Each file alone, in order, as (name, configuration); `merged` lays them on each other.

    Raises InvalidInput (YamlError for what is no YAML) and NotFound, naming file and line.
    """
    found = []
    for path in paths:
        name, content = files.read(path)
        root = _Reading(files, environ).document(name, content)
        if isinstance(root, Leaf) and root.value in ({}, None):
            root = {}
        if not isinstance(root, dict):
            raise _bad(name, 1, "the file holds no configuration", "an object of keys")
        found.append((name, Config(root)))
    return found


def merged(configs: Sequence[Config], *, environ: Mapping[str, str]) -> Config:
    """One configuration, as Backstage reads several files: later ones and then the variables
    `APP_CONFIG_…` count. Raises InvalidInput for a variable that names no key."""
    whole: dict[str, Any] = {}
    replaced: list[Replaced] = []
    for config in configs:
        whole = merge_objects(whole, config.root, replaced)
    for name in sorted(environ):
        if name.startswith(OVERRIDE) and (over := _override(name, environ[name])):
            whole = merge_objects(whole, over, replaced)
    return Config(whole, replaced)


class _Reading:
    """Reads one file with what it includes."""

    def __init__(self, files: ConfigFiles, environ: Mapping[str, str]) -> None:
        self._files = files
        self._environ = environ
        self._values = 0

    def document(self, name: str, content: bytes, depth: int = 0) -> Node:
        if depth > _MAX_INCLUDES:
            raise _bad(name, 1, f"more than {_MAX_INCLUDES} files include one another")
        documents = [
            one
            for one in read_documents(content, name=name, limits=_LIMITS, strict=True)
            if one.value is not None
        ]
        if not documents:
            return Leaf({}, name, 1)
        if len(documents) > 1:
            raise _bad(name, documents[1].line, "there is a second document", "one document")
        [document] = documents
        lines = document.lines()
        return self._node(document.value, (), _File(name, lines, document.line, depth))

    def _node(self, value: Any, path: Path, file: _File) -> Node:
        self._values += 1
        if self._values > _MAX_VALUES:
            raise _bad(file.name, file.line(path), f"more than {_MAX_VALUES:,} values")
        if isinstance(value, str):
            return self._text(value, path, file)
        if isinstance(value, dict) and value:
            keys = [key for key in value if key.startswith("$")]
            if keys:
                return self._included(value, keys[0], path, file)
            return {key: self._node(one, (*path, key), file) for key, one in value.items()}
        if isinstance(value, list) and value:
            return [self._node(one, (*path, at), file) for at, one in enumerate(value)]
        return Leaf(value, file.name, file.line(path))

    def _text(self, text: str, path: Path, file: _File) -> Leaf:
        found = substitute(text, self._environ)
        return Leaf(
            found.text,
            file.name,
            file.line(path),
            found.template,
            found.variables,
            found.missing,
        )

    def _included(self, value: dict[str, Any], key: str, path: Path, file: _File) -> Node:
        line = file.line((*path, key))
        place = f"{dotted(path)}.{key}" if path else key
        if len(value) > 1:
            raise _bad(file.name, line, f"{place} has other keys beside it", "this key alone")
        said = value[key]
        if not isinstance(said, str):
            raise _bad(file.name, line, f"{place} is {shorten(said)}", "text")
        target = substitute(said, self._environ)
        if target.text is None:
            return Leaf(None, file.name, line, said, target.variables, target.missing)
        if key == "$env":
            name = target.text.strip()
            is_set = name in self._environ
            return Leaf(
                self._environ.get(name),
                file.name,
                line,
                reference(name),
                (name,),
                () if is_set else (name,),
            )
        if key not in ("$file", "$include"):
            raise _bad(file.name, line, f"{place} is not known", "$env, $file or $include")
        name, _, part = target.text.partition("#")
        if key == "$include" and not name.lower().endswith(_INCLUDED):
            raise _bad(file.name, line, f"{place} names {shorten(name)}", "a .yaml or .json file")
        try:
            known_as, content = self._files.read(
                target.text if key == "$file" else name, base=file.name
            )
        except (NotFound, InvalidInput) as error:
            error.message = f"{file.name}:{line}: {place}: {error.message}"
            raise
        if key == "$file":
            try:
                text = content.decode().strip()
            except UnicodeDecodeError:
                raise _bad(file.name, line, f"{place}: {shorten(name)} is no text") from None
            return Leaf(text, file.name, line, "", is_from_file=True)
        node = self.document(known_as, content, file.depth + 1)
        for step in part.split(".") if part else ():
            if not isinstance(node, dict) or step not in node:
                raise _bad(
                    file.name,
                    line,
                    f'{place}: there is no "{shorten(part)}" in {shorten(name)}',
                )
            node = node[step]
        return node


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    lines: Mapping[Path, int]
    first_line: int
    depth: int

    def line(self, path: Path) -> int:
        """Of the deepest part of `path` that stands in the text itself."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return line
        return self.first_line


def _override(variable: str, text: str) -> dict[str, Any] | None:
    """What `APP_CONFIG_backend_baseUrl=…` says, as a tree."""
    keys = variable.removeprefix(OVERRIDE).split("_")
    for key in keys:
        if not _KEY.fullmatch(key):
            raise InvalidInput.of(variable, key, "keys of letters and digits, parted by _")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if value is None:
        return None
    tree: dict[str, Any] = {keys[-1]: _constant(value, variable)}
    for key in reversed(keys[:-1]):
        tree = {key: tree}
    return tree


def _constant(value: Any, variable: str) -> Node:
    if isinstance(value, dict) and value:
        return {key: _constant(one, variable) for key, one in value.items()}
    if isinstance(value, list) and value:
        return [_constant(one, variable) for one in value]
    return Leaf(value, variable, 0)


def _bad(file: str, line: int, message: str, expected: str = "") -> IdpError:
    more = f"; expected {expected}" if expected else ""
    return InvalidInput(
        f"{file}:{line}: {message}{more}",
        details={"file": file, "line": line, **({"expected": expected} if expected else {})},
    )
