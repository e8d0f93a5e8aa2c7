"""JSON, YAML and other source with its parts marked, for reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import regex
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound

MAX_MARKED_CHARS = 200_000

_JSON = regex.compile(
    r'(?P<key>"(?:\\.|[^"\\])*+")(?=\s*:)'
    r'|(?P<text>"(?:\\.|[^"\\])*+")'
    r"|(?P<number>-?\b\d[\d.eE+-]*)"
    r"|(?P<word>\b(?:true|false|null)\b)"
)
_YAML = regex.compile(
    r"(?P<comment>(?:(?<=\s)|^)\#[^\n]*)"
    r"|(?P<key>(?:^|(?<=\n))[ ]*+(?:-[ ]+)*+[^\s\#:'\"\[\]{},-][^\n:\#]*?(?=:(?:\s|$)))"
    r"|(?P<text>(?<=[\s\[,])(?:\"(?:\\.|[^\"\\\n])*+\"|'(?:''|[^'\n])*+')(?=\s*(?:[,\]}\n]|$)))"
    r"|(?P<word>(?<=[:\-] )(?:true|false|null|~)(?=\s|$))"
    r"|(?P<number>(?<=[:\-] )-?\d[\d.]*(?=\s|$))"
)


def json_block(value: Any) -> SafeString:
    """A value as indented JSON."""
    return _marked(_JSON, as_json(value))


def yaml_block(text: str) -> SafeString:
    """YAML text as it is."""
    return _marked(_YAML, text)


def as_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _marked(pattern: regex.Pattern[str], text: str) -> SafeString:
    if len(text) > MAX_MARKED_CHARS:
        return escape(text)
    parts: list[str] = []
    end = 0
    for match in pattern.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(f'<span class="tok-{match.lastgroup}">{escape(match.group())}</span>')
        end = match.end()
    parts.append(escape(text[end:]))
    return mark_safe("".join(parts))  # noqa: S308 - every part is escaped


def code_lines(text: str, language: str) -> list[SafeString]:
    """Source line by line, each whole HTML of its own. language: "yaml", "json" or a name of
    Pygments; anything else is shown as it is."""
    if len(text) > MAX_MARKED_CHARS:
        return [escape(line) for line in text.split("\n")]
    lines = [""]
    for kind, part in _tokens(text, language):
        first, *others = part.split("\n")
        lines[-1] += _marked_part(kind, first)
        lines += [_marked_part(kind, line) for line in others]
    return [mark_safe(line) for line in lines]  # noqa: S308 - every part is escaped


def _tokens(text: str, language: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of each part; a part that has no colour is of kind ""."""
    if pattern := {"json": _JSON, "yaml": _YAML}.get(language):
        end = 0
        for match in pattern.finditer(text):
            yield "", text[end : match.start()]
            yield match.lastgroup or "", match.group()
            end = match.end()
        yield "", text[end:]
        return
    try:
        lexer = get_lexer_by_name(language, ensurenl=False, stripnl=False)
    except ClassNotFound:
        yield "", text
        return
    for token, part in lexer.get_tokens(text):
        yield next((kind for group, kind in _KINDS if token in group), ""), part


_KINDS = (
    (Token.Comment, "comment"),
    (Token.Literal.String, "text"),
    (Token.Literal.Number, "number"),
    (Token.Keyword, "key"),
    (Token.Name.Decorator, "word"),
    (Token.Name.Builtin, "word"),
)


def _marked_part(kind: str, text: str) -> str:
    marked = escape(text)
    return f'<span class="tok-{kind}">{marked}</span>' if kind and text else str(marked)
