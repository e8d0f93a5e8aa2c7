"""Regular expressions of forms: people write those of JavaScript, which look ahead and back.

The validator of JSON Schema takes only what it can match in linear time. The rest is matched here,
for a bounded time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import regex

from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import compile_schema

MAX_CHARS: Final = 2000
TIMEOUT_S: Final = 0.2


@lru_cache(maxsize=1024)
def is_linear(pattern: Any) -> bool:
    """Whether JSON Schema's validator takes it."""
    if not isinstance(pattern, str):
        return False
    try:
        compile_schema({"pattern": pattern})
    except InvalidInput:
        return False
    return True


def is_pattern(pattern: Any) -> bool:
    """Whether it is a regular expression that can be matched at all."""
    return is_linear(pattern) or _compiled(pattern) is not None


def fits(pattern: str, text: str) -> bool | None:
    """Whether `pattern` is found in `text`; None where that took too long to say, or it is none."""
    compiled = _compiled(pattern)
    if compiled is None:
        return None
    try:
        return compiled.search(text, timeout=TIMEOUT_S) is not None
    except TimeoutError:
        return None


@lru_cache(maxsize=256)
def _compiled(pattern: Any) -> regex.Pattern[str] | None:
    if not isinstance(pattern, str) or len(pattern) > MAX_CHARS:
        return None
    try:
        return regex.compile(pattern)
    except regex.error:
        return None
