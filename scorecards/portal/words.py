"""Levels and statuses in words, colours and signs. What they mean is always there as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import regex
from django.utils import timezone
from django.utils.timesince import timesince

from scorecards import statuses
from scorecards.definition import Definition, Level
from scorecards.rules.compiled import Tree
from scorecards.statuses import Status

NO_LEVEL: Final = "No level yet"
ONLY_POINTS: Final = "No levels"

_HEX: Final = regex.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
# Tones that are seen on white and on dark alike, by the names that the API has for colours.
_NAMED: Final[Mapping[str, str]] = {
    "blue": "#3b82f6",
    "turquoise": "#14b8a6",
    "orange": "#f97316",
    "purple": "#a855f7",
    "pink": "#ec4899",
    "yellow": "#eab308",
    "green": "#22c55e",
    "red": "#ef4444",
    "gold": "#d9a514",
    "silver": "#a3adb8",
    "paleBlue": "#93b8e0",
    "darkGray": "#6b7280",
    "lightGray": "#b6c0cc",
    "bronze": "#b87333",
    "lime": "#84cc16",
    "olive": "#8a8f2a",
    "brown": "#8b5e3c",
}
_PERCENT: Final = "\N{NO-BREAK SPACE}%"
_START: Final = "#9aa5b4"
_STEPS: Final = ("#a5b4fc", "#818cf8", "#6366f1", "#4f46e5")  # for levels without a colour


@dataclass(frozen=True, slots=True)
class Look:
    """A level as it is drawn. colour: "#rrggbb"."""

    title: str
    colour: str
    description: str = ""

    @property
    def style(self) -> str:
        return f"--lv:{self.colour}"


GONE: Final = Look("Other levels", _START)


@dataclass(frozen=True, slots=True)
class Sign:
    """A status as it is drawn. letter: in a heat map."""

    words: str
    tone: str
    icon: str
    letter: str


_SIGNS: Final[Mapping[Status, Sign]] = {
    statuses.PASS: Sign("Passed", "pass", "check_circle", "✓"),
    statuses.FAIL: Sign("Open", "open", "radio_button_unchecked", "○"),
    statuses.NO_DATA: Sign("No data", "none", "help", "?"),
    statuses.ERROR: Sign("Could not be evaluated", "none", "error", "!"),
    statuses.IGNORED: Sign("No data, not counted", "none", "help", "?"),
    statuses.EXEMPT: Sign("Exempt", "exempt", "verified_user", "E"),
    statuses.NOT_APPLICABLE: Sign("Does not apply", "off", "remove", "–"),
    statuses.ANNOUNCED_PASS: Sign("Would pass", "soon", "event_available", "✓"),
    statuses.ANNOUNCED_FAIL: Sign("Would be open", "soon", "event_upcoming", "○"),
    statuses.ANNOUNCED_NO_DATA: Sign("Would have no data", "soon", "event_upcoming", "?"),
    statuses.ABSENT: Sign("Not evaluated yet", "off", "hourglass_empty", "…"),
}


def sign_of(status: Status) -> Sign:
    return _SIGNS[status]


def looks_of(definition: Definition) -> Sequence[Look]:
    """Of each level, lowest first."""
    levels = definition.levels
    return [look_of(level, rank, len(levels)) for rank, level in enumerate(levels)]


def look_at(definition: Definition, rank: int) -> Look:
    """Of the level at a rank; an older version may have had more levels."""
    count = len(definition.levels)
    return look_of(definition.level(rank), min(rank, count - 1), count)


def look_of(level: Level, rank: int, count: int) -> Look:
    """rank: of the level among `count`. Without a colour of its own, the higher the darker."""
    if not level.title:
        return Look(NO_LEVEL if count > 1 else ONLY_POINTS, _START)
    colour = _NAMED.get(level.color) or (level.color if _HEX.fullmatch(level.color) else "")
    step = round((len(_STEPS) - 1) * rank / max(count - 1, 1))
    return Look(level.title, colour or _STEPS[step], level.description)


def percent(value: float | None) -> str:
    """For people; what is not all is never shown as all, nor what is something as nothing."""
    if value is None:
        return "–"
    if 99 < value < 100:
        return f"99{_PERCENT}"
    if 0 < value < 1:
        return f"< 1{_PERCENT}"
    return f"{round(value)}{_PERCENT}"


def value_words(value: object) -> str:
    """A value that a rule looked at, in a few words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case "":
            return "empty text"
        case []:
            return "an empty list"
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(one, str | int | float) for one in value):
            return ", ".join(str(one) for one in value)
    return str(value)


def joint_words(tree: Tree | None) -> str:
    """How the parts of a rule hang together, counted from 1; "" where there is one alone."""
    if tree is None or isinstance(tree, int):
        return ""
    joint, children = tree
    if all(isinstance(child, int) for child in children) and len(children) > 1:
        return "All of these are wanted." if joint == "and" else "One of these is enough."
    formula = _formula(tree)
    return f"Wanted: {formula}." if any(c.isalpha() for c in formula) else ""


def _formula(tree: Tree) -> str:
    if isinstance(tree, int):
        return str(tree + 1)
    joint, children = tree
    if joint == "not":
        return f"not {_bracketed(children[0])}"
    if len(children) == 1:
        return _formula(children[0])
    return f" {joint} ".join(_bracketed(child) for child in children)


def _bracketed(tree: Tree) -> str:
    if isinstance(tree, int) or tree[0] == "not":
        return _formula(tree)
    return f"({_formula(tree)})" if len(tree[1]) > 1 else _formula(tree)


def span_words(span: timedelta) -> str:
    """How long something took: "3 days, 4 hours"."""
    now = timezone.now()
    return timesince(now - span, now) if span >= timedelta(minutes=1) else "less than a minute"
