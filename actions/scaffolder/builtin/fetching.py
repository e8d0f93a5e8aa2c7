"""`fetch:*`: files from beside the template, or from behind an address, into the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actions.scaffolder.expressions import UNDEFINED, Environment
from actions.scaffolder.origin import Skeleton, SkeletonFile
from actions.scaffolder.registry import (
    FLAG,
    OBJECT,
    TEXT,
    TEXTS,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    titled,
)
from actions.scaffolder.rendering import (
    NJK,
    Rules,
    Tally,
    copy_skeleton,
    patterns,
    render_skeleton,
    rendered_text,
)
from actions.scaffolder.templating import environment
from actions.scaffolder.workspace import clean_path
from catalog.kernel.errors import InvalidInput, InvalidRequest
from catalog.kernel.json_text import parse_json

_COOKIECUTTER_FILE: Final = "cookiecutter.json"
_HOOKS: Final = "hooks/"


def _plain(context: ActionContext) -> None:
    context.log(f"Fetching plain content from remote URL {context.input['url']}")
    skeleton = _skeleton(context)
    count = copy_skeleton(skeleton, context.workspace, _target(context), check_in=context.check_in)
    context.log(f"Copied {count} files")


def _plain_file(context: ActionContext) -> None:
    context.log(f"Fetching plain file content from remote URL {context.input['url']}")
    found = context.origin.file(context.input["url"])
    context.workspace.write(
        context.input["targetPath"], found.read(), is_executable=found.is_executable
    )


def _template(context: ActionContext) -> None:
    context.log(f"Fetching template content from remote URL {context.input['url']}")
    given = context.input
    extension = given.get("templateFileExtension") or ""
    copied, kept = given.get("copyWithoutTemplating"), given.get("copyWithoutRender")
    if extension and (copied or kept or given.get("cookiecutterCompat")):
        raise InvalidInput(
            "templateFileExtension goes with neither copyWithoutTemplating nor cookiecutterCompat"
        )
    if copied and kept:
        raise InvalidInput("copyWithoutRender is the older name of copyWithoutTemplating: use one")
    if isinstance(extension, str) and extension and not extension.startswith("."):
        extension = f".{extension}"
    rules = Rules(
        environment=_environment(given),
        context=_values(given),
        copied=patterns(copied),
        kept=patterns(kept),
        extension=NJK if extension is True else extension,
        replaces=given.get("replace", False),
    )
    tally = render_skeleton(
        _skeleton(context),
        context.workspace,
        _target(context),
        rules,
        check_in=context.check_in,
    )
    _tell(context, tally)


def _template_file(context: ActionContext) -> None:
    given = context.input
    context.log(f"Fetching template file content from remote URL {given['url']}")
    target = clean_path(given["targetPath"])
    if context.workspace.exists(target) and not given.get("replace"):
        context.log(f"{target} is there already and stays as it is")
        return
    found = context.origin.file(given["url"])
    rules = Rules(_environment(given), _values(given))
    content = rendered_text(found.read(), target, rules)
    context.workspace.write(target, content, is_executable=found.is_executable)


def _cookiecutter(context: ActionContext) -> None:
    given = context.input
    context.log(f"Fetching and then templating using cookiecutter from {given['url']}")
    skeleton = _skeleton(context)
    settings = _cookiecutter_settings(skeleton)
    own = [one for one in skeleton.files if not _is_cookiecutters(one)]
    if any(one.path.startswith(_HOOKS) for one in skeleton.files):
        context.log("The hooks of the template are not run", level="WARNING")
    engine = environment(is_cookiecutter=True)
    rules = Rules(
        environment=engine,
        context={"cookiecutter": _cookiecutter_values(settings, given.get("values"), engine)},
        copied=patterns(settings.get("_copy_without_render"), given.get("copyWithoutRender")),
        replaces=True,
    )
    tally = render_skeleton(
        Skeleton(own),
        context.workspace,
        _target(context),
        rules,
        check_in=context.check_in,
    )
    _tell(context, tally)


def _is_cookiecutters(file: SkeletonFile) -> bool:
    return file.path == _COOKIECUTTER_FILE or file.path.startswith(_HOOKS)


def _cookiecutter_settings(skeleton: Skeleton) -> Mapping[str, Any]:
    found = next((one for one in skeleton.files if one.path == _COOKIECUTTER_FILE), None)
    if found is None:
        return {}
    try:
        settings = parse_json(found.read())
    except InvalidRequest as error:
        raise InvalidInput(f"{_COOKIECUTTER_FILE}: {error.message}") from error
    if not isinstance(settings, Mapping):
        raise InvalidInput.of(_COOKIECUTTER_FILE, settings, "a map")
    return settings


def _cookiecutter_values(
    settings: Mapping[str, Any], given: Mapping[str, Any] | None, engine: Environment
) -> dict[str, Any]:
    """What was given, before the defaults, each of which may use those above it."""
    values: dict[str, Any] = {}
    for name, default in settings.items():
        if name.startswith("_"):
            continue
        chosen = default[0] if isinstance(default, list) and default else default
        problems: list[str] = []
        context = {"cookiecutter": {**values, **(given or {})}}
        found = engine.render_value(chosen, context, problems)
        if problems:
            raise InvalidInput(f"{_COOKIECUTTER_FILE}: {name}: {problems[0]}")
        values[name] = "" if found is UNDEFINED else found
    return {**values, **(given or {})}


def _environment(given: Mapping[str, Any]) -> Environment:
    return environment(
        is_cookiecutter=given.get("cookiecutterCompat", False),
        trim_blocks=given.get("trimBlocks", False),
        lstrip_blocks=given.get("lstripBlocks", False),
    )


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    name = "cookiecutter" if given.get("cookiecutterCompat") else "values"
    return {name: given.get("values") or {}}


def _target(context: ActionContext) -> str:
    return clean_path(context.input.get("targetPath") or ".")


def _skeleton(context: ActionContext) -> Skeleton:
    found = context.origin.folder(context.input["url"])
    for path, why in found.refused.items():
        context.log(f"{path} was left out: {why}", level="WARNING")
    return found


def _tell(context: ActionContext, tally: Tally) -> None:
    said = [f"Rendered {tally.rendered} files", f"copied {tally.copied}"]
    if tally.kept:
        said.append(f"kept {tally.kept} that were there")
    if tally.left_out:
        said.append(f"left out {tally.left_out} whose path came out empty")
    context.log(", ".join(said))


_URL = titled(TEXT, "Address", "Relative to the template, or the address of a folder.")
_FILE_URL = titled(TEXT, "Address", "Relative to the template, or the address of a file.")
_FOLDER = titled(TEXT, "Folder", "Of the workspace; its root where nothing is said.")
_FILE = titled(TEXT, "Path", "Of the file in the workspace.")
_TOKEN = titled(
    {"type": ["string", "boolean", "null"]},
    "Token",
    "Ignored: the sources of the catalogue bring their own.",
)
_VALUES = titled(OBJECT, "Values", "What the files may use.")
_STYLE = {
    "values": _VALUES,
    "cookiecutterCompat": titled(FLAG, "Write {{ cookiecutter.x }} for ${{ values.x }}"),
    "replace": titled(FLAG, "Replace files that are there"),
    "trimBlocks": titled(FLAG, "Drop the line end behind a block"),
    "lstripBlocks": titled(FLAG, "Drop the blanks before a block"),
    "token": _TOKEN,
}

ACTIONS = (
    TemplateAction(
        id="fetch:plain",
        description="Copies a folder into the workspace.",
        input=inputs(("url",), url=_URL, targetPath=_FOLDER, token=_TOKEN),
        run=_plain,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="fetch:plain:file",
        description="Copies one file into the workspace.",
        input=inputs(("url", "targetPath"), url=_FILE_URL, targetPath=_FILE, token=_TOKEN),
        run=_plain_file,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="fetch:template",
        description="Copies a folder into the workspace, its names and contents rendered.",
        input=inputs(
            ("url",),
            url=_URL,
            targetPath=_FOLDER,
            copyWithoutTemplating=titled(TEXTS, "Copied without rendering", "Patterns of paths."),
            copyWithoutRender=titled(
                TEXTS, "Copied with their names as they are", "The older name."
            ),
            templateFileExtension=titled(
                {"type": ["boolean", "string"]}, f"Render only files that end in {NJK}"
            ),
            **_STYLE,
        ),
        run=_template,
        examples=(
            Example(
                "Render a skeleton",
                "steps:\n  - action: fetch:template\n    input:\n      url: ./skeleton\n"
                "      values:\n        name: ${{ parameters.name }}\n",
            ),
        ),
        supports_dry_run=True,
    ),
    TemplateAction(
        id="fetch:template:file",
        description="Copies one file into the workspace, its content rendered.",
        input=inputs(("url", "targetPath"), url=_FILE_URL, targetPath=_FILE, **_STYLE),
        run=_template_file,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="fetch:cookiecutter",
        description="Renders a folder in the syntax of cookiecutter; its hooks are never run.",
        input=inputs(
            ("url",),
            url=_URL,
            targetPath=_FOLDER,
            values=_VALUES,
            copyWithoutRender=titled(TEXTS, "Copied without rendering", "Patterns of paths."),
            extensions=titled(TEXTS, "Without effect", "Extensions of Jinja are not loaded."),
            imageName=titled(TEXT, "Without effect", "Nothing is run in a container."),
            token=_TOKEN,
        ),
        run=_cookiecutter,
        supports_dry_run=True,
    ),
)
