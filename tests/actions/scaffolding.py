"""Templates for tests, and a way to run their steps without a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions.scaffolder.origin import GivenOrigin, Origin, PlacedOrigin
from actions.scaffolder.runner import Runner
from actions.scaffolder.task import Result, Task
from actions.scaffolder.template import read_template
from actions.scaffolder.workspace import Caps, Workspace
from catalog.kernel.actors import Actor, Insider


def template(*steps: Mapping[str, Any], name: str = "new-service", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "kind": "Template",
        "metadata": {"name": name, "title": "New service", "description": "A service"},
        "spec": {"type": "service", "owner": "team-a", "steps": list(steps), **spec},
    }


def step(action: str, /, id: str = "", **parts: Any) -> dict[str, Any]:
    """A step; what is not `id`, `name`, `if` (as `when`) or `each` is its input."""
    found: dict[str, Any] = {"action": action}
    if id:
        found["id"] = id
    for key, name in (("name", "name"), ("when", "if"), ("each", "each")):
        if key in parts:
            found[name] = parts.pop(key)
    return {**found, "input": parts}


@dataclass
class Teller:
    """Keeps what a run says. cancels_after: it is cancelled once it has been asked that often."""

    lines: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    cancels_after: int = 1_000_000

    def log(self, message, *, level, step, step_status):
        self.lines.append(message)

    def steps(self, steps):
        self.states = {one["id"]: one["status"] for one in steps}

    def keep(self, workspace, name, folder, hidden):
        self.kept[name] = [file.path for file in workspace.files(folder)]
        return f"https://idp.example/{name}"

    def is_cancelled(self):
        self.cancels_after -= 1
        return self.cancels_after < 0


@dataclass
class Ran:
    result: Result
    said: Teller
    files: dict[str, str]
    modes: dict[str, bool]

    @property
    def error(self) -> str:
        return str(self.result.error or "")


def run(
    folder: Path,
    document: Mapping[str, Any],
    contents: Mapping[str, str | bytes] | None = None,
    *,
    secrets: Mapping[str, str] | None = None,
    teller: Teller | None = None,
    caps: Caps | None = None,
    origin: Origin | None = None,
    **parameters: Any,
) -> Ran:
    """Run a template whose files are `contents`, or come from `origin`, in a folder."""
    teller = teller or Teller()
    root = folder / "workspace"
    root.mkdir()
    workspace = Workspace(root, caps)
    given = {
        path: text.encode() if isinstance(text, str) else text
        for path, text in (contents or {}).items()
    }
    with PlacedOrigin() as beyond:
        runner = Runner(
            Task(
                id="r_1",
                template=read_template(document),
                parameters=parameters,
                secrets=secrets or {},
                user={"ref": "user:default/ann"},
                actor=Actor("user", "ann@example.com"),
                principal=Insider(),
                wall_clock_s=20,
            ),
            workspace=workspace,
            origin=origin or GivenOrigin(given, beyond),
            reporter=teller,
        )
        result = runner.run()
    found = workspace.files()
    return Ran(
        result,
        teller,
        {one.path: one.link or workspace.read(one.path).decode(errors="replace") for one in found},
        {one.path: one.is_executable for one in found},
    )
