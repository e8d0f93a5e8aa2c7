"""One text from many: an API description whose `$ref`s lead to other files takes them in.

The first reference to a part elsewhere is replaced by that part; further ones, and those of the
part to itself, become references within the text (`#/paths/…`). So the text ends, whatever leads
where, and any reader of OpenAPI or AsyncAPI takes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from catalog.dialects.backstage.reader import FileRefused, ReadingNotAllowed
from catalog.kernel.yaml_reader import load_document
from catalog.kernel.yaml_writer import write_yaml

MAX_DEPTH: Final = 200
MAX_VALUES: Final = 500_000

# (place of the file with the reference, what it names) -> place and content of that file
Take = Callable[[str, str], tuple[str, bytes]]
Steps = tuple[str | int, ...]


def bundle(content: bytes, *, place: str, name: str, take: Take) -> str:
    """The text at `place` with all that it refers to; as it stands when it is all there is.

    name: what messages call it. A reference to a host that may not be read stays as it is.
    Raises FileRefused (of `take`, and for what is too deep or too large) and YamlError.
    """
    root = load_document(content, name=name)
    bundled = _Bundle(place, root, take)
    try:
        value = bundled.walk(root, place, (), 0)
        if not bundled.has_more:
            return content.decode("utf-8-sig")
        if place.partition("?")[0].lower().endswith(".json"):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return write_yaml(value)
    except RecursionError:
        raise FileRefused("with all that it refers to it is nested too deep") from None


class _Bundle:
    """placed: where in the text the part stands that a file and a pointer name."""

    def __init__(self, place: str, root: Any, take: Take) -> None:
        self.root = place
        self.documents = {place: root}
        self.take = take
        self.placed: dict[tuple[str, str], str] = {}
        self.has_more = False  # something was taken in
        self.values = 0

    def walk(self, value: Any, place: str, at: Steps, depth: int) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise FileRefused(f"with all that it refers to it has more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise FileRefused(f"its references lead more than {MAX_DEPTH} levels deep")
        if isinstance(value, list):
            return [
                self.walk(item, place, (*at, index), depth + 1) for index, item in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str) and not (place == self.root and reference.startswith("#")):
            return self.replace(value, reference, place, at, depth)
        return {key: self.walk(item, place, (*at, key), depth + 1) for key, item in value.items()}

    def replace(
        self, value: dict[str, Any], reference: str, base: str, at: Steps, depth: int
    ) -> Any:
        file, _, pointer = reference.partition("#")
        try:
            place = self.load(base, file) if file else base
        except ReadingNotAllowed:
            return value
        self.has_more = True
        if place == self.root:
            return {**value, "$ref": f"#{pointer}"}
        key = (place, pointer.rstrip("/"))
        if key in self.placed:
            return {**value, "$ref": self.placed[key]}
        part = _part(self.documents[place], pointer, reference)
        beside = {name: one for name, one in value.items() if name != "$ref"}
        if beside and isinstance(part, dict):  # OpenAPI 3.1: a summary of one's own, say
            return self.walk({**part, **beside}, place, at, depth + 1)
        self.placed[key] = _pointer(at)
        return self.walk(part, place, at, depth + 1)

    def load(self, base: str, file: str) -> str:
        place, content = self.take(base, file)
        if place not in self.documents:
            self.documents[place] = load_document(content, name=file)
        return place


def _part(document: Any, pointer: str, reference: str) -> Any:
    """What a JSON pointer names. Raises FileRefused for nothing."""
    for step in pointer.strip("/").split("/") if pointer.strip("/") else ():
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            raise FileRefused(f"$ref {reference} leads to nothing: there is no {name}")
    return document


def _pointer(at: Steps) -> str:
    return "#" + "".join(f"/{str(one).replace('~', '~0').replace('/', '~1')}" for one in at)
