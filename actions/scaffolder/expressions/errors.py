"""What can go wrong in a template: a mistake with its place, or a limit that was reached."""

from __future__ import annotations

from catalog.kernel.errors import InvalidExpression


class TemplateError(InvalidExpression):
    """A template that cannot be read, or that fails. `line` and `column` count from 1."""

    code = "invalid_template"

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"Template error at line {line}, column {column}: {message}")
        self.reason = message
        self.line = line
        self.column = column
        self.details = {"line": line, "column": column}


class TemplateLimitExceeded(TemplateError):
    """A template that asks for more than its budget; `limit` names the field of `Budget`."""

    code = "template_limit_exceeded"

    def __init__(self, limit: str, allowed: float, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{_WORDS[limit]} (at most {allowed:,})", line, column)
        self.limit = limit
        self.details["limit"] = limit
        self.details["allowed"] = allowed


_WORDS = {
    "source": "The template is too long, in characters",
    "nodes": "The template has too many parts",
    "fuel": "The template takes too many steps",
    "nesting": "The template, or a value in it, is nested too deep",
    "output": "The result is too long, in characters",
    "text": "A text in the template grows too long, in characters",
    "items": "A list in the template grows too long",
    "regex_seconds": "The regular expressions take too long, in seconds",
}


class Fault(Exception):
    """A mistake met where the place is not known; the evaluator makes a TemplateError of it."""


class LimitReached(Exception):
    """A limit reached where the place is not known."""

    def __init__(self, limit: str, allowed: float) -> None:
        super().__init__(limit)
        self.limit = limit
        self.allowed = allowed


def place(source: str, offset: int) -> tuple[int, int]:
    """Line and column (from 1) of an offset."""
    line = source.count("\n", 0, offset) + 1
    return line, offset - (source.rfind("\n", 0, offset) + 1) + 1
