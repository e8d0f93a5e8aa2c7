"""The actions that steps of templates name: those of this app, and those that plugins register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actions.scaffolder.origin import Origin
from actions.scaffolder.workspace import Workspace
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.kernel.schema import compile_schema


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What one call of an action works with.

    input: rendered and checked. origin: reads addresses, relative to the template. log: adds a
    line (message, level). check_in: between parts of long work; raises when the run was cancelled
    or its time is over. keep: keeps an archive of a folder of the workspace (name, folder) with the
    run; returns its address. template: the reference of the template. actor, principal: in whose
    name it works.
    """

    input: Mapping[str, Any]
    workspace: Workspace
    origin: Origin
    log: Callable[..., None]
    check_in: Callable[[], None]
    keep: Callable[..., str]
    run: str
    template: str
    actor: Actor
    principal: Principal
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A step (or several) in YAML that shows what an action is for."""

    description: str
    example: str


@dataclass(frozen=True, slots=True)
class TemplateAction:
    """An action. input, output: JSON Schemas of objects; keys of the input that its schema does not
    name are refused. supports_dry_run: it changes nothing outside the workspace, or knows to leave
    that in a dry run; any other is never begun twice in one run.
    """

    id: str
    description: str
    input: Mapping[str, Any]
    run: Callable[[ActionContext], Mapping[str, Any] | None]
    output: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    supports_dry_run: bool = False

    def check(self, given: Mapping[str, Any], name: str) -> None:
        """Raises InvalidInput naming each key that is wrong. name: of the call, for the words."""
        problems = compile_schema(self.input).problems(dict(given))
        if problems:
            said = "; ".join(
                f"{one.path}: {one.message}" if one.path else one.message for one in problems
            )
            raise InvalidInput(
                f"Invalid input passed to action {name}, {said}",
                details={"problems": [one.as_dict() for one in problems]},
            )


template_actions: dict[str, TemplateAction] = {}


def register_template_action(action: TemplateAction) -> None:
    """Let templates use an action. Raises ValueError when its id is taken."""
    if action.id in template_actions:
        raise ValueError(f"A template action is already called {action.id!r}")
    template_actions[action.id] = action


def get_template_action(name: str) -> TemplateAction:
    """Raises NotFound."""
    found = template_actions.get(name)
    if found is None:
        raise NotFound(
            f"Template action with ID '{name}' is not registered",
            hint="A plugin may bring it; see /api/scaffolder/v2/actions for what there is.",
            details={"resource": "Template action", "value": name},
        )
    return found


def inputs(required: tuple[str, ...] = (), /, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an input that holds these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def outputs(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT: Mapping[str, Any] = {"type": "string"}
FLAG: Mapping[str, Any] = {"type": "boolean"}
TEXTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}
OBJECT: Mapping[str, Any] = {"type": "object"}


def titled(schema: Mapping[str, Any], title: str, description: str = "") -> dict[str, Any]:
    """A schema with the words of a form."""
    described = {"description": description} if description else {}
    return {**schema, "title": title, **described}
