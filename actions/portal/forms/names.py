"""How the inputs of a form are called in HTML: `input.size`, `input.box.tags.0.key`.

The same names fill a form in from an address: `?input.size=3`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

PREFIX: Final = "input"
MARKS: Final = "form.marks"
BLANK: Final = "__row__"  # stands for the number of a row that is not there yet

_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


def child(name: str, part: str | int) -> str:
    """The name of a part; dots within one do not separate."""
    return f"{name}.{str(part).replace('~', '~0').replace('.', '~1')}"


def html_id(name: str) -> str:
    """An id that selectors take as it is, different for different names."""
    return _PLAIN.sub(lambda found: f"_{ord(found[0]):x}", name)


def rows_of(name: str, keys: Iterable[Any]) -> list[int]:
    """The numbers of the rows that came for a list, in order."""
    start = f"{name}."
    numbers = {
        int(number)
        for key in keys
        if isinstance(key, str) and key.startswith(start)
        and (number := key[len(start) :].partition(".")[0]).isdecimal() and len(number) < 6
    }  # fmt: skip
    return sorted(numbers)


def was_sent(name: str, keys: Iterable[Any]) -> bool:
    """Whether anything came for this input."""
    return any(isinstance(key, str) and (key == name or key.startswith(f"{name}.")) for key in keys)
