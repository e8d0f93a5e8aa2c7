"""What is done to the lines of a page before they are parsed as Markdown.

Snippets are taken in; headers of fences are reduced to what the parser knows; the blocks of
PlantUML become fences; lists nest by two spaces or more, and need no empty line before them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_SNIPPETS: Final = 200
MAX_SNIPPET_DEPTH: Final = 10
MAX_CHARS: Final = 2_000_000

# Fences that are diagrams, and what they are called.
DIAGRAMS: Final = {
    **dict.fromkeys(("mermaid", "kroki-mermaid"), "Mermaid"),
    **dict.fromkeys(("plantuml", "puml", "uml", "kroki-plantuml"), "PlantUML"),
    **dict.fromkeys(("graphviz", "dot", "kroki-graphviz"), "Graphviz"),
    "d2": "D2",
}

Snippet = Callable[[str], str | None]

_FENCE = re.compile(r"(?P<quotes>(?:[ \t]*>)*)(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})(?P<info>.*)")
_OPTION = re.compile(r"""(?:title|hl_lines|linenums)=(?:"[^"\n]*"|'[^'\n]*')""")
_LANGUAGE = re.compile(r"(?:\{\s*\.?)?([\w#+-][\w#.+-]*)")
_SNIPPET = re.compile(r"""(?P<indent>[ \t]*)-+8<-+[ \t]+(["'])(?P<name>[^"'\n]+)\2[ \t]*""")
_SNIPPET_FENCE = re.compile(r"(?P<indent>[ \t]*)-+8<-+[ \t]*")
_ESCAPED = re.compile(r"(?P<indent>[ \t]*);(?P<rest>-+8<-+.*)")
_MARKER = re.compile(r"(?P<indent> *)(?P<mark>[-*+]|\d{1,9}[.)])(?P<gap> +|$)(?P<rest>.*)")
_RULE = re.compile(r" {0,3}(?:(?:-[ ]*){3,}|(?:\*[ ]*){3,}|(?:_[ ]*){3,})$")
_CONTAINER = re.compile(r' *(?:!!!|\?\?\?\+?|===!?\+?)[ "]| *\[\^[^\]]+\]:|:[ ]{1,3}\S')
_UML = re.compile(r"[ \t]*::uml::")
_END_UML = re.compile(r"[ \t]*::end-uml::")


def normalise(text: str, snippet: Snippet) -> str:
    """A page's text, ready to be parsed."""
    taken = _Snippets(snippet)
    lines = list(taken.lines(text.expandtabs(4).split("\n"), 0))
    return "\n".join(_nested(list(_fences(lines))))


class _Snippets:
    """Takes the files in that `--8<-- "name"` names, a bounded number of them."""

    def __init__(self, read: Snippet) -> None:
        self.read = read
        self.count = 0
        self.chars = 0

    def lines(self, lines: list[str], depth: int) -> Iterator[str]:
        names_indent: str | None = None  # inside a block that names one file on each line
        for line in lines:
            if names_indent is not None:
                if _SNIPPET_FENCE.fullmatch(line):
                    names_indent = None
                elif (name := line.strip()) and not name.startswith(";"):
                    yield from self._taken(name, names_indent, depth)
            elif found := _SNIPPET.fullmatch(line):
                if not found["name"].startswith(";"):
                    yield from self._taken(found["name"].strip(), found["indent"], depth)
            elif (found := _SNIPPET_FENCE.fullmatch(line)) and depth == 0:
                names_indent = found["indent"]
            elif found := _ESCAPED.fullmatch(line):
                yield found["indent"] + found["rest"]
            else:
                yield line

    def _taken(self, name: str, indent: str, depth: int) -> Iterator[str]:
        self.count += 1
        if self.count > MAX_SNIPPETS or depth >= MAX_SNIPPET_DEPTH or self.chars > MAX_CHARS:
            return
        text = self.read(name)
        if text is None:
            return
        self.chars += len(text)
        for line in self.lines(text.expandtabs(4).split("\n"), depth + 1):
            yield indent + line if line else line


def _fences(lines: list[str]) -> Iterator[str]:
    """Fences whose header the parser would not know are told by their first word."""
    closing = ""
    is_uml = False
    for line in lines:
        if is_uml:
            is_uml = not _END_UML.fullmatch(line.rstrip())
            yield line if is_uml else "```"
            continue
        found = _FENCE.fullmatch(line)
        if closing:
            if found and found["marks"].startswith(closing) and not found["info"].strip():
                closing = ""
            yield line
        elif found and (found["quotes"] or _opening(line)):
            closing = found["marks"]
            yield f"{found['quotes']}{found['indent']}{found['marks']}{_info(found['info'])}"
        elif _UML.match(line):
            is_uml = True
            yield "```plantuml"
        else:
            yield line
    if is_uml:
        yield "```"


@dataclass(slots=True)
class _Frame:
    """The page, or what stands in an admonition or tab: all from `column` on, which is written
    `shift` columns further right. items: where the open list items begin, outermost first."""

    column: int
    shift: int
    items: list[int] = field(default_factory=list)

    def leave(self, indent: int) -> None:
        """Close the items that what begins at `indent` is no part of."""
        while self.items and indent < self.items[-1] + 2:
            self.items.pop()

    @property
    def level(self) -> int:
        """The column for the text of the innermost item."""
        return self.column + self.shift + 4 * len(self.items)


def _info(info: str) -> str:
    """What the parser knows of the header of a fence: its language, title and lines to mark."""
    info = info.strip()
    language = _LANGUAGE.match(info)
    if language is None or language[1].lower() in DIAGRAMS:
        return language[1].lower() if language else ""
    return " ".join([language[1], *_OPTION.findall(info)])


def _nested(lines: list[str]) -> Iterator[str]:
    """Lists as the parser wants them: a level is four spaces, and an empty line comes before."""
    frames = [_Frame(0, 0)]
    closing, shift = "", 0  # of the fence that we are in
    was_empty, was_text = True, False
    for line in lines:
        stripped = line.lstrip(" ")
        indent = len(line) - len(stripped)
        if closing:
            yield _shifted(line, shift)
            mark = stripped.rstrip()
            if mark.startswith(closing) and not mark.strip(closing[0]):
                closing, was_empty, was_text = "", False, False
            continue
        if not stripped:
            was_empty, was_text = True, False
            yield ""
            continue
        while indent < frames[-1].column:
            frames.pop()
        frame = frames[-1]
        marker = None if _RULE.fullmatch(line) else _MARKER.fullmatch(line)
        if marker:
            frame.leave(indent)
        if marker and (frame.items or indent < frame.column + 4):
            mark = marker["mark"]
            if was_text and not frame.items and (len(mark) == 1 or mark[:-1] == "1"):
                yield ""
            yield f"{' ' * frame.level}{mark.replace(')', '.')} {marker['rest']}"
            frame.items.append(indent)
            if found := _opening(marker["rest"]):
                width = len(mark) + len(marker["gap"])
                closing, shift = found, frame.level - indent - width
            was_empty = was_text = False
            continue
        opened = _opening(line)
        is_block = bool(opened) or stripped[0] == "#"
        if was_empty or is_block:
            before = len(frame.items)
            frame.leave(indent)
            if is_block and not was_empty and before > len(frame.items):
                yield ""
        shift = frame.shift
        if frame.items:
            # authors begin it below the text of the item, or four columns further than the item
            shift = frame.level - min(indent, frame.items[-1] + 4)
        yield _shifted(line, shift)
        closing = opened
        is_container = _CONTAINER.match(line) is not None
        if is_container:
            frames.append(_Frame(indent + 4, shift))
        was_empty = False
        was_text = not is_block and not is_container and stripped[0] not in "|<>"


def _opening(line: str) -> str:
    """The marks of a fence that begins here, outside of a quote; "" for other lines."""
    found = _FENCE.fullmatch(line)
    if not found or found["quotes"] or (found["marks"][0] == "`" and "`" in found["info"]):
        return ""
    return found["marks"]


def _shifted(line: str, by: int) -> str:
    if by >= 0:
        return " " * by + line if line.strip() else line
    return line[min(-by, len(line) - len(line.lstrip(" "))) :]
