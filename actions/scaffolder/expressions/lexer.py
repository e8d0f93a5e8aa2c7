"""Cuts a template into texts and tags, and the code of a tag into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .budget import Budget
from .errors import LimitReached, TemplateError, place
from .values import WHITESPACE

Kind = Literal["name", "number", "string", "regex", "operator", "end"]


class Token(NamedTuple):
    kind: Kind
    value: str
    at: int


@dataclass(slots=True)
class Tag:
    """A piece of a template: text (`text`), `${{ }}` ("value") or `{% %}` ("block")."""

    kind: Literal["text", "value", "block"]
    at: int
    text: str = ""
    tokens: list[Token] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Syntax:
    """The marks of a dialect. trim_blocks: drops the line end after a block; lstrip_blocks: drops
    the blanks before one that starts its line.
    """

    opening: str = "${{"
    closing: str = "}}"
    trim_blocks: bool = False
    lstrip_blocks: bool = False


_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n\xa0]+)
    |(?P<number>\d+(?:\.\d*)?(?P<suffix>[A-Za-z_])?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<operator>===|!==|\*\*|//|==|!=|<=|>=|[()\[\]{}.,:|~+\-*/%<>=])""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_MEMBER = re.compile(r"[0-9]*[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_REGEX = re.compile(r"r/((?:[^/\\]|\\.)+)/([a-z]*)", re.DOTALL)
_RAW = re.compile(r"\{%-?\s*(raw|verbatim)\s*(-?)%\}")


def scan(source: str, syntax: Syntax, budget: Budget) -> list[Tag]:
    """Raises TemplateError, LimitReached."""
    return _Scanner(source, syntax, budget).scan()


def tokens_of(source: str, budget: Budget) -> list[Token]:
    """The tokens of a bare expression, the last one "end". Raises TemplateError, LimitReached."""
    scanner = _Scanner(source, Syntax(), budget)
    tokens, end = scanner.code(0, "")
    return [*tokens, Token("end", "", end)]


class _Scanner:
    def __init__(self, source: str, syntax: Syntax, budget: Budget) -> None:
        if len(source) > budget.source:
            raise LimitReached("source", budget.source)
        self.source = source
        self.budget = budget
        self.nodes = 0
        self.syntax = syntax
        self.tags: list[Tag] = []
        self.starts_blank = True  # nothing but blanks on this line so far, tags aside
        self.opening = re.compile(rf"{re.escape(syntax.opening)}|\{{%|\{{#")

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > self.budget.nodes:
            raise LimitReached("nodes", self.budget.nodes)

    def fail(self, message: str, at: int) -> TemplateError:
        return TemplateError(message, *place(self.source, at))

    def scan(self) -> list[Tag]:
        at = 0
        while match := self.opening.search(self.source, at):
            self.count()
            start, mark = match.start(), match.group()
            begin = match.end()
            is_trimmed = self.source.startswith("-", begin)
            is_block = mark == "{%"
            self.text(at, start, is_trimmed, is_block)
            begin += is_trimmed
            if mark == "{#":
                at = self.comment(start, begin)
            elif is_block and (raw := _RAW.match(self.source, start)):
                at = self.raw(raw)
            else:
                at = self.tag("block" if is_block else "value", start, begin)
        self.text(at, len(self.source), False, False)
        return self.tags

    def text(self, start: int, end: int, is_trimmed: bool, before_block: bool) -> None:
        text = self.source[start:end]
        line = text[text.rfind("\n") + 1 :]
        is_blank = not line.strip(WHITESPACE) and ("\n" in text or self.starts_blank)
        if before_block and self.syntax.lstrip_blocks and is_blank:
            text = text[: len(text) - len(line)]
        if is_trimmed:
            text = text.rstrip(WHITESPACE)
        if text:
            self.tags.append(Tag("text", start, text))
        self.starts_blank = False

    def comment(self, start: int, begin: int) -> int:
        end = self.source.find("#}", begin)
        if end < 0:
            raise self.fail("Unterminated comment tag", start)
        return self.after(end + 2, self.source[end - 1] == "-" and end > begin, "comment")

    def raw(self, opened: re.Match[str]) -> int:
        """Text as it is, up to the matching end; the same tag inside counts."""
        name, depth = opened[1], 1
        begin = self.after(opened.end(), bool(opened[2]), "block")
        for mark in re.compile(rf"\{{%(-?)\s*(end)?{name}\s*(-?)%\}}").finditer(self.source, begin):
            depth += -1 if mark[2] else 1
            if not depth:
                text = self.source[begin : mark.start()]
                text = text.rstrip(WHITESPACE) if mark[1] else text
                if text:
                    self.tags.append(Tag("text", begin, text))
                return self.after(mark.end(), bool(mark[3]), "raw")
        raise self.fail(f'Missing "end{name}" tag', opened.start())

    def tag(self, kind: Literal["value", "block"], start: int, begin: int) -> int:
        closing = "%}" if kind == "block" else self.syntax.closing
        tokens, end = self.code(begin, closing)
        if end < 0:
            word = "block" if kind == "block" else "variable"
            raise self.fail(f"Unterminated {word} tag", start)
        is_trimmed = self.source.startswith("-", end)
        end += is_trimmed
        self.tags.append(Tag(kind, start, tokens=[*tokens, Token("end", "", end)]))
        return self.after(end + len(closing), is_trimmed, kind)

    def after(self, at: int, is_trimmed: bool, kind: str) -> int:
        """Where the text goes on after a tag."""
        start = at
        if is_trimmed:
            while at < len(self.source) and self.source[at] in WHITESPACE:
                at += 1
        elif kind == "block" and self.syntax.trim_blocks:
            at += 2 if self.source.startswith("\r\n", at) else self.source.startswith("\n", at)
        self.starts_blank = "\n" in self.source[start:at]
        return at

    def code(self, at: int, closing: str) -> tuple[list[Token], int]:
        """The tokens up to `closing` (or "-" before it), and its place; -1 where it is missing.

        Inside brackets the closing mark is code, so that `{a: {b: 1}}` is an object.
        """
        tokens: list[Token] = []
        depth = 0
        while at < len(self.source):
            if closing and not depth and self.source.startswith((closing, f"-{closing}"), at):
                return tokens, at
            is_member = bool(tokens) and tokens[-1][:2] == ("operator", ".")
            token, at = self.token(at, is_member)
            if token is None:
                continue
            self.count()
            tokens.append(token)
            if token.kind == "operator":
                depth += (token.value in "([{") - (token.value in ")]}")
                depth = max(depth, 0)
        return tokens, -1 if closing else at

    def token(self, at: int, is_member: bool) -> tuple[Token | None, int]:
        source = self.source
        if is_member and (match := _MEMBER.match(source, at)):
            return Token("name", match.group(), at), match.end()
        if source.startswith("r/", at):
            match = _REGEX.match(source, at)
            if not match:
                raise self.fail("Unterminated regular-expression literal", at)
            return Token("regex", f"{match[2]}/{match[1]}", at), match.end()
        match = _TOKEN.match(source, at)
        if not match or match["suffix"]:
            if match:
                raise self.fail("Invalid numeric literal", at)
            if source[at] in "\"'":
                raise self.fail("Unterminated string literal", at)
            raise self.fail(f'Unexpected character "{source[at]}"', at)
        if match["blank"]:
            return None, match.end()
        kind: Kind = match.lastgroup  # type: ignore[assignment]
        text = match.group()
        if kind == "string":
            text = _ESCAPED.sub(lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])
        return Token(kind, text, at), match.end()
