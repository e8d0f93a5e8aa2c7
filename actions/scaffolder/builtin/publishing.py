"""`publish:file`: the tree as a download."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.scaffolder.registry import (
    TEXT,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    outputs,
    titled,
)
from actions.scaffolder.runner import archive_name
from actions.scaffolder.workspace import clean_path
from catalog.kernel.errors import InvalidInput


def _file(context: ActionContext) -> Mapping[str, Any]:
    folder = context.workspace.folder(context.input.get("sourcePath") or ".")
    name = context.input.get("name") or archive_name(context.template)
    if clean_path(name) != name or "/" in name or not name.endswith(".zip"):
        raise InvalidInput.of("name", name, "the name of a file that ends in .zip")
    context.log(f"Keeping {folder or 'the workspace'} as {name}")
    return {"remoteUrl": context.keep(name, folder), "name": name}


ACTIONS = (
    TemplateAction(
        id="publish:file",
        description="Keeps a folder of the workspace as an archive that can be downloaded.",
        input=inputs(
            (),
            sourcePath=titled(TEXT, "Folder", "Of the workspace; all of it where nothing is said."),
            name=titled(TEXT, "Name", "Of the archive; the template's where nothing is said."),
        ),
        output=outputs(remoteUrl=titled(TEXT, "Address of the archive"), name=titled(TEXT, "Name")),
        run=_file,
        examples=(
            Example(
                "Give the files as a download",
                "steps:\n  - id: publish\n    action: publish:file\n",
            ),
        ),
        supports_dry_run=True,
    ),
)
