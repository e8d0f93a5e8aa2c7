"""JSON and YAML with their parts marked, for reading."""

from __future__ import annotations

from typing import Any

import orjson
import regex
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

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
