"""The form as it is for some answers: what is seen, needed, offered and filled in by itself.

Answers are what people gave: a name that is not among them still follows its default, however that
changes with the others; null is a field that was emptied on purpose. (The drawn form sends along
what it showed as default, and takes a field that comes back like that as not answered.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actions.inputs.context import FormContext
from actions.inputs.definition import MASK, Definition, Field, Jq, Step
from actions.inputs.patterns import is_pattern
from actions.inputs.picks import (
    Documents,
    documents_of,
    identifiers_in,
    is_entity,
    picked,
    ready_dataset,
    with_documents,
)
from actions.inputs.user_inputs import LIMITS, filled, is_true, queries_in, read
from catalog.kernel import jq
from catalog.kernel.errors import shorten

MAX_ROUNDS: Final = 8  # defaults may follow defaults; a circle of them has no end
_FLAGS: Final = ("visible", "disabled", "readOnly")


@dataclass(frozen=True, slots=True)
class ResolvedField:
    """A question as it stands. field: without JQ; where JQ failed, its key is left as `Jq` or is
    as if nobody had written it. value: given, or the default; None for none. default: what it is
    when nobody answers. is_given: whether `value` is an answer. waits_for: inputs to be filled in
    first. dataset: rules that the search takes. errors: in words, what could not be worked out.
    """

    field: Field
    value: Any = None
    default: Any = None
    is_visible: bool = True
    is_required: bool = False
    is_disabled: bool = False
    is_given: bool = False
    waits_for: tuple[str, ...] = ()
    dataset: Mapping[str, Any] | None = None
    errors: tuple[str, ...] = ()

    @property
    def enum(self) -> Sequence[Any] | None:
        """What may be chosen from; None where that is free."""
        found = self.field.one.enum
        return None if isinstance(found, Jq) else found

    @property
    def is_failed(self) -> bool:
        """Whether nobody can say what may be chosen: then nothing may."""
        return isinstance(self.field.one.enum, Jq)

    @property
    def is_settled(self) -> bool:
        """Whether its value follows its default, whatever is given."""
        return self.is_disabled or not self.is_visible


@dataclass(frozen=True, slots=True)
class Resolved:
    """definition: without JQ. values: all that holds now, hidden defaults too, without nulls.
    steps: the visible ones, with the names of visible fields and headings only. problems: in words,
    what concerns the form as a whole. documents: of the entities that are picked.
    """

    definition: Definition
    fields: Mapping[str, ResolvedField]
    values: Mapping[str, Any]
    steps: tuple[Step, ...]
    problems: tuple[str, ...] = ()
    documents: Documents = field(default_factory=dict, compare=False, repr=False)


def resolve(definition: Definition, values: Mapping[str, Any], context: FormContext) -> Resolved:
    """The form for these answers. One JQ program for all of it, run again as long as defaults
    change what it sees; at most `MAX_ROUNDS` times. Never raises for what is in the answers.
    """
    sight = _Sight(definition, dict(values), context)
    form = sight.first_form()
    for _ in range(MAX_ROUNDS):
        resolved = sight.resolved(form)
        if resolved.values == form:
            break
        form = dict(resolved.values)
    return resolved


class _Sight:
    """One form with one set of answers, seen again and again as it fills itself in."""

    def __init__(self, definition: Definition, given: dict[str, Any], context: FormContext) -> None:
        self.definition, self.given, self.context = definition, given, context
        self.documents: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.looked_up: set[tuple[str, str]] = set()

    def first_form(self) -> dict[str, Any]:
        """As if everything were shown that JQ may hide: two that need each other stay."""
        form = dict(self.given)
        for name, one in self.definition.now(self.given).fields.items():
            if one.visible is False or one.disabled is True or name not in form:
                form[name] = None if isinstance(one.default, Jq) else one.default
        return {name: value for name, value in form.items() if value is not None}

    def resolved(self, form: Mapping[str, Any]) -> Resolved:
        definition = self.definition.now(form)
        self._look_up(picked(definition, form))
        if not definition.queries:
            return self._seen(definition, {}, form)
        answers, errors = self._answers(form)
        return self._seen(read(filled(definition.document, answers)), errors, form)

    def _look_up(self, names: set[tuple[str, str]]) -> None:
        if wanted := names - self.looked_up:
            self.documents |= documents_of(wanted, self.context.principal)
            self.looked_up |= wanted

    def _answers(self, form: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        secret = self.definition.secret_names
        shown = {name: MASK if name in secret else value for name, value in form.items()}
        item = {
            "form": with_documents(self.definition, shown, self.documents),
            "entity": self.context.entity,
            "user": self.context.user,
        }
        [outcome] = jq.run(jq.Program(fields=self.definition.queries), [item])
        if outcome.failure:
            return {}, dict.fromkeys(self.definition.queries, outcome.failure)
        errors = dict(outcome.errors)
        answers = {}
        for path, value in outcome.values.items():
            key = path.rpartition(".")[2]
            if path in errors:
                continue
            if wrong := _wrong_answer(key, value):
                errors[path] = wrong
            else:
                answers[path] = is_true(value) if key in _FLAGS else value
        return answers, errors

    def _seen(
        self, definition: Definition, errors: Mapping[str, str], form: Mapping[str, Any]
    ) -> Resolved:
        problems = [f"{path}: {message}" for path, message in errors.items() if _is_of_form(path)]
        steps = [one for one in definition.steps if one.visible is True]
        placed = {name for one in steps for name in one.names}
        required = definition.required
        if isinstance(required, Jq):
            required = ()
        elif wrong := [name for name in required if name not in definition.fields]:
            problems += [f"required: there is no input {shorten(name)}" for name in wrong]
        fields: dict[str, ResolvedField] = {}
        for name, one in definition.fields.items():
            fields[name] = self._field(
                one,
                form,
                is_visible=one.visible is True and name in placed,
                is_required=name in required,
                errors=_errors_of(name, errors),
            )
        others = self.given if definition.is_open else {}
        values = {
            **{name: value for name, value in others.items() if name not in fields},
            **{name: one.value for name, one in fields.items() if one.value is not None},
        }
        shown = {name for name, one in fields.items() if one.is_visible} | {
            name for name, one in definition.titles.items() if one.visible is True
        }
        return Resolved(
            definition=definition,
            fields=fields,
            values=values,
            steps=tuple(
                Step(one.title, one.description, tuple(n for n in one.names if n in shown))
                for one in steps
            ),
            problems=tuple(problems),
            documents=self.documents,
        )

    def _field(
        self,
        one: Field,
        form: Mapping[str, Any],
        *,
        is_visible: bool,
        is_required: bool,
        errors: list[str],
    ) -> ResolvedField:
        default = None if isinstance(one.default, Jq) else one.default
        if is_entity(one):  # JQ may well give the whole of it
            default = identifiers_in(default)
        is_disabled = one.disabled is True
        is_given = one.name in self.given and is_visible and not is_disabled
        dataset = one.one.dataset
        if dataset is not None:
            if _has_jq(dataset):
                dataset = None
            else:
                dataset, wrong = ready_dataset(dataset)
                errors += [wrong] if wrong else []
        return ResolvedField(
            field=one,
            value=_completed(one, self.given[one.name]) if is_given else default,
            default=default,
            is_visible=is_visible,
            is_required=is_required and is_visible and not is_disabled,
            is_disabled=is_disabled,
            is_given=is_given,
            waits_for=tuple(name for name in one.depends_on if is_empty(form.get(name))),
            dataset=dataset,
            errors=tuple(errors),
        )


def _completed(one: Field, value: Any) -> Any:
    """`value` with the defaults of what an object lacks; null is what was emptied on purpose."""
    if not one.children or not isinstance(value, Mapping):
        return value
    whole = dict(value)
    for name, child in one.children.items():
        whole[name] = _completed(child, value[name]) if name in value else child.default
    return {name: part for name, part in whole.items() if part is not None}


def _wrong_answer(key: str, value: Any) -> str:
    """What is wrong with an answer of JQ for this key; "" where it will do."""
    if key in ("enum", "required") and not isinstance(value, list):
        return f"gave {jq.describe(value)}, not an array"
    if value is None or key not in LIMITS:
        return ""
    if key == "pattern":
        return "" if is_pattern(value) else f"gave {jq.describe(value)}, no regular expression"
    if key == "uniqueItems":
        return "" if isinstance(value, bool) else f"gave {jq.describe(value)}, not true or false"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if is_number else f"gave {jq.describe(value)}, not a number"


def _is_of_form(path: str) -> bool:
    return not path.startswith("properties.")


def _errors_of(name: str, errors: Mapping[str, str]) -> list[str]:
    """The errors of one field, each with the key it came from."""
    prefix = f"properties.{name}."
    return [
        f"{path.removeprefix(prefix)}: {message}"
        for path, message in errors.items()
        if path.startswith(prefix)
    ]


def _has_jq(part: Any) -> bool:
    return any(True for _ in queries_in(part))


def is_empty(value: Any) -> bool:
    """Whether somebody would say that it is not filled in."""
    return value is None or value == "" or value == []
