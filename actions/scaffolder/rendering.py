"""A skeleton becomes files of the workspace: names and contents rendered, the rest copied."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actions.scaffolder.expressions import Environment, TemplateError
from actions.scaffolder.origin import Skeleton, SkeletonFile
from actions.scaffolder.workspace import PathRefused, Patterns, Workspace, clean_path
from catalog.kernel.errors import InvalidInput, shorten

NJK: Final = ".njk"
_LOOKED_AT: Final = 8000  # bytes in which a binary file shows a NUL


@dataclass(frozen=True, slots=True)
class Rules:
    """How a skeleton is rendered. context: what expressions see. copied: files that are not
    rendered, though their paths are. kept: files of which neither is. extension: only files with
    it are rendered, and lose it; "" is all of them. replaces: whether it may take the place of
    files that are there.
    """

    environment: Environment
    context: Mapping[str, Any]
    copied: Patterns = field(default_factory=lambda: Patterns(()))
    kept: Patterns = field(default_factory=lambda: Patterns(()))
    extension: str = ""
    replaces: bool = False


@dataclass(slots=True)
class Tally:
    """What came of a skeleton's files, by number."""

    rendered: int = 0
    copied: int = 0
    kept: int = 0  # because there was one already
    left_out: int = 0  # because a part of its path came out empty


def render_skeleton(
    skeleton: Skeleton,
    workspace: Workspace,
    target: str,
    rules: Rules,
    *,
    check_in: Callable[[], None],
) -> Tally:
    """Write a skeleton into a folder of the workspace. Raises InvalidInput naming the file."""
    tally = Tally()
    for file in skeleton.files:
        check_in()
        _render_file(file, workspace, target, rules, tally)
    return tally


def copy_skeleton(
    skeleton: Skeleton, workspace: Workspace, target: str, *, check_in: Callable[[], None]
) -> int:
    """Write a skeleton as it is, over what is there; returns how many files it has."""
    for file in skeleton.files:
        check_in()
        _put(file, workspace, posixpath.join(target, file.path), None)
    return len(skeleton.files)


def rendered_text(content: bytes, name: str, rules: Rules) -> bytes:
    """The content of a file, rendered; a binary one as it is. Raises InvalidInput naming it."""
    text = text_of(content)
    return content if text is None else _rendered(text, name, rules).encode()


def text_of(content: bytes) -> str | None:
    """The text of a file; None for a binary one."""
    if b"\0" in content[:_LOOKED_AT]:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def patterns(*lists: Iterable[str] | None) -> Patterns:
    return Patterns([one for given in lists for one in given or ()])


def _render_file(
    file: SkeletonFile, workspace: Workspace, target: str, rules: Rules, tally: Tally
) -> None:
    path = file.path
    is_kept = rules.kept.match(path)
    is_rendered = not is_kept and not rules.copied.match(path)
    if rules.extension:
        is_rendered = posixpath.splitext(path)[1] == rules.extension
        path = path.removesuffix(rules.extension) if is_rendered else path
    if not is_kept:
        path = _rendered(path, f"the path {file.path}", rules)
    if path.startswith("/") or "//" in path or not path.strip("/"):
        tally.left_out += 1
        return
    inside = clean_path(path)  # not out of the target, either
    if not inside:
        raise PathRefused(f"The path {shorten(file.path, 200)} came out as {path!r}")
    place = posixpath.join(target, inside)
    if not rules.replaces and workspace.exists(place):
        tally.kept += 1
        return
    content = None
    if is_rendered and not file.link:
        content = file.read()
        text = text_of(content)
        if text is not None:
            content = _rendered(text, file.path, rules).encode()
            tally.rendered += 1
        else:
            tally.copied += 1
    else:
        tally.copied += 1
    _put(file, workspace, place, content)


def _put(file: SkeletonFile, workspace: Workspace, place: str, content: bytes | None) -> None:
    if file.link:
        workspace.link(place, file.link)
    else:
        workspace.write(
            place, file.read() if content is None else content, is_executable=file.is_executable
        )


def _rendered(text: str, name: str, rules: Rules) -> str:
    try:
        return rules.environment.render_text(text, rules.context)
    except TemplateError as error:
        raise InvalidInput(
            f"{shorten(name, 200)}: {error.message}", details={**error.details, "field": name}
        ) from error
