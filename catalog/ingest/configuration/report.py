"""What became of each line of a configuration. Nothing in it is a secret."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    TAKEN = "taken"
    PARTLY = "taken in part"
    MEANINGLESS = "has no meaning here"
    UNSUPPORTED = "not supported"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a file. line: from 1; 0 for a variable of the environment, which `file` then
    names. message: what it became, or what to do instead."""

    file: str
    line: int
    key: str
    status: Status
    message: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Report:
    """lines: in the order of the files. changes: what was written, or with `is_dry_run` would be.
    leftovers: places that an earlier configuration named and this one does not. unset: variables
    that secrets are to come from. is_stored: false also where something was refused."""

    lines: list[Line]
    changes: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    unset: list[str] = field(default_factory=list)
    is_dry_run: bool = False
    is_stored: bool = False

    @property
    def refused(self) -> list[Line]:
        return [one for one in self.lines if one.status is Status.REFUSED]

    @property
    def counts(self) -> dict[str, int]:
        """How many lines have each status that occurs."""
        found = Counter(one.status for one in self.lines)
        return {status.value: found[status] for status in Status if found[status]}

    def as_dict(self) -> dict[str, Any]:
        return {
            "counts": self.counts,
            "lines": [
                {
                    "file": one.file,
                    "line": one.line,
                    "key": one.key,
                    "status": one.status.value,
                    "message": one.message,
                }
                for one in self.lines
            ],
            "changes": self.changes,
            "leftovers": self.leftovers,
            "unset": self.unset,
            "dryRun": self.is_dry_run,
            "stored": self.is_stored,
        }
