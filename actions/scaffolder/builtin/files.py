"""Actions on files of the workspace: Backstage's `fs:*`, and the common ones of Roadie's."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from actions.scaffolder.registry import (
    FLAG,
    TEXT,
    TEXTS,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    outputs,
    titled,
)
from actions.scaffolder.workspace import Patterns, clean_path
from catalog.ingest.sources.repository_files import is_pattern
from catalog.kernel.errors import InvalidInput, InvalidRequest
from catalog.kernel.json_text import parse_json
from catalog.kernel.yaml_writer import write_yaml

_ANY: Mapping[str, Any] = {}


def _delete(context: ActionContext) -> None:
    for one in context.input["files"]:
        if is_pattern(one):
            wanted = Patterns([clean_path(one)])
            gone = [file.path for file in context.workspace.files() if wanted.match(file.path)]
        else:
            gone = [one] if context.workspace.exists(one) else []
        if not gone:
            context.log(f"There is no {clean_path(one)} to delete", level="WARNING")
        for path in gone:
            context.workspace.delete(path)
            context.log(f"File {path} deleted successfully")


def _rename(context: ActionContext) -> None:
    for number, one in enumerate(context.input["files"]):
        source, target = clean_path(one["from"]), clean_path(one["to"])
        if not source or not target:
            raise InvalidInput.of(f"files.{number}", one, "paths of files or folders")
        context.workspace.rename(source, target, overwrite=one.get("overwrite", False))
        context.log(f"File {source} renamed to {target} successfully")


def _readdir(context: ActionContext) -> Mapping[str, Any]:
    is_deep = context.input.get("recursive", False)
    files, folders = [], []
    for one in context.input["paths"]:
        folder = context.workspace.folder(one)

        def is_shown(path: str, folder: str = folder) -> bool:
            return is_deep or posixpath.dirname(path) == folder

        files += [
            _entry(file.path) for file in context.workspace.files(folder) if is_shown(file.path)
        ]
        folders += [_entry(path) for path in context.workspace.folders(folder) if is_shown(path)]
    return {"files": files, "folders": folders}


def _entry(path: str) -> dict[str, str]:
    return {
        "name": posixpath.basename(path),
        "path": path,
        "fullPath": path,
        "extension": posixpath.splitext(path)[1],
    }


def _write(context: ActionContext) -> Mapping[str, Any]:
    path, text = clean_path(context.input["path"]), _as_text(context.input["content"])
    if not context.input.get("preserveFormatting"):
        with suppress(InvalidRequest):  # it is no JSON
            text = _indented(parse_json(text.encode()))
    context.workspace.write(path, text.encode())
    return {"path": path}


def _append(context: ActionContext) -> Mapping[str, Any]:
    path = clean_path(context.input["path"])
    before = context.workspace.read(path) if context.workspace.exists(path) else b""
    context.workspace.write(path, before + _as_text(context.input["content"]).encode())
    return {"path": path}


def _as_json(context: ActionContext) -> Mapping[str, Any]:
    return {"serialized": _indented(context.input["data"])}


def _as_yaml(context: ActionContext) -> Mapping[str, Any]:
    return {"serialized": write_yaml(context.input["data"])}


def _indented(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


_PATH = titled(TEXT, "Path", "Relative to the workspace.")
_CONTENT = titled(_ANY, "Content", "Text; anything else is written as JSON.")
_SERIALIZED = outputs(serialized=titled(TEXT, "The text"))
_WRITTEN = outputs(path=titled(TEXT, "Path of the file"))

ACTIONS = (
    TemplateAction(
        id="fs:delete",
        description="Deletes files and folders of the workspace.",
        input=inputs(
            ("files",), files=titled(TEXTS, "Files", "Paths or patterns; a folder goes as a whole.")
        ),
        run=_delete,
        examples=(
            Example(
                "Delete all Markdown files",
                "steps:\n  - action: fs:delete\n    input:\n      files: ['**/*.md']\n",
            ),
        ),
        supports_dry_run=True,
    ),
    TemplateAction(
        id="fs:rename",
        description="Moves files and folders within the workspace.",
        input=inputs(
            ("files",),
            files={
                "type": "array",
                "title": "Files",
                "items": inputs(
                    ("from", "to"),
                    **{
                        "from": titled(TEXT, "From"),
                        "to": titled(TEXT, "To"),
                        "overwrite": titled(FLAG, "Replace what is there"),
                    },
                ),
            },
        ),
        run=_rename,
        examples=(
            Example(
                "Move a file",
                "steps:\n  - action: fs:rename\n    input:\n      files:\n"
                "        - from: template.md\n          to: docs/index.md\n",
            ),
        ),
        supports_dry_run=True,
    ),
    TemplateAction(
        id="fs:readdir",
        description="Lists files and folders of the workspace.",
        input=inputs(
            ("paths",),
            paths=titled(TEXTS, "Folders"),
            recursive=titled(FLAG, "Folders within, too"),
        ),
        output=outputs(
            files=titled({"type": "array"}, "Files"),
            folders=titled({"type": "array"}, "Folders"),
        ),
        run=_readdir,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="roadiehq:utils:fs:write",
        description="Writes a file of the workspace.",
        input=inputs(
            ("path", "content"),
            path=_PATH,
            content=_CONTENT,
            preserveFormatting=titled(FLAG, "Keep the text as it is"),
        ),
        output=_WRITTEN,
        run=_write,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="roadiehq:utils:fs:append",
        description="Adds text to the end of a file, which is made where there is none.",
        input=inputs(("path", "content"), path=_PATH, content=_CONTENT),
        output=_WRITTEN,
        run=_append,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="roadiehq:utils:serialize:json",
        description="Makes JSON text of a value.",
        input=inputs(("data",), data=titled(_ANY, "Data"), replacer=_ANY, space=_ANY),
        output=_SERIALIZED,
        run=_as_json,
        supports_dry_run=True,
    ),
    TemplateAction(
        id="roadiehq:utils:serialize:yaml",
        description="Makes YAML text of a value.",
        input=inputs(("data",), data=titled(_ANY, "Data"), replacer=_ANY, options=_ANY),
        output=_SERIALIZED,
        run=_as_yaml,
        supports_dry_run=True,
    ),
)
