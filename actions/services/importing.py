"""Actions in files, in and out: YAML or JSON, one or many to a file, as often as one likes.

A file holds an action, a list of them, or {"actions": [...]}; YAML may hold several documents. Who
may run and approve an action stands in it under `permissions`. Each action is stored, or refused,
for itself; what says what is stored already changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.db import transaction

from actions.models import Action
from actions.services.access import permissions_document
from actions.services.definitions import create_action, replace_action, update_permissions
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError, InvalidInput, LimitExceeded, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.yaml_errors import YamlError
from catalog.kernel.yaml_reader import read_documents
from catalog.services import documents

MAX_ACTIONS: Final = 2000  # of one import
MAX_BYTES: Final = 10 * 1024 * 1024  # of its text
_PERMISSIONS: Final = "permissions"


class Status(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one action. place: file and line, or its number. reason: why it is refused."""

    place: str
    identifier: str
    status: Status
    reason: str = ""

    def as_dict(self) -> dict[str, str]:
        document = {"place": self.place, "identifier": self.identifier, "status": self.status.value}
        return {**document, "reason": self.reason} if self.reason else document


@dataclass(frozen=True, slots=True)
class Report:
    items: tuple[Item, ...]

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(one.status for one in self.items)
        return {status.value: found[status] for status in Status}

    @property
    def refused(self) -> list[Item]:
        return [one for one in self.items if one.status is Status.REFUSED]


@dataclass(frozen=True, slots=True)
class Given:
    """An action as it was found, or why there is none."""

    place: str
    value: Any = None
    error: str = ""


def read_text(text: str | bytes, *, name: str) -> Iterator[Given]:
    """The actions of a YAML or JSON text. Raises nothing: what cannot be read is a finding."""
    try:
        for document in read_documents(text, name=name):
            if document.error:
                yield Given(f"{name}:{document.line}", error=str(document.error))
            elif document.value is not None:
                place, values = _spread(document.value)
                for number, value in enumerate(values):
                    path: tuple[str | int, ...] = () if place is None else (*place, number)
                    yield Given(f"{name}:{document.line_of(path)}", value)
    except YamlError as error:
        yield Given(name, error=str(error))


def read_json(body: Any) -> Iterator[Given]:
    """The actions of a JSON value: one, a list of them, or {"actions": [...]}."""
    for number, value in enumerate(_spread(body)[1]):
        yield Given(f"[{number}]", value)


def import_actions(found: Iterable[Given], *, actor: Actor, is_dry_run: bool = False) -> Report:
    """Store them, in one transaction. is_dry_run: only say what would become of them.

    Raises LimitExceeded for too many.
    """
    items: list[Item] = []
    with transaction.atomic():
        for given in found:
            if len(items) == MAX_ACTIONS:
                raise LimitExceeded(
                    f"There are more than {MAX_ACTIONS} actions; import them in parts",
                    details={"expected": f"<= {MAX_ACTIONS} actions"},
                )
            items.append(_imported(given, {one.identifier for one in items}, actor))
        if is_dry_run:
            transaction.set_rollback(True)
    return Report(tuple(items))


def exported(actions: Iterable[Action]) -> Iterator[dict[str, Any]]:
    """Each as it was sent, with its permissions where somebody set any; those that are made from
    software templates are left out.
    """
    for action in actions:
        if action.template_id is None:
            yield {
                "identifier": action.identifier,
                **shown_document(action),
                **({_PERMISSIONS: action.permissions} if action.permissions else {}),
            }


def shown_document(action: Action) -> dict[str, Any]:
    """As it was sent; the blueprint of the trigger, or of its event, by the name it has now."""
    trigger = dict(action.trigger)
    if action.blueprint:
        name = {"blueprintIdentifier": action.blueprint.identifier}
        is_own = trigger.get("blueprintIdentifier")
        trigger |= name if is_own else {"event": {**trigger["event"], **name}}
    return {**action.document, "trigger": trigger}


def _imported(given: Given, seen: set[str], actor: Actor) -> Item:
    identifier = ""
    if isinstance(given.value, Mapping):
        identifier = shorten(given.value.get("identifier") or "")
    error = given.error
    if not error and not isinstance(given.value, Mapping):
        error = f"It is {shorten(given.value)}; expected an action, an object"
    if not error and identifier in seen:
        error = f'The action "{identifier}" stands here twice'
    if error:
        return Item(given.place, identifier, Status.REFUSED, error)
    try:
        with transaction.atomic():
            status = _stored(given.value, actor)
    except IdpError as refusal:
        return Item(given.place, identifier, Status.REFUSED, str(refusal))
    return Item(given.place, identifier, status)


def _stored(document: Mapping[str, Any], actor: Actor) -> Status:
    body = dict(document)
    grants = body.pop(_PERMISSIONS, None)
    if grants is not None and not isinstance(grants, Mapping):
        raise InvalidInput.of(_PERMISSIONS, grants, "an object with execute and approve")
    identifier = body.get("identifier")
    is_name = isinstance(identifier, str) and is_storable(identifier)
    before = Action.objects.filter(identifier=identifier).first() if is_name else None
    if before is None:
        status, action = Status.CREATED, create_action(body, actor=actor)
    else:
        action = replace_action(before.identifier, body, actor=actor)
        is_other = action.version != before.version
        status = Status.UPDATED if is_other else Status.UNCHANGED
    if grants:
        held = permissions_document(action)
        new = update_permissions(action.identifier, grants, actor=actor)
        if status is Status.UNCHANGED and not documents.is_same(held, new):
            status = Status.UPDATED
    return status


def _spread(value: Any) -> tuple[tuple[str, ...] | None, list[Any]]:
    """(path of the list, None where there is none; the actions)."""
    if isinstance(value, list):
        return (), value
    if isinstance(value, Mapping) and isinstance(value.get("actions"), list):
        return ("actions",), value["actions"]
    return None, [value]
