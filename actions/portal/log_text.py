"""Lines of a run's log, and files that it made, as a page may show them."""

from __future__ import annotations

from typing import Final

import regex

# Colours, movements of the cursor, titles of windows: what programs write for a terminal.
_TERMINAL: Final = regex.compile(
    r"\x1b\[[0-?]*+[ -/]*+[@-~]"
    r"|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*+[0-~]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]"
)


def plain(message: str) -> str:
    """The message as a terminal would leave it: no colours, and of a line that is written over
    itself (a progress bar) the last state.
    """
    lines = _TERMINAL.sub("", message.replace("\r\n", "\n")).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
