"""Reading values that may be anything, and JSON or YAML with bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from catalog.kernel.api_outline.items import Item, Problem
from catalog.kernel.yaml_errors import YamlError
from catalog.kernel.yaml_reader import YamlLimits, load_document

MAX_CHARS: Final = 5_000_000
MAX_ITEMS: Final = 5_000
_NAME_MAX: Final = 300
_TEXT_MAX: Final = 2_000
_REFS_MAX: Final = 20  # references that lead to references

_LIMITS = YamlLimits(max_bytes=MAX_CHARS * 4)


def load(text: str) -> tuple[dict[str, Any], Problem | None]:
    """The map that the text holds, or why it holds none."""
    try:
        document = load_document(text, name="definition", limits=_LIMITS)
    except YamlError as error:
        return {}, Problem(error.problem, error.line, error.hint)
    if isinstance(document, dict):
        return document, None
    return {}, Problem(f"expected a map, found {_named(document)}", 1)


def text_of(value: Any, limit: int = _TEXT_MAX) -> str:
    """A text, in one piece and not too long; "" for anything else."""
    return value.strip()[:limit] if isinstance(value, str) else ""


def name_of(value: Any) -> str:
    return " ".join(str(value).split())[:_NAME_MAX]


def map_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def summary_of(part: Mapping[str, Any]) -> str:
    """Its summary, or else the first line of its description."""
    described = text_of(part.get("summary")) or text_of(part.get("description"))
    return described.split("\n", 1)[0][:_NAME_MAX]


def resolved(document: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """The map that `value` is or refers to; an empty one where a reference leads nowhere, leaves
    the document or goes in circles."""
    for _ in range(_REFS_MAX):
        part = map_of(value)
        ref = part.get("$ref")
        if not isinstance(ref, str):
            return part
        if not ref.startswith("#/"):
            return {}
        value = document
        for step in ref[2:].split("/"):
            value = map_of(value).get(unquote(step).replace("~1", "/").replace("~0", "~"))
    return {}


def ref_name(value: Any) -> str:
    """The last part of a reference: Order of "#/components/schemas/Order"."""
    ref = map_of(value).get("$ref")
    return name_of(unquote(ref.rsplit("/", 1)[-1])) if isinstance(ref, str) else ""


def capped(items: list[Item]) -> tuple[tuple[Item, ...], bool]:
    """The first items, each name once; and whether there are more."""
    unique = list({(item.kind, item.name): item for item in items}.values())
    return tuple(unique[:MAX_ITEMS]), len(unique) > MAX_ITEMS


def _named(value: Any) -> str:
    if isinstance(value, str | list):
        return "a text" if isinstance(value, str) else "a list"
    return "nothing" if value is None else "a value"
