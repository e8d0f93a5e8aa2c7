"""What an action or a software template asks of people: read, worked out, checked.

`definition_of` compiles the questions once; `resolve` says how the form looks for some answers;
`check` decides whether a run may start with them. The drawn form shows what these say and decides
nothing itself.
"""

from actions.inputs.checking import Checked, check
from actions.inputs.compiled import definition_of
from actions.inputs.context import FormContext, form_context
from actions.inputs.definition import (
    MASK,
    Definition,
    Field,
    Heading,
    Jq,
    Pick,
    Step,
)
from actions.inputs.definition_check import check_user_inputs, warnings_of
from actions.inputs.parameters import definition_of_parameters
from actions.inputs.picks import expanded
from actions.inputs.resolving import Resolved, ResolvedField, resolve
from actions.inputs.user_inputs import definition_of_user_inputs

__all__ = [
    "MASK",
    "Checked",
    "Definition",
    "Field",
    "FormContext",
    "Heading",
    "Jq",
    "Pick",
    "Resolved",
    "ResolvedField",
    "Step",
    "check",
    "check_user_inputs",
    "definition_of",
    "definition_of_parameters",
    "definition_of_user_inputs",
    "expanded",
    "form_context",
    "resolve",
    "warnings_of",
]
