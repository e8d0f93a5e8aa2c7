"""One run of a template, how it is told of, and how it ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from actions.scaffolder.template import Template
from actions.scaffolder.workspace import Workspace
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import IdpError

WALL_CLOCK_S: Final = 600.0


class Cancelled(Exception):
    """Somebody stopped the run."""


class Reporter(Protocol):
    """Tells of the run while it goes on."""

    def log(self, message: str, *, level: str, step: str, step_status: str) -> None: ...

    def steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """The steps with their states, whenever one of these changes (see `Run.steps`)."""

    def keep(self, workspace: Workspace, name: str, folder: str, hidden: Collection[str]) -> str:
        """Keep the files below a folder as an archive of this name, but for those that hold a
        hidden text; returns the address to get it from, "" where nothing is kept."""

    def is_cancelled(self) -> bool:
        """Asked often."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a template.

    user: {"ref", "entity"} of who started it, as far as the catalogue knows them. secrets: by the
    names under which steps use them. hidden: further texts that may not be shown.
    """

    id: str
    template: Template
    parameters: Mapping[str, Any]
    secrets: Mapping[str, str]
    user: Mapping[str, Any]
    actor: Actor
    principal: Principal
    hidden: frozenset[str] = frozenset()
    is_dry_run: bool = False
    wall_clock_s: float = WALL_CLOCK_S


@dataclass(slots=True)
class Result:
    """How it ended. error: of the step that failed first; None where all went well. hidden: texts
    that secrets have become part of, which may stand in any of it.
    """

    output: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the steps, by their ids
    error: IdpError | None = None
    failed_step: str = ""
    hidden: frozenset[str] = frozenset()


def archive_name(ref: str) -> str:
    """Of what a template (by its reference) has made."""
    return f"{ref.rpartition('/')[2]}.zip"


def interrupted_step(steps: Sequence[Mapping[str, Any]]) -> str:
    """The name of a step that had begun to change something outside; "" where none had."""
    return next((str(one.get("name")) for one in steps if one.get("isLasting")), "")
