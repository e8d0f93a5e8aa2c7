"""Trying a software template out: what it would make, against an empty folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actions.inputs import check
from actions.models import Action
from actions.portal.asked import Asked
from actions.portal.forms import ActionForm
from actions.portal.log_text import plain
from actions.portal.run_page import Step, steps_of
from actions.portal.words import LEVELS
from actions.scaffolder.dry_running import DryRun, dry_run
from actions.scaffolder.finding import document_of
from actions.scaffolder.rendering import text_of
from actions.services.access import Access
from catalog.kernel.actors import Principal

MAX_FILES: Final = 500
MAX_SHOWN: Final = 1024 * 1024  # bytes of all files together
MAX_OF_FILE: Final = 128 * 1024
LINES_OPEN: Final = 400  # a longer file is folded until somebody looks


@dataclass(frozen=True, slots=True)
class File:
    """lines: of its text; None for one that is no text. cut: why they are not all there."""

    number: int
    path: str
    size_bytes: int
    is_executable: bool
    lines: Sequence[str] | None
    cut: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_open(self) -> bool:
        return bool(self.lines) and len(self.lines or ()) <= LINES_OPEN


@dataclass(slots=True)
class Folder:
    name: str
    folders: dict[str, Folder] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)

    @property
    def subfolders(self) -> list[Folder]:
        return [self.folders[name] for name in sorted(self.folders)]


@dataclass(frozen=True, slots=True)
class Trial:
    """more: how many files there are beside those listed."""

    error: str
    files: Sequence[File]
    tree: Folder
    more: int
    total_bytes: int
    steps: Sequence[Step]
    log: Sequence[Mapping[str, Any]]
    output: Mapping[str, Any]


def may_try(access: Access, action: Action) -> bool:
    """Whoever may change the template: admins, and the teams that own it."""
    if action.template is None:
        return False
    return access.standing.is_admin or bool(access.standing.teams & set(action.template.team))


def tried(asked: Asked, drawn: ActionForm, *, principal: Principal) -> Trial:
    """Run the template with what the form, which is valid, was filled in with.

    Raises InvalidInput for a descriptor that is no template, or secrets that are missing.
    """
    template = asked.action.template
    if template is None:
        raise ValueError("Only templates can be tried out")
    checked = check(
        drawn.definition,
        drawn.values,
        drawn.context,
        principal=principal,
        secrets=drawn.secrets,
    )
    done = dry_run(
        document_of(template),
        {name: value for name, value in checked.values.items() if name not in drawn.secrets},
        checked.secrets,
        {},
        principal=principal,
        entity=template,
    )
    return _trial(done)


def _trial(done: DryRun) -> Trial:
    files = _files(done)
    return Trial(
        error=str(done.error) if done.error else "",
        files=files,
        tree=_tree(files),
        more=len(done.files) - len(files),
        total_bytes=sum(len(one.content) for one in done.files),
        steps=steps_of(done.steps, is_open=False),
        log=[
            {**line, "message": plain(str(line["message"])), "tone": LEVELS[line["level"]]}
            for line in done.log
        ],
        output=done.output,
    )


def _files(done: DryRun) -> list[File]:
    left = MAX_SHOWN
    files = []
    for number, one in enumerate(done.files[:MAX_FILES]):
        lines, cut = _lines(one.content, min(left, MAX_OF_FILE))
        left -= min(len(one.content), MAX_OF_FILE) if lines is not None else 0
        files.append(File(number, one.path, len(one.content), one.is_executable, lines, cut))
    return files


def _lines(content: bytes, limit: int) -> tuple[list[str] | None, str]:
    if text_of(content) is None:
        return None, "No text"
    shown = content[: max(limit, 0)]
    lines = shown.decode(errors="ignore").splitlines()
    return lines, "" if len(shown) == len(content) else "The rest is not shown: there is too much"


def _tree(files: Sequence[File]) -> Folder:
    root = Folder("")
    for one in sorted(files, key=lambda file: file.path.lower()):
        folder = root
        for name in one.path.split("/")[:-1]:
            folder = folder.folders.setdefault(name, Folder(name))
        folder.files.append(one)
    return root
