"""Trying a template out: its steps run in a scratch folder, and change nothing outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from actions.scaffolder.finding import user_of
from actions.scaffolder.origin import ClosedOrigin, GivenOrigin, Origin, PlacedOrigin
from actions.scaffolder.runner import Runner
from actions.scaffolder.task import Task
from actions.scaffolder.template import read_template
from actions.scaffolder.workspace import Caps, Workspace, opened_workspace
from catalog.kernel.actors import Principal
from catalog.kernel.errors import IdpError
from catalog.models import Entity
from catalog.services.permissions import actor_of, can_administer

# Somebody waits for the answer, and it goes through memory.
CAPS: Final = Caps(files=2_000, total_bytes=50 * 1024 * 1024)
WALL_CLOCK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class DryRunFile:
    path: str
    is_executable: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class DryRun:
    """log: {"message", "level", "stepId"?, "status"?} in order. steps: as `Run.steps`. error: why
    it failed, None where it went well; files and log are there all the same."""

    log: Sequence[Mapping[str, Any]]
    files: Sequence[DryRunFile]
    output: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    error: IdpError | None = None


def dry_run(
    document: Mapping[str, Any],
    values: Mapping[str, Any],
    secrets: Mapping[str, str],
    contents: Mapping[str, bytes],
    *,
    principal: Principal,
    entity: Entity | None = None,
) -> DryRun:
    """Run a template as it stands in `document`. Actions that would change something outside are
    left out, with outputs made up.

    contents: the files beside it, by their paths. entity: the template of the catalogue that it
    is, whose own files are used where no contents are given. Any other document is the caller's
    own, and fetches from addresses for admins alone: it is done with the tokens of the sources.
    Raises InvalidInput for a document that is no template, or secrets that are missing.
    """
    template = read_template(document)
    template.check_secrets(secrets)
    teller = _Teller()
    with ExitStack() as stack:
        is_its_own = entity is not None and not contents
        placed = (
            PlacedOrigin.of(document, entity.location) if is_its_own and entity else PlacedOrigin()
        )
        stack.enter_context(placed)
        beyond: Origin = placed if can_administer(principal) else ClosedOrigin()
        origin: Origin = placed if is_its_own else GivenOrigin(contents, beyond)
        workspace = stack.enter_context(opened_workspace(CAPS))
        task = Task(
            id="dry-run",
            template=template,
            parameters=values,
            secrets=secrets,
            user=user_of(getattr(principal, "email", "") or ""),
            actor=actor_of(principal),
            principal=principal,
            is_dry_run=True,
            wall_clock_s=WALL_CLOCK_S,
        )
        result = Runner(task, workspace=workspace, origin=origin, reporter=teller).run()
        files = [
            DryRunFile(
                file.path,
                file.is_executable,
                file.link.encode() if file.link else workspace.read(file.path),
            )
            for file in workspace.files()
        ]
    return DryRun(teller.lines, files, result.output, teller.records, result.error)


class _Teller:
    """Keeps what is told. See `Reporter`."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []

    def log(self, message: str, *, level: str, step: str, step_status: str) -> None:
        line = {"message": message, "level": level}
        if step:
            line["stepId"] = step
        if step_status:
            line["status"] = step_status
        self.lines.append(line)

    def steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self.records = [dict(one) for one in steps]

    def keep(self, workspace: Workspace, name: str, folder: str, hidden: Collection[str]) -> str:
        """The caller gets all files anyway."""
        return ""

    def is_cancelled(self) -> bool:
        return False
