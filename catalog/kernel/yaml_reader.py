"""Read YAML from people we do not know: the YAML 1.2 core types, with every size bounded.

The text is parsed by libyaml; values are built here, event by event, because PyYAML's own
constructors know YAML 1.1 only (`no` is a boolean, `<<` merges), let duplicate keys pass and
expand aliases without a limit. The result is plain JSON: dict with text keys, list, str, int,
float, bool, None. A number that JSON cannot hold stays text; an integral float is an int.

One broken document does not hide the others: the stream is taken up again at the next `---`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from catalog.kernel.errors import shorten
from catalog.kernel.yaml_errors import (
    Path,
    Refused,
    YamlError,
    explain,
    explain_character,
    lines_of,
    locate,
)
from catalog.kernel.yaml_scalars import (
    MAYBE_TYPED,
    MAYBE_TYPED_1_1,
    as_key,
    resolve,
    resolve_1_1,
    tagged,
)

__all__ = ["YamlDocument", "YamlError", "YamlLimits", "load_document", "read_documents"]


@dataclass(frozen=True, slots=True)
class YamlLimits:
    """What one text may hold. Nodes and characters are counted after aliases are expanded."""

    max_bytes: int = 10 * 1024 * 1024
    max_depth: int = 100
    max_nodes: int = 250_000
    max_documents: int = 100_000


DEFAULT_LIMITS = YamlLimits()


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a stream: its value, or the error that kept it from having one.

    `line` is where its content begins, counted from 1.
    """

    value: Any
    line: int
    error: YamlError | None = None
    _text: str = field(default="", repr=False)
    _start: int = 0
    _end: int = 0
    _start_line: int = 0

    def line_of(self, path: Path) -> int:
        """The line of the deepest part of `path` that is there: ("metadata", "tags", 2).

        The document is parsed again up to that place, so ask only to report something.
        """
        found = locate(self._text[self._start : self._end], path)
        return self.line if found is None else self._start_line + found + 1

    def lines(self) -> dict[tuple[str | int, ...], int]:
        """The line of each of its values, by path: for what reports all of them."""
        found = lines_of(self._text[self._start : self._end])
        return {path: self._start_line + line + 1 for path, line in found.items()}


def read_documents(
    text: str | bytes,
    *,
    name: str,
    limits: YamlLimits = DEFAULT_LIMITS,
    strict: bool = False,
) -> Iterator[YamlDocument]:
    """The documents of `text` in order, read as they are asked for; empty ones are `None`.

    A bad document comes with `error` set and the reading goes on behind it. With `strict` the
    whole text is out when one document is: its error is raised before anything is returned.
    Raises YamlError when the text as a whole is unusable: too large, not UTF-8, too many
    documents.
    """
    documents = _read(_decode(text, name, limits), name, limits)
    if not strict:
        return documents
    whole = list(documents)
    for document in whole:
        if document.error:
            raise document.error
    return iter(whole)


def load_document(text: str | bytes, *, name: str, limits: YamlLimits = DEFAULT_LIMITS) -> Any:
    """The value of a text that must hold exactly one document. Raises YamlError."""
    documents = [
        d
        for d in read_documents(text, name=name, limits=limits, strict=True)
        if d.value is not None
    ]
    if len(documents) != 1:
        line = documents[1].line if documents else 1
        raise YamlError(
            f"expected exactly one document, found {len(documents)}", name=name, line=line
        )
    return documents[0].value


# --- the stream -------------------------------------------------------------------------------


def _decode(text: str | bytes, name: str, limits: YamlLimits) -> str:
    # A character is at least one byte, so `len` refuses without encoding.
    if len(text) > limits.max_bytes:
        raise YamlError(
            f"the text has {len(text):,} bytes; at most {limits.max_bytes:,} are read",
            name=name,
            line=1,
        )
    if isinstance(text, bytes):
        raw = text
        utf16 = text.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            text = raw.decode("utf-16" if utf16 else "utf-8")
        except UnicodeDecodeError as error:
            raise YamlError(
                f"byte {error.start} is not UTF-8",
                name=name,
                line=raw.count(b"\n", 0, error.start) + 1,
                hint="Save the file as UTF-8.",
            ) from None
    # libyaml compares each %TAG with all earlier ones; nothing real has more than a few.
    if text.count("\n%TAG") > 100:
        raise YamlError("more than 100 %TAG directives", name=name, line=1)
    text = text.removeprefix("\ufeff")
    # A block text that ends with the file has its last line break even where the file has none.
    return text if text.endswith("\n") or not text else text + "\n"


def _read(text: str, name: str, limits: YamlLimits) -> Iterator[YamlDocument]:
    if (value := _as_json(text, limits)) is not _ABSENT:
        leading = len(text) - len(text.lstrip())
        line = text.count("\n", 0, leading) + 1
        # Lines are found by the YAML way, which must not stumble over halves of letters.
        yield YamlDocument(value, line, None, _HALF.sub(r"\\ufffd", text), 0, len(text))
        return
    for count, document in enumerate(_whole_and_then_parts(text, name, limits), 1):
        if count > limits.max_documents:
            raise YamlError(
                f"more than {limits.max_documents:,} documents", name=name, line=document.line
            )
        yield document


def _whole_and_then_parts(text: str, name: str, limits: YamlLimits) -> Iterator[YamlDocument]:
    """libyaml cannot go on behind an error, nor behind a "..." that no "---" follows.

    From there on the text is cut at its document markers and read part by part, so that an
    error costs no more than its own document.
    """
    for document in _read_stream(text, 0, len(text), 0, name, limits):
        if not document.error:
            yield document
            continue
        line = at = 0
        for start, end in _chunks(text, document._start):
            line, at = line + text.count("\n", at, start), start
            yield from _read_stream(text, start, end, line, name, limits)


def _read_stream(
    text: str, start: int, end: int, base_line: int, name: str, limits: YamlLimits
) -> Iterator[YamlDocument]:
    """Documents of text[start:end] up to its end or the first broken one, which is the last."""
    part = text if (start, end) == (0, len(text)) else text[start:end]
    at = at_line = 0  # where the document being read begins within `part`
    read: tuple[Any, int] | None = None  # its value and first line, once it is read

    def document(value: Any, line: int, until: int, error: YamlError | None = None) -> YamlDocument:
        return YamlDocument(
            value, base_line + line + 1, error, text, start + at, start + until, base_line + at_line
        )

    try:
        next_event: Callable[[], Any] = CParser(part).get_event
        next_event()  # the start of the stream
        while True:
            # What stands behind a document may show that it was broken, so it waits for the next.
            event = next_event()
            if read:
                yield document(*read, event.start_mark.index)
                read = None
            if event.__class__ is StreamEndEvent:
                return
            at, at_line = event.start_mark.index, event.start_mark.line
            read = _build(next_event, event, limits)
            event = next_event()
            if event.explicit:  # ended by "...": what comes behind is not this one's fault
                yield document(*read, event.end_mark.index)
                read = None
                at, at_line = event.end_mark.index, event.end_mark.line
    except yaml.MarkedYAMLError as failure:
        error = explain(failure, part, at, base_line, name)
        yield document(None, error.line - base_line - 1, len(part), error)
    except yaml.reader.ReaderError as failure:
        error = explain_character(failure, part, base_line, name)
        yield document(None, error.line - base_line - 1, len(part), error)


_BOUNDARY = re.compile(r"^(?:(---)|\.\.\.)(?=\s|\Z)", re.M)
_CONTENT = re.compile(r"^[^\S\n]*[^\s#%]", re.M)


def _chunks(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Cut text[start:] where a document marker stands, directives staying with their document."""
    begin = start
    for match in _BOUNDARY.finditer(text, start):
        has_content = _CONTENT.search(text, begin, match.start())
        if not match[1]:
            if has_content:
                yield begin, match.end()
            begin = match.end()
        elif has_content:
            yield begin, match.start()
            begin = match.start()
    yield begin, len(text)


# --- one document -----------------------------------------------------------------------------

_ABSENT: Any = object()


@dataclass(slots=True)
class _Anchor:
    """An anchored value and its size with all aliases in it expanded. Open: still being read."""

    value: Any = None
    nodes: int = 0
    chars: int = 0
    is_open: bool = True


def _build(next_event: Callable[[], Any], start: Any, limits: YamlLimits) -> tuple[Any, int]:
    """Value of the document that the event `start` begins, and the line (from 0) of its first node.

    An explicit stack instead of recursion: depth costs no C stack. An aliased value is shared,
    not copied; its size is counted at every use, so a later dump is bounded too.
    """
    is_1_1 = start.version == (1, 1)
    typed = resolve_1_1 if is_1_1 else resolve
    maybe_typed = MAYBE_TYPED_1_1 if is_1_1 else MAYBE_TYPED
    anchors: dict[str, _Anchor] = {}
    stack: list[tuple[Any, Any, Any]] = []  # enclosing container, its key, anchor of `container`
    container: Any = None
    key: Any = _ABSENT
    anchor: tuple[_Anchor, int, int, int] | None = None  # of `container`: nodes, chars, index
    nodes = alias_chars = 0
    first_line = -1
    while True:
        event = next_event()
        kind = event.__class__
        if first_line < 0:
            first_line = event.start_mark.line
            if kind is ScalarEvent and event.value == "" and event.style == "":
                first_line = start.start_mark.line
        if kind is ScalarEvent:
            nodes += 1
            value = event.value
            style = event.style
            if style == '"' and "\0" in value:
                raise Refused("text must not hold the character U+0000", event.start_mark)
            if event.tag is not None:
                value = tagged(value, event.tag, typed)
            elif style == "" and value[:1] in maybe_typed:
                value = typed(value)
            if event.anchor is not None:
                anchors[event.anchor] = _Anchor(value, 1, len(event.value), is_open=False)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            nodes += 1
            if len(stack) >= limits.max_depth:
                raise Refused(f"nested more than {limits.max_depth} levels deep", event.start_mark)
            stack.append((container, key, anchor))
            container = {} if kind is MappingStartEvent else []
            key, anchor = _ABSENT, None
            if event.anchor is not None:
                mark = anchors[event.anchor] = _Anchor()
                anchor = mark, nodes, alias_chars, event.start_mark.index
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            value = container
            if is_1_1 and kind is MappingEndEvent and "<<" in value:
                value = _merge(value, event.start_mark)
            if anchor is not None:
                mark, nodes_before, chars_before, index = anchor
                mark.value, mark.is_open = value, False
                mark.nodes = nodes - nodes_before + 1
                mark.chars = event.end_mark.index - index + alias_chars - chars_before
            container, key, anchor = stack.pop()
        else:  # AliasEvent: nothing else can stand inside a document
            known = anchors.get(event.anchor)
            if known is None:
                raise Refused(
                    f"alias *{shorten(event.anchor, 40)} has no anchor before it",
                    event.start_mark,
                    "Put quotes around a value that begins with *.",
                )
            if known.is_open:
                raise Refused(
                    f"alias *{shorten(event.anchor, 40)} stands inside its own anchor",
                    event.start_mark,
                )
            value = known.value
            nodes += known.nodes
            alias_chars += known.chars
            if alias_chars > limits.max_bytes:
                raise Refused(
                    f"aliases expand to more than {limits.max_bytes:,} characters",
                    event.start_mark,
                )
        if nodes > limits.max_nodes:
            raise Refused(
                f"more than {limits.max_nodes:,} values, aliases expanded", event.start_mark
            )
        if not stack:
            return value, first_line
        if container.__class__ is list:
            container.append(value)
        elif key is _ABSENT:
            key = value if value.__class__ is str else as_key(value)
            if key in container:
                raise Refused(
                    f'key "{shorten(key)}" stands twice in the same map',
                    event.start_mark,
                    "Remove or rename one of the two.",
                    twice=[*(len(c) if c.__class__ is list else k for c, k, _ in stack[1:]), key],
                )
        else:
            container[key] = value
            key = _ABSENT


def _merge(mapping: dict[str, Any], mark: yaml.Mark) -> dict[str, Any]:
    """YAML 1.1's `<<`: the keys of the named maps, where the map has none of its own."""
    sources = mapping.pop("<<")
    merged: dict[str, Any] = {}
    for source in sources if isinstance(sources, list) else [sources]:
        if not isinstance(source, dict):
            raise Refused("<< expects a map or a list of maps", mark)
        merged = {**source, **merged}
    return {**merged, **mapping}


# --- JSON -------------------------------------------------------------------------------------


_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _as_json(text: str, limits: YamlLimits) -> Any:
    """The value of a text that is one JSON object or list, else `_ABSENT`.

    JSON escapes a letter outside the basic plane as two halves, which libyaml refuses. Whatever
    is wrong with the text is left for the YAML way to find and explain.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return _ABSENT
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=resolve,
            parse_float=resolve,
            parse_constant=_no_constant,
        )
        if "\\u" in text:
            encoded = json.dumps(value, ensure_ascii=False).encode()  # refuses half a letter
            if b"\\u0000" in encoded:
                return _ABSENT
    except (ValueError, RecursionError):
        return _ABSENT
    return value if _is_within(value, limits) else _ABSENT


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _is_within(value: Any, limits: YamlLimits) -> bool:
    nodes, level = 1, [value]
    for _ in range(limits.max_depth):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                nodes += len(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        nodes += len(below)
        if not below:
            return nodes <= limits.max_nodes
        level = [item for item in below if isinstance(item, dict | list)]
    return not level and nodes <= limits.max_nodes
