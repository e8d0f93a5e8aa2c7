"""Scorecards in catalogue files: Cortex's YAML, and Port's JSON with the blueprint of each.

A file of Port holds a scorecard that names its `blueprint`, a list of such, or a list of
{"blueprint", "data": [scorecard, …]}. Each is stored or refused for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import regex
from django.db import transaction

from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError, InvalidInput, shorten
from catalog.registry import DocumentTaker, Taken
from catalog.services.entities import Status
from scorecards.formats import definition_of
from scorecards.models import Scorecard
from scorecards.services.checking import warnings_of
from scorecards.services.definitions import save, save_cortex

# within a line: across lines, each of many empty ones would look through all that follow
_KEY = rb"""^[ \t\-{,\[]*["']?%s["']?[ \t]*:"""
_RULES = regex.compile(_KEY % b"rules", regex.M)
_OWNER = regex.compile(_KEY % b"(tag|blueprint)", regex.M)
_OF_ENTITIES = ("apiVersion", "kind", "info", "openapi")


@dataclass(frozen=True, slots=True)
class _Found:
    """A scorecard of a document. blueprint: None for one of several kinds. path: to it."""

    body: Any
    blueprint: Any
    is_cortex: bool
    path: tuple[str | int, ...] = ()


def may_hold(content: bytes) -> bool:
    """Whether a text may have a scorecard: `rules`, and `tag` or `blueprint`, as keys."""
    return _OWNER.search(content) is not None and _RULES.search(content) is not None


def is_meant(value: Any) -> bool:
    """Whether a document means to be one scorecard or several, valid or not."""
    if isinstance(value, Mapping):
        is_one = isinstance(value.get("rules"), list) and not value.keys() & {*_OF_ENTITIES}
        return is_one and ("tag" in value or _is_port(value))
    return isinstance(value, list) and bool(value) and all(map(_is_of_port, value))


def take(value: Any, actor: Actor, is_dry_run: bool) -> list[Taken]:
    """See `DocumentTaker`."""
    with transaction.atomic():
        taken = [_taken(one, actor) for one in _found(value)]
        if is_dry_run:
            transaction.set_rollback(True)
    return taken


TAKER = DocumentTaker("scorecards", may_hold, is_meant, take)


def _is_port(value: Any) -> bool:
    return isinstance(value, Mapping) and "blueprint" in value and "identifier" in value


def _is_of_port(value: Any) -> bool:
    if not isinstance(value, Mapping) or "blueprint" not in value:
        return False
    inner = value["data"] if isinstance(value.get("data"), list) else [value]
    return all(isinstance(one, Mapping) and isinstance(one.get("rules"), list) for one in inner)


def _found(value: Any) -> Iterator[_Found]:
    if isinstance(value, Mapping):
        is_cortex = "tag" in value
        yield _Found(value, None if is_cortex else value["blueprint"], is_cortex)
        return
    for index, one in enumerate(value):
        if isinstance(one.get("data"), list):
            for number, body in enumerate(one["data"]):
                yield _Found(body, one["blueprint"], False, (index, "data", number))
        else:
            yield _Found(one, one["blueprint"], False, (index,))


def _taken(found: _Found, actor: Actor) -> Taken:
    identifier = shorten(found.body.get("tag" if found.is_cortex else "identifier") or "")
    before: list[tuple[int, str]] = []

    def permit(scorecard: Scorecard | None) -> None:
        before.extend([(scorecard.version, scorecard.state)] if scorecard else [])

    try:
        if found.is_cortex:
            saved, remarks = save_cortex(found.body, actor=actor, permit=permit)
            assert saved is not None  # noqa: S101 - it was no dry run
        else:
            if found.blueprint is not None and not isinstance(found.blueprint, str):
                raise InvalidInput.of("blueprint", found.blueprint, "its identifier, or null")
            saved = save(
                found.body.get("identifier"),
                found.body,
                dialect="native",
                blueprint=found.blueprint,
                actor=actor,
                permit=permit,
            )
            remarks = [one.message for one in warnings_of(definition_of(saved))]
    except IdpError as error:
        field = str(error.details.get("field", ""))
        steps = tuple(int(one) if one.isdecimal() else one for one in field.split("."))
        path = (*found.path, *steps)
        return Taken(identifier, Status.REJECTED, path, (str(error),))
    status = Status.UPDATED if before else Status.CREATED
    if before == [(saved.version, saved.state)]:
        status = Status.UNCHANGED
    return Taken(identifier, status, found.path, tuple(remarks))
