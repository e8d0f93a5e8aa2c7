"""The tab "Definition" of an entity that describes an API: outline, reference, source, versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Final

import orjson
from django.utils.safestring import SafeString

from catalog.kernel.api_outline import Format, Item, ItemKind, Outline, compare, read_outline
from catalog.models import Entity
from catalog.portal.code import code_lines
from catalog.portal.entity_tabs import Tab
from catalog.portal.shell import PortalRequest
from catalog.portal.values import read_number
from catalog.selectors.api_definitions import (
    MAX_VERSIONS,
    Definition,
    Version,
    definition_of,
    version_texts,
    versions_of,
)
from catalog.selectors.kinds import Kind

VIEWS: Final = ("outline", "reference", "source", "versions")
MAX_SHOWN_CHARS: Final = 2_000_000  # of a source; the rest is in the download
MAX_REFERENCE_BYTES: Final = 2_000_000  # what a browser draws within seconds
MAX_DIFF_LINES: Final = 20_000  # of both sides, what they have in common at the ends left out
CONTEXT_LINES: Final = 3

_LONG_LINE: Final = 2_000  # JSON in one line is laid out before it is compared

_HEADINGS: Final[Mapping[ItemKind, str]] = {
    ItemKind.OPERATION: "Operations",
    ItemKind.WEBHOOK: "Webhooks",
    ItemKind.CHANNEL: "Channels",
    ItemKind.MESSAGE: "Messages",
    ItemKind.QUERY: "Queries",
    ItemKind.MUTATION: "Mutations",
    ItemKind.SUBSCRIPTION: "Subscriptions",
    ItemKind.CALL: "Calls",
    ItemKind.TYPE: "Types",
    ItemKind.INPUT: "Inputs",
    ItemKind.ENUM: "Enumerations",
}
_GROUPED: Final = (
    ItemKind.OPERATION,
    ItemKind.CALL,
    ItemKind.TYPE,
    ItemKind.INPUT,
    ItemKind.ENUM,
)
_TONES: Final = {
    "GET": "blue",
    "POST": "green",
    "PUT": "orange",
    "PATCH": "yellow",
    "DELETE": "red",
}
_EXTENSIONS: Final = {Format.GRAPHQL: "graphql", Format.GRPC: "proto", Format.TRPC: "ts"}
_LANGUAGES: Final = {Format.GRAPHQL: "graphql", Format.GRPC: "protobuf", Format.TRPC: "typescript"}


@dataclass(frozen=True, slots=True)
class Row:
    """An item of the outline with its place in the definition."""

    position: int
    item: Item
    tone: str


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of source. number: counted from 1. is_problem: here the definition breaks."""

    number: int
    html: SafeString
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class DiffLine:
    """sign: "+", "-", " ", or "" for lines that are left out. old, new: numbers, 0 for none."""

    sign: str
    old: int
    new: int
    html: SafeString | str


def file_name(entity: Entity, text: str, fmt: Format) -> str:
    """What a downloaded definition is called."""
    extension = _EXTENSIONS.get(fmt)
    if extension is None:
        extension = {"json": "json", "yaml": "yaml"}.get(_language(text, fmt), "txt")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", entity.identifier)[:100]
    return f"{stem}.{extension}"


def reference_document(outline: Outline, position: int | None = None) -> dict[str, Any] | None:
    """What Swagger UI is to draw: the document, or one operation of it, without references that
    lead out of it, which a browser would fetch. None for what is no OpenAPI."""
    if outline.format is not Format.OPENAPI or outline.problem or outline.document is None:
        return None
    document = dict(outline.document)
    if position is not None and 0 <= position < len(outline.items):
        _keep_only(document, outline.items[position])
    contained: dict[str, Any] = _contained(document)
    return contained


def diff_lines(before: str, after: str, fmt: Format) -> list[DiffLine] | None:
    """Two texts line by line, as much of what is the same as one needs to find the place. None
    where they are too large to be compared."""
    before, after = _laid_out(before), _laid_out(after)
    old, new = before.split("\n"), after.split("\n")
    head = _common_length(old, new)
    tail = _common_length(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(middle_old) + len(middle_new) > MAX_DIFF_LINES:
        return None
    html_old = code_lines(before, _language(before, fmt))
    html_new = code_lines(after, _language(after, fmt))
    found: list[DiffLine] = []
    matcher = SequenceMatcher(None, middle_old, middle_new)
    blocks = [("equal", 0, head, 0, head)] if head else []
    blocks += [
        (tag, i1 + head, i2 + head, j1 + head, j2 + head)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
    ]
    if tail:
        blocks.append(("equal", len(old) - tail, len(old), len(new) - tail, len(new)))
    for at, (tag, i1, i2, j1, j2) in enumerate(blocks):
        if tag == "equal":
            is_first, is_last = at == 0, at == len(blocks) - 1
            found += _context_lines(html_new, (i1, j1, j2), is_first=is_first, is_last=is_last)
            continue
        found += [DiffLine("-", i + 1, 0, html_old[i]) for i in range(i1, i2)]
        found += [DiffLine("+", 0, j + 1, html_new[j]) for j in range(j1, j2)]
    return found


def _context(request: PortalRequest, entity: Entity, kind: Kind) -> dict[str, Any]:
    definition = definition_of(kind, entity.properties)
    if definition is None:  # gone with the last change; the address is still in somebody's tab
        return {"definition": None}
    outline = read_outline(definition.text, definition.declared)
    view = request.GET.get("view", "")
    if view not in VIEWS:
        view = "source" if outline.problem or not outline.items else "outline"
    if view == "reference" and reference_document(outline) is None:
        view = "source"
    return {
        "definition": definition,
        "outline": outline,
        "view": view,
        "has_reference": outline.format is Format.OPENAPI and not outline.problem,
        "size": len(definition.text.encode()),
        **_VIEWS[view](request, entity, definition, outline),
    }


TAB: Final = Tab(
    name="definition",
    title="Definition",
    template="catalog/entity/definition.html",
    is_shown=lambda entity, kind: definition_of(kind, entity.properties) is not None,
    context=_context,
)


def _outline(
    request: PortalRequest, entity: Entity, definition: Definition, outline: Outline
) -> dict[str, Any]:
    return {"groups": _groups(outline.items)}


def _reference(
    request: PortalRequest, entity: Entity, definition: Definition, outline: Outline
) -> dict[str, Any]:
    position = read_number(request.GET.get("item", ""))
    chosen = (
        outline.items[position] if position is not None and position < len(outline.items) else None
    )
    tone = _TONES.get(chosen.method, "silver") if chosen else ""
    return {"chosen": chosen, "position": position if chosen else None, "tone": tone}


def _source(
    request: PortalRequest, entity: Entity, definition: Definition, outline: Outline
) -> dict[str, Any]:
    text = definition.text[:MAX_SHOWN_CHARS]
    broken_at = outline.problem.line if outline.problem else 0
    lines = code_lines(text.rstrip("\n"), _language(text, outline.format))
    return {
        "lines": [Line(n, html, n == broken_at) for n, html in enumerate(lines, 1)],
        "is_shortened": len(text) < len(definition.text),
    }


def _versions(
    request: PortalRequest, entity: Entity, definition: Definition, outline: Outline
) -> dict[str, Any]:
    versions = versions_of(entity, definition.name)
    known = {version.number: version for version in versions}
    newest = versions[0].number if versions else 0
    wanted = read_number(request.GET.get("to", ""))
    to = known.get(newest if wanted is None else wanted) or known.get(newest)
    wanted = read_number(request.GET.get("from", ""))
    earlier = to.number - 1 if to else 0
    since = known.get(earlier if wanted is None else wanted) or known.get(earlier)
    context: dict[str, Any] = {
        "versions": versions,
        "max_versions": MAX_VERSIONS,
        "since": since,
        "to": to,
    }
    if since is None or to is None or since.number == to.number:
        return context
    if since.number > to.number:
        since, to = to, since
    context |= {"since": since, "to": to}
    texts = version_texts(entity, definition.name, versions, [since.number, to.number])
    return {**context, **_compared(texts, definition, since, to)}


_VIEWS: Final = {
    "outline": _outline,
    "reference": _reference,
    "source": _source,
    "versions": _versions,
}


def _compared(
    texts: Mapping[int, str], definition: Definition, since: Version, to: Version
) -> dict[str, Any]:
    before, after = texts.get(since.number, ""), texts.get(to.number, "")
    old = read_outline(before, definition.declared)
    new = read_outline(after, definition.declared)
    unreadable = [
        (version, outline.problem)
        for version, outline in ((since, old), (to, new))
        if outline.problem
    ]
    is_compared = not unreadable and (old.items or new.items)
    return {
        "comparison": compare(old, new) if is_compared else None,
        "unreadable": unreadable,
        "old_outline": old,
        "new_outline": new,
        "is_same": before == after,
        "diff": diff_lines(before, after, new.format),
    }


# --- the outline ------------------------------------------------------------------------------


def _groups(items: Sequence[Item]) -> list[Group]:
    """The items under what they belong to: tags of operations, services of calls, else kinds."""
    rows = [Row(at, item, _TONES.get(item.method, "silver")) for at, item in enumerate(items)]
    by_title: dict[str, list[Row]] = {}
    for title, found in groupby(rows, key=lambda row: _group_title(row.item)):
        by_title.setdefault(title, []).extend(found)
    return [Group(title, found) for title, found in by_title.items()]


def _group_title(item: Item) -> str:
    return item.group if item.group and item.kind in _GROUPED else _HEADINGS[item.kind]


# --- the reference ----------------------------------------------------------------------------


def _keep_only(document: dict[str, Any], item: Item) -> None:
    """Leave one operation in the document; what it refers to stays."""
    for section, kind in (("paths", ItemKind.OPERATION), ("webhooks", ItemKind.WEBHOOK)):
        written = document.pop(section, None)
        if section == "paths":
            document["paths"] = {}
        if item.kind is not kind or not isinstance(written, dict):
            continue
        method, _, path = item.name.partition(" ")
        for name, one in written.items():
            if " ".join(str(name).split()) == path and isinstance(one, dict):
                others = {key: value for key, value in one.items() if not isinstance(value, dict)}
                kept = {method.lower(): one[method.lower()]} if method.lower() in one else one
                document[section] = {name: {**others, **kept}}


def _contained(value: Any) -> Any:
    """The value without references that lead out of the document."""
    if isinstance(value, dict):
        ref = value.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            return {"description": f"Defined elsewhere: {ref[:300]}"}
        return {key: _contained(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_contained(one) for one in value]
    return value


# --- the source -------------------------------------------------------------------------------


def _language(text: str, fmt: Format) -> str:
    if fmt in _LANGUAGES:
        return _LANGUAGES[fmt]
    if text.lstrip()[:1] in ("{", "["):
        return "json"
    return "yaml" if fmt in (Format.OPENAPI, Format.ASYNCAPI) else "text"


def _laid_out(text: str) -> str:
    """JSON that stands in one line as people read it."""
    if text.lstrip()[:1] != "{" or max(map(len, text.split("\n"))) < _LONG_LINE:
        return text.rstrip("\n")
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return text


def _common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines at the beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _context_lines(
    html: Sequence[SafeString], span: tuple[int, int, int], *, is_first: bool, is_last: bool
) -> Iterator[DiffLine]:
    """The lines next to a change, and how many between them are left out. span: first line of the
    old text, first and last of the new one."""
    old, begin, end = span
    shown = list(range(begin, end))
    before = 0 if is_first else CONTEXT_LINES
    after = 0 if is_last else CONTEXT_LINES
    is_folded = len(shown) > before + after + 1
    for j in shown[:before] if is_folded else shown:
        yield DiffLine(" ", old + j - begin + 1, j + 1, html[j])
    if is_folded:
        yield DiffLine("", 0, 0, f"{len(shown) - before - after} lines are the same")
        for j in shown[len(shown) - after :] if after else ():
            yield DiffLine(" ", old + j - begin + 1, j + 1, html[j])
