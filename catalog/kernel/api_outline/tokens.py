"""Splitting GraphQL and Protocol Buffers into tokens, and reading along them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import regex

_MAX_TOKENS = 200_000


@dataclass(frozen=True, slots=True)
class Token:
    """kind: "name", "number", "text", "comment", "sign" or "end". value: as written. comment: what
    the reader of a format found before it."""

    kind: str
    value: str
    line: int
    comment: str = ""


class Unexpected(Exception):
    """The text is not what it says it is."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message, self.line = message, line


def tokens_of(text: str, pattern: regex.Pattern[str]) -> Iterator[Token]:
    """Tokens named by the groups of `pattern`. Raises Unexpected at what is none."""
    at = count = 0
    line = 1
    while at < len(text):
        match = pattern.match(text, at)
        if match is None or match.end() == at:
            raise Unexpected(f"nothing begins with {text[at]!r}", line)
        kind = match.lastgroup or ""
        if kind != "space":
            count += 1
            if count > _MAX_TOKENS:
                raise Unexpected(f"more than {_MAX_TOKENS:,} words", line)
            yield Token(kind, match.group(), line)
        line += match.group().count("\n")
        at = match.end()


class Tokens:
    """Reads along tokens; behind the last one comes an empty one, for ever."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._end = Token("end", "", tokens[-1].line if tokens else 1)

    @property
    def next(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else self._end

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._tokens)

    def take(self) -> Token:
        token = self.next
        self._at += 1
        return token

    def has(self, value: str) -> bool:
        """Take a sign or word if it is the next token."""
        if self.next.value == value and self.next.kind in ("sign", "name"):
            self._at += 1
            return True
        return False

    def want(self, value: str) -> Token:
        token = self.take()
        if token.value != value or token.kind not in ("sign", "name"):
            raise Unexpected(f"expected {value}, found {shown(token)}", token.line)
        return token

    def name(self, what: str) -> Token:
        token = self.take()
        if token.kind != "name":
            raise Unexpected(f"expected {what}, found {shown(token)}", token.line)
        return token

    def balanced(self, opening: str, closing: str) -> list[Token]:
        """Everything up to the bracket that closes the one just taken."""
        inside: list[Token] = []
        depth, begin = 1, self.next.line
        while True:
            token = self.take()
            if token.kind == "end":
                raise Unexpected(f"{opening} is not closed", begin)
            if token.kind == "sign":
                depth += (token.value == opening) - (token.value == closing)
                if not depth:
                    return inside
            inside.append(token)


def shown(token: Token) -> str:
    return "the end" if token.kind == "end" else f"“{token.value[:40]}”"
