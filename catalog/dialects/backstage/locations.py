"""`kind: Location`: the further files that a catalogue file names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.dialects.backstage.files import FileMissing, FileRefused, Workspace, expand, is_glob
from catalog.dialects.backstage.problems import Path as Steps
from catalog.dialects.backstage.problems import Problem, describe, dotted

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)


@dataclass(slots=True)
class Targets:
    """files: real paths, in order. problems: targets that should be there and are not.
    warnings: targets that are left alone."""

    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def find_targets(entity: Mapping[str, Any], *, file: Path, workspace: Workspace) -> Targets:
    """The files that a valid Location in `file` names.

    A path is relative to the file; one that begins with "/" may also be relative to a root of the
    workspace, as it is in a repository. A target that is a URL is not read, whatever the type:
    nothing here uses the network. A relative target of type `url` is read as a file, since beside
    its Location it is one. `presence: optional` allows a target to be missing.
    """
    spec = entity.get("spec", {})
    found = Targets()
    is_optional = spec.get("presence") == "optional"
    for path, target in _targets(spec):
        if _URL.match(target):
            found.warnings.append(
                Problem(
                    path,
                    f"{target} was not read: this import reads files, not addresses",
                    "the path of a file",
                    describe(target),
                    "Clone that repository and import its folder.",
                )
            )
            continue
        try:
            found.files.extend(_files(target, file, workspace))
        except FileRefused as error:
            if not (is_optional and isinstance(error, FileMissing)):
                found.problems.append(_problem(path, target, error))
    return found


def _targets(spec: Mapping[str, Any]) -> Iterator[tuple[Steps, str]]:
    if spec.get("target"):
        yield ("spec", "target"), spec["target"]
    for index, target in enumerate(spec.get("targets", ())):
        yield ("spec", "targets", index), target


def _files(target: str, file: Path, workspace: Workspace) -> list[Path]:
    if target.endswith(("/", "\\")):
        raise FileRefused("a target must be a file, not a folder", hint="Write ./folder/*.yaml.")
    places = [(file.parent, target)]
    if target.startswith("/"):
        places = [*((root, target.lstrip("/")) for root in workspace.roots), (Path("/"), target)]
    for folder, relative in places:
        if (folder / relative).is_file():
            return [workspace.real(folder / relative)]
    if not is_glob(target):
        return [workspace.real(places[0][0] / places[0][1])]  # says why it is not a file
    for folder, relative in places:
        if not relative.startswith("/") and (matches := expand(relative, folder)):
            return [workspace.real(match) for match in matches]
    raise FileMissing("the pattern names no file")


def _problem(path: Steps, target: str, error: FileRefused) -> Problem:
    message = f"{dotted(path)}: {target}: {error.message}"
    return Problem(path, message, "a file", describe(target), error.hint)
