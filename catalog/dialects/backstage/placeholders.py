"""`{$text: ./file}`, `{$json: …}`, `{$yaml: …}`: a map of one such key stands for a file.

So do `$openapi` and `$asyncapi`, which take in what the file refers to, and, beyond Backstage, the
`definition: {type: url, url: …}` of an API. An address that nobody allowed to be read stays as it
is, with a warning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from catalog.dialects.backstage.bundling import bundle
from catalog.dialects.backstage.problems import Path, Problem, describe, dotted, wrong
from catalog.dialects.backstage.reader import (
    FileRefused,
    Reader,
    ReadingNotAllowed,
    content_hash,
    is_address,
    is_file,
)
from catalog.kernel.errors import IdpError
from catalog.kernel.yaml_reader import load_document

PLAIN_TOKENS: Final = ("$text", "$json", "$yaml")
BUNDLING_TOKENS: Final = ("$openapi", "$asyncapi")
TOKENS: Final = (*PLAIN_TOKENS, *BUNDLING_TOKENS)
MAX_BYTES: Final = 5 * 1024 * 1024
MAX_READS: Final = 500
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PlaceholderRead:
    """A file that became part of a document. hash: see `content_hash`."""

    place: str
    etag: str
    hash: bytes


class Intake:
    """Reads what the documents of one file take in: each place once, and not without end.

    is_strict: as Backstage does it, which knows no relative path in a `file` location, and no
    token but the plain ones.
    """

    def __init__(self, base: str, reader: Reader, *, is_strict: bool = False) -> None:
        self.base = base
        self.reader = reader
        self.is_strict = is_strict
        self.reads: dict[str, PlaceholderRead] = {}
        self._contents: dict[str, bytes] = {}
        self._bytes = 0

    @property
    def tokens(self) -> tuple[str, ...]:
        return PLAIN_TOKENS if self.is_strict else TOKENS

    def take(self, base: str, target: str) -> tuple[str, bytes]:
        """The place of a target written at `base`, and its content. Raises FileRefused."""
        if self.is_strict and is_file(base) and not is_address(target):
            raise FileRefused(f"could not form a URL out of {base} and {target}")
        place = self.reader.resolve(base, target)
        if place not in self._contents:
            self.reader.check_content(self.base, place)
            if len(self.reads) >= MAX_READS or self._bytes > MAX_TOTAL_BYTES:
                raise FileRefused(
                    f"the placeholders of one file read {MAX_READS} files and "
                    f"{MAX_TOTAL_BYTES:,} bytes at most"
                )
            read = self.reader.read(place, max_bytes=MAX_BYTES)
            assert read is not None  # noqa: S101 - nothing has no etag
            self._bytes += len(read.content)
            self._contents[place] = read.content
            self.reads[place] = PlaceholderRead(place, read.etag, content_hash(read.content))
        return place, self._contents[place]


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


def resolve(document: Any, intake: Intake) -> Resolved:
    """Replace all placeholders of a document; what cannot be becomes a problem."""
    resolver = _Resolver(intake)
    entity = resolver.walk(document, ())
    descriptor = entity
    if resolver.unread:
        descriptor = deepcopy(entity)
        for path, placeholder in resolver.unread:
            _put(descriptor, path, placeholder)
    return Resolved(entity, descriptor, resolver.problems, resolver.warnings)


def resolve_link(document: Any, intake: Intake) -> Resolved:
    """Replace the `definition: {type: url, url: …}` of an API by what lies there, if it can be
    read; otherwise it stays."""
    kept = Resolved(document, document)
    spec = document.get("spec")
    link = spec.get("definition") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not is_link(link) or intake.is_strict:
        return kept
    here, url = ("spec", "definition", "url"), link["url"]
    try:
        _, content = intake.take(intake.base, url)
        text = content.decode("utf-8-sig")
    except ReadingNotAllowed:
        return kept
    except (FileRefused, UnicodeDecodeError) as error:
        said = error.message if isinstance(error, IdpError) else str(error)
        message = f"spec.definition was not fetched from {url}: {said}; its address is kept"
        kept.warnings.append(Problem(here, message, "an address that can be read", describe(url)))
        return kept
    entity = {**document, "spec": {**spec, "definition": text}}
    return Resolved(entity, entity)


def is_link(value: Any) -> TypeGuard[dict[str, str]]:
    return (
        isinstance(value, dict)
        and value.keys() == {"type", "url"}
        and value["type"] == "url"
        and isinstance(value["url"], str)
    )


class _Resolver:
    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.tokens = intake.tokens
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
            if token in self.tokens:
                return self.replace(token, target, value, path)
        return {key: self.walk(item, (*path, key)) for key, item in value.items()}

    def replace(self, token: str, target: Any, placeholder: dict[str, Any], path: Path) -> Any:
        here = (*path, token)
        if not isinstance(target, str) or not target:
            self.problems.append(wrong(here, target, "the path of a file"))
            return placeholder
        try:
            place, content = self.intake.take(self.intake.base, target)
            return _PARSERS[token](content, target, place, self.intake)
        except ReadingNotAllowed as error:
            if not self.intake.is_strict:
                self.unread.append((path, placeholder))
                self.warnings.append(_not_fetched(here, path, target, error))
                return target
            self.problems.append(_unreadable(here, target, error))
        except IdpError as error:
            self.problems.append(_unreadable(here, target, error))
        except ValueError as error:
            self.problems.append(
                Problem(here, f"{dotted(here)}: {target}: {error}", "", describe(target))
            )
        return placeholder


def _unreadable(here: Path, target: str, error: IdpError) -> Problem:
    return Problem(
        here,
        f"{dotted(here)}: {target}: {error.message}",
        "the path of a file that can be read",
        describe(target),
        error.hint,
    )


def _not_fetched(here: Path, path: Path, target: str, error: IdpError) -> Problem:
    return Problem(
        here,
        f"{dotted(path)} was not fetched from {target}; its address is kept",
        "the path of a file",
        describe(target),
        error.hint,
    )


def _text(content: bytes, target: str, place: str, intake: Intake) -> Any:
    return content.decode("utf-8-sig")


def _json(content: bytes, target: str, place: str, intake: Intake) -> Any:
    try:
        json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return load_document(content, name=target)  # the same parser as for YAML, for its limits


def _yaml(content: bytes, target: str, place: str, intake: Intake) -> Any:
    return load_document(content, name=target)


def _bundled(content: bytes, target: str, place: str, intake: Intake) -> Any:
    return bundle(content, place=place, name=target, take=intake.take)


_PARSERS: Final[dict[str, Callable[[bytes, str, str, Intake], Any]]] = {
    "$text": _text,
    "$json": _json,
    "$yaml": _yaml,
    "$openapi": _bundled,
    "$asyncapi": _bundled,
}


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _put(document: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        document = document[part]
    document[path[-1]] = value
