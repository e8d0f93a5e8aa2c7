"""`kind: Location`: the further files that a catalogue file names, and the entity that stands for
a location of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.dialects.backstage.problems import Path as Steps
from catalog.dialects.backstage.problems import Problem, describe, dotted
from catalog.dialects.backstage.reader import (
    FILE,
    URL,
    FileRefused,
    Reader,
    ReadingNotAllowed,
    is_file,
)
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE
from catalog.models import Location

MAX_TARGETS = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """A place that a Location leads to, perhaps a pattern, as it stands at `path` of its document.
    written: how the author wrote it."""

    place: str
    is_optional: bool
    path: Steps
    written: str

    @property
    def field(self) -> str:
        return dotted(self.path)

    def problem(self, error: FileRefused) -> Problem:
        """What is wrong with a target, as one says it to its author."""
        if isinstance(error, ReadingNotAllowed):
            message = f"{self.written} was not read: {error.message}"
            return Problem(
                self.path, message, "the path of a file", describe(self.written), error.hint
            )
        message = f"{self.field}: {self.written}: {error.message}"
        return Problem(self.path, message, "a file", describe(self.written), error.hint)


@dataclass(slots=True)
class Targets:
    """found: in the order of the document. problems: those that can be no target at all."""

    found: list[Target] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def find_targets(
    entity: Mapping[str, Any], *, base: str, reader: Reader, is_strict: bool = False
) -> Targets:
    """The places that a valid Location in the file at `base` names; whether something is there
    shows when they are expanded and read.

    is_strict: refuse types that Backstage refuses, even where the target itself tells what is
    meant. `presence: optional` allows a target to be missing.
    """
    spec = entity.get("spec", {})
    targets = Targets()
    is_optional = spec.get("presence") == "optional"
    own = FILE if is_file(base) else URL
    type = spec.get("type") or own
    for count, (path, written) in enumerate(_written(spec)):
        if count >= MAX_TARGETS:
            message = f"the Location names more than {MAX_TARGETS:,} targets"
            targets.problems.append(Problem(("spec", "targets"), message))
            break
        target = Target("", is_optional, path, written)
        try:
            if type not in (own, URL) and (is_strict or type == FILE):
                raise FileRefused(
                    f"the type {describe(type)} may not be named from {own}",
                    hint=f"Write type: {own}, or leave the type away.",
                )
            place = reader.resolve(base, written, type=type)
            targets.found.append(Target(place, is_optional, path, written))
        except FileRefused as error:
            targets.problems.append(target.problem(error))
    return targets


def _written(spec: Mapping[str, Any]) -> Iterator[tuple[Steps, str]]:
    if spec.get("target"):
        yield ("spec", "target"), spec["target"]
    for index, target in enumerate(spec.get("targets", ())):
        yield ("spec", "targets", index), target


def location_entity(location: Location) -> dict[str, Any]:
    """The document of the Location entity made for a location, without annotations."""
    spec = {"type": location.type, "target": location.target}
    if location.presence != Location.Presence.REQUIRED:
        spec["presence"] = location.presence
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {
            "name": location.entity_ref.rpartition("/")[2],
            "namespace": DEFAULT_NAMESPACE,
        },
        "spec": spec,
    }
