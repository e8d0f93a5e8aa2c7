"""A scorecard as somebody is writing it: read as far as it can be, with what is wrong about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from catalog.kernel.errors import InvalidInput
from scorecards import formats
from scorecards.definition import Definition
from scorecards.formats import cortex, native
from scorecards.models import Scorecard
from scorecards.services.checking import Remark, findings_of

UNNAMED: Final = "unnamed"  # what has no identifier or title yet


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a part of a document cannot be saved. field: its place, "rules.2.level"; of a rule, the
    message is read at its row and does not say which it is.
    """

    field: str
    value: str
    message: str
    hint: str = ""


@dataclass(slots=True)
class Draft:
    """definition: without the rules that cannot be read. places: of those it has, in the document.
    remarks: what may be saved and is likely not what was meant.
    """

    definition: Definition
    document: dict[str, Any]
    places: tuple[int, ...]
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        return len({_rule_at(one.field) for one in self.problems} - {None})


def document_of(scorecard: Scorecard) -> dict[str, Any]:
    """A saved scorecard as it would be sent: with its names and its state."""
    if scorecard.dialect == Scorecard.Dialect.CORTEX:
        return dict(scorecard.document)
    return {
        "identifier": scorecard.identifier,
        "blueprint": scorecard.blueprint.identifier if scorecard.blueprint else None,
        **scorecard.document,
        "state": scorecard.state,
    }


def read_draft(body: Mapping[str, Any], dialect: str, *, stored: Scorecard | None = None) -> Draft:
    """What a document says, with as many of its rules as can be read.

    stored: the scorecard that it is to replace. Raises InvalidInput for what no definition can be
    made of without it: levels, filters; PayloadTooLarge.
    """
    rules = body.get("rules")
    places = list(range(len(rules))) if isinstance(rules, list) else []
    problems: list[Problem] = []
    while True:
        try:
            draft = _read(_with_rules(_named(body, dialect), places), dialect, places, stored)
        except InvalidInput as error:
            found = [_placed(one, places) for one in problems_of(error)]
            wrong = {_rule_at(one.field) for one in found}
            if None in wrong or not wrong & {*places}:
                raise
            problems += found
            places = [one for one in places if one not in wrong]
        else:
            draft.problems = problems
            return draft


def read_whole(body: Mapping[str, Any], dialect: str, *, stored: Scorecard | None = None) -> Draft:
    """A document all of which can be saved; see `read_draft`. Raises InvalidInput, too, for what is
    wrong with its rules.
    """
    draft = read_draft(body, dialect, stored=stored)
    if not draft.problems:
        return draft
    first = draft.problems[0]
    raise InvalidInput(
        f"{first.field}: {first.message}" if first.field else first.message,
        hint=first.hint,
        details={
            "field": first.field,
            "value": first.value,
            "problems": [
                {"path": one.field, "value": one.value, "message": one.message}
                for one in draft.problems
            ],
        },
    )


def problems_of(error: InvalidInput) -> list[Problem]:
    """What an error says is wrong, each with its place in the document."""
    listed = error.details.get("problems")
    if listed:
        return [
            Problem(one["path"], one["value"], f"{one['path'] or 'It'}: {one['message']}")
            for one in listed
        ]
    details = error.details
    place = str(details.get("field", ""))
    return [Problem(place, str(details.get("value") or ""), error.message, error.hint)]


def _read(
    body: Mapping[str, Any], dialect: str, places: list[int], stored: Scorecard | None
) -> Draft:
    if dialect == Scorecard.Dialect.CORTEX:
        known = stored.document["rules"] if stored and stored.dialect == dialect else ()
        document = cortex.identified(cortex.check(body), known)
        identifier, blueprint = document["tag"], None
    else:
        document = native.check(body)
        identifier, blueprint = body["identifier"], body.get("blueprint")
    if not isinstance(identifier, str):
        raise InvalidInput.of("identifier", identifier, "text")
    if blueprint is not None and not isinstance(blueprint, str):
        raise InvalidInput.of("blueprint", blueprint, "the identifier of a blueprint, or null")
    definition = formats.read(dialect, identifier, blueprint or None, document)
    if dialect == Scorecard.Dialect.NATIVE:
        definition = replace(definition, state=body.get("state") or definition.state)
    findings = findings_of(definition)
    if findings.errors:
        raise _together(findings.errors)
    remarks = [Remark(_moved(one.field, places), one.message, one.rule) for one in findings.remarks]
    return Draft(definition, document, tuple(places), remarks=remarks)


def _together(errors: list[InvalidInput]) -> InvalidInput:
    """Several as one, whose details list them."""
    told = [
        {"path": one.field, "value": one.value, "message": one.message}
        for error in errors
        for one in problems_of(error)
    ]
    return (
        errors[0]
        if len(errors) == 1
        else InvalidInput(
            errors[0].message, hint=errors[0].hint, details={**errors[0].details, "problems": told}
        )
    )


def _named(body: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """With a name to be called by, where it has none yet."""
    keys = ("tag", "name") if dialect == Scorecard.Dialect.CORTEX else ("identifier", "title")
    return {**body, **{key: body.get(key) or UNNAMED for key in keys}}


def _with_rules(body: Mapping[str, Any], places: list[int]) -> Mapping[str, Any]:
    rules = body.get("rules")
    return {**body, "rules": [rules[at] for at in places]} if isinstance(rules, list) else body


def _placed(problem: Problem, places: list[int]) -> Problem:
    message = problem.message
    if (at := _rule_at(problem.field)) is not None:
        while message.startswith(f"rules.{at}"):  # what checks a part has said so, too
            message = message.removeprefix(f"rules.{at}").lstrip(".: ")
    return replace(problem, field=_moved(problem.field, places), message=message)


def _moved(place: str, places: list[int]) -> str:
    """A place among the rules that were read, in the whole document."""
    at = _rule_at(place)
    if at is None or at >= len(places):
        return place
    rest = place.split(".")[2:]
    return ".".join(["rules", str(places[at]), *rest])


def _rule_at(place: str) -> int | None:
    """The number of the rule that a place is of."""
    steps = place.split(".")
    is_rule = len(steps) > 1 and steps[0] == "rules" and steps[1].isdecimal()
    return int(steps[1]) if is_rule else None
