"""Errors of YAML texts in words that help the person who wrote the text, and places in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from catalog.kernel.errors import InvalidInput

Path = Sequence[str | int]  # keys of maps and indexes of lists, from the root down


class YamlError(InvalidInput):
    """The text is not YAML that we take.

    `problem` is the sentence without the place, `line` and `column` count from 1 (column 0:
    not known), `name` is the file or whatever else the caller calls the text.
    """

    code = "invalid_yaml"

    def __init__(
        self, problem: str, *, name: str, line: int, column: int = 0, hint: str = ""
    ) -> None:
        super().__init__(
            f"{name}:{line}: {problem}",
            hint=hint,
            details={"file": name, "line": line, "column": column, "problem": problem},
        )
        self.problem, self.name, self.line, self.column = problem, name, line, column


class Refused(yaml.MarkedYAMLError):
    """Our own refusal of a document, with a place, beside libyaml's."""

    def __init__(self, problem: str, mark: yaml.Mark, hint: str = "", *, twice: Path = ()) -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.hint = hint
        self.twice = twice  # path of a key that stands twice: the first is looked up to be named


_TEMPLATE = re.compile(r"\{\{|\{%|\$\{\{")
_UNFILLED = "This looks like a template that has not been filled in."
_BAD_START = "found character that cannot start any token"
_HINTS = {
    "mapping values are not allowed in this context": (
        "Put quotes around a value that holds a colon and a space, or check the indentation."
    ),
    "could not find expected ':'": "A line may lack its colon, or its indentation is off.",
    "did not find expected key": "Check the indentation of this line and of the lines before it.",
    "found unexpected end of stream": "A quote is not closed.",
    "found unexpected document indicator": "A quote is not closed before this line.",
    "did not find expected ',' or '}'": "A { is not closed, or a comma is missing.",
    "did not find expected ',' or ']'": "A [ is not closed, or a comma is missing.",
}


def explain(
    failure: yaml.MarkedYAMLError, part: str, at: int, base_line: int, name: str
) -> YamlError:
    mark = failure.problem_mark or failure.context_mark
    if failure.problem == "could not find expected ':'":
        mark = failure.context_mark or mark  # where the key began, not where the hope ended
    index, line, column = (mark.index, mark.line, mark.column) if mark else (at, 0, -1)
    if index >= len(part.rstrip()):  # the end of the text: the last line that has something
        line, column = part.rstrip().count("\n"), -1
    problem = failure.problem or failure.context or "not readable as YAML"
    hint = _HINTS.get(problem, "")
    if isinstance(failure, Refused):
        hint = failure.hint
        if failure.twice and (first := locate(part[at:], failure.twice)) is not None:
            first += part.count("\n", 0, at)
            problem += f" (first on line {base_line + first + 1})"
    else:
        character = part[index : index + 1]
        if "tab character" in problem or (character == "\t" and problem == _BAD_START):
            problem, hint = "a tab where YAML wants spaces", "Indent with spaces."
        elif problem == "exceeded maximum nesting depth":
            problem = "nested too deep"
        elif problem == _BAD_START:
            problem, hint = f"a value cannot begin with {character}", "Put quotes around the value."
        if _TEMPLATE.search(part, max(at, index - 500), index + 500):
            hint = _UNFILLED
    return YamlError(problem, name=name, line=base_line + line + 1, column=column + 1, hint=hint)


def explain_character(
    failure: yaml.reader.ReaderError, part: str, base_line: int, name: str
) -> YamlError:
    index = max(0, min(failure.position, len(part) - 1))
    # libyaml counts bytes here; the character itself is the better guide.
    if match := _UNPRINTABLE.search(part):
        index = match.start()
    line = part.count("\n", 0, index)
    return YamlError(
        f"the character U+{ord(part[index]):04X} is not allowed in YAML",
        name=name,
        line=base_line + line + 1,
        column=index - part.rfind("\n", 0, index),
        hint="Remove it, or write it as an escape in a double-quoted text.",
    )


_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def locate(text: str, path: Path) -> int | None:
    """The line (from 0) where `path`, or the deepest part of it that is there, stands."""
    found: int | None = None
    deepest = good = 0  # steps of `path` seen; steps of it that lead to where we are
    stack: list[_Frame] = []
    try:
        parser = CParser(text)
        while deepest < len(path):
            event: Any = parser.get_event()
            kind = event.__class__
            if kind is MappingEndEvent or kind is SequenceEndEvent:
                stack.pop()
                good = min(good, len(stack))
                continue
            if kind is DocumentEndEvent or kind is StreamEndEvent:
                break
            if kind not in _NODES:
                continue
            step: Any = _NOTHING
            if stack:
                top = stack[-1]
                if not top.is_map:
                    top.index += 1
                    step = top.index
                elif top.is_key_next:
                    step = getattr(event, "value", None)
                    top.is_key_next = False
                else:
                    top.is_key_next = True
            level = len(stack) - 1
            if step is not _NOTHING and good >= level:
                good = level + (step == path[level])
                if good > deepest:
                    deepest, found = good, event.start_mark.line
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                stack.append(_Frame(kind is MappingStartEvent))
    except yaml.YAMLError:
        pass  # the place was behind an error, so the part before it is the answer
    return found


def lines_of(text: str) -> dict[tuple[str | int, ...], int]:
    """The line (from 0) of each value of one document, by its path; one pass over the text.

    A key's value has the line of the key. What an alias repeats has no line of its own.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    stack: list[_Frame] = []
    path: list[Any] = []
    try:
        parser = CParser(text)
        while True:
            event: Any = parser.get_event()
            kind = event.__class__
            if kind is DocumentEndEvent or kind is StreamEndEvent:
                break
            if kind is MappingEndEvent or kind is SequenceEndEvent:
                stack.pop()
                continue
            if kind not in _NODES:
                continue
            if stack:
                top = stack[-1]
                if not top.is_map:
                    top.index += 1
                    path[len(stack) - 1 :] = [top.index]
                    lines[tuple(path)] = event.start_mark.line
                elif top.is_key_next:
                    path[len(stack) - 1 :] = [getattr(event, "value", None)]
                    lines[tuple(path)] = event.start_mark.line
                    top.is_key_next = False
                else:
                    top.is_key_next = True
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                stack.append(_Frame(kind is MappingStartEvent))
    except yaml.YAMLError:
        pass  # what stands before the error has its lines
    return lines


_NOTHING: Any = object()
_NODES = frozenset([ScalarEvent, AliasEvent, MappingStartEvent, SequenceStartEvent])


@dataclass(slots=True)
class _Frame:
    is_map: bool
    is_key_next: bool = True
    index: int = -1
