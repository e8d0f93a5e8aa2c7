"""`{$text: ./file}`, `{$json: …}`, `{$yaml: …}`: a map of one such key stands for a file.

Local files only: an address on the network stays as it is, with a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from catalog.dialects.backstage.problems import Path, Problem, describe, dotted, wrong
from catalog.kernel.errors import IdpError
from catalog.kernel.yaml_reader import load_document

TOKENS = ("$text", "$json", "$yaml")
MAX_BYTES = 5 * 1024 * 1024

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)

Read = Callable[[str], bytes]


@dataclass(slots=True)
class Resolved:
    """A document with its placeholders replaced.

    entity: an address that was not read stands as text where its content would. descriptor: the
    same, but there the placeholder itself is kept.
    """

    entity: Any
    descriptor: Any
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def resolve(document: Any, *, read: Read) -> Resolved:
    """Replace all placeholders of a document.

    `read` gets the relative path and returns the content; an IdpError of it becomes a problem.
    """
    resolver = _Resolver(read)
    entity = resolver.walk(document, ())
    descriptor = entity
    if resolver.unread:
        descriptor = deepcopy(entity)
        for path, placeholder in resolver.unread:
            _put(descriptor, path, placeholder)
    return Resolved(entity, descriptor, resolver.problems, resolver.warnings)


class _Resolver:
    def __init__(self, read: Read) -> None:
        self.read = read
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.unread: list[tuple[Path, dict[str, Any]]] = []

    def walk(self, value: Any, path: Path) -> Any:
        if isinstance(value, list):
            return [self.walk(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            token, target = next(iter(value.items()))
            if token in TOKENS:
                return self.replace(token, target, value, path)
        return {key: self.walk(item, (*path, key)) for key, item in value.items()}

    def replace(self, token: str, target: Any, placeholder: dict[str, Any], path: Path) -> Any:
        here = (*path, token)
        if not isinstance(target, str) or not target:
            self.problems.append(wrong(here, target, "the path of a file"))
            return placeholder
        if _URL.match(target):
            self.unread.append((path, placeholder))
            self.warnings.append(
                Problem(
                    here,
                    f"{dotted(path)} was not fetched from {target}; its address is kept",
                    "the path of a file",
                    describe(target),
                )
            )
            return target
        try:
            return _parse(token, self.read(target), target)
        except IdpError as error:
            self.problems.append(
                Problem(
                    here,
                    f"{dotted(here)}: {target}: {error.message}",
                    "the path of a file that can be read",
                    describe(target),
                    error.hint,
                )
            )
        except ValueError as error:
            self.problems.append(
                Problem(here, f"{dotted(here)}: {target}: {error}", "", describe(target))
            )
        return placeholder


def _parse(directive: str, content: bytes, name: str) -> Any:
    if directive == "$text":
        return content.decode("utf-8-sig")
    if directive == "$json":
        try:
            json.loads(content, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("nested too deep") from None
    return load_document(content, name=name)  # JSON too, for its limits


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _put(document: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        document = document[part]
    document[path[-1]] = value
