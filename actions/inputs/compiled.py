"""Which definition an action has."""

from __future__ import annotations

from actions.inputs.definition import Definition
from actions.inputs.parameters import definition_of_parameters
from actions.inputs.user_inputs import definition_of_user_inputs
from actions.models import Action


def definition_of(action: Action) -> Definition:
    """What the form of `action` asks; compiled once for each content.

    For a software template it comes from the entity's own document: have `template` selected.
    """
    if action.template is not None:
        return definition_of_parameters((action.template.descriptor or {}).get("spec"))
    return definition_of_user_inputs(
        action.trigger.get("userInputs") or action.document.get("userInputs")
    )
