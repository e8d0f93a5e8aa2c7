"""Scorecards: kept as they were sent, each change as a version; the state is no part of it.

A change is in the feed, and has all entities evaluated. Who may make one: `services.access`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound, shorten
from catalog.kernel.identifiers import check_entity_identifier, check_length
from catalog.kernel.locks import Lock, hold
from catalog.kernel.yaml_reader import YamlDocument
from catalog.models import Blueprint
from catalog.services import documents
from scorecards import formats
from scorecards.definition import Definition
from scorecards.formats import cortex, native
from scorecards.models import Scorecard
from scorecards.selectors.named import find_scorecard, get_scorecard, locked, scorecards
from scorecards.services.checking import problems_of, warnings_of
from scorecards.services.keeping import get_version, have_evaluated, keep

MAX_IDENTIFIER: Final = 100
MAX_SCORECARDS: Final = 500  # of a blueprint, in one request
MAX_TITLE: Final = 300  # of the column; the document has all of it
RESERVED: Final = ("preview", "validate")  # addresses of the API


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a scorecard is to be. state: None leaves it as it is, or active."""

    identifier: str
    dialect: str
    document: dict[str, Any]
    state: str | None

    @property
    def is_cortex(self) -> bool:
        return self.dialect == Scorecard.Dialect.CORTEX


Permit = Callable[[Scorecard | None], None]


def _permit_all(scorecard: Scorecard | None) -> None:
    """The caller has asked already."""


def save(
    identifier: object,
    document: Mapping[str, Any],
    *,
    dialect: str,
    blueprint: str | None,
    actor: Actor,
    permit: Permit = _permit_all,
) -> Scorecard:
    """Make the scorecard of this name say this, whether there is one or not. blueprint: its own;
    None for one about several. permit: is asked first, with the one that is there, or None.

    Raises NotFound for the blueprint, Conflict, InvalidInput, and what `permit` raises.
    """
    draft = _draft(identifier, document, dialect)
    with transaction.atomic():
        about = _blueprint(blueprint) if blueprint is not None else None
        found = scorecards(is_locked=True).filter(identifier=draft.identifier)
        scorecard = found.filter(blueprint=about).first()
        permit(scorecard)
        if scorecard is None:
            return _create(draft, about, actor)
        return _change(scorecard, draft, actor)


def save_cortex(
    given: str | bytes | Mapping[str, Any],
    *,
    actor: Actor,
    name: str = "scorecard",
    reverse_ranks: bool = False,
    dry_run: bool = False,
    permit: Permit = _permit_all,
) -> tuple[Scorecard | None, list[str]]:
    """Make or change the scorecard that Cortex's YAML describes; its `tag` is the identifier.

    name: of the text, for messages. reverse_ranks: see `cortex.check`. dry_run: check everything
    and store nothing; there is no scorecard then. permit: see `save`. Returns warnings, too.
    Raises InvalidInput with the line, Conflict.
    """
    source, body = _loaded(given, name)
    with cortex.placing(source, name), transaction.atomic():
        document = cortex.check(body, reverse_ranks=reverse_ranks)
        saved = save(
            document["tag"], document, dialect="cortex", blueprint=None, actor=actor, permit=permit
        )
        warnings = [one.message for one in warnings_of(formats.definition_of(saved))]
        if dry_run:
            transaction.set_rollback(True)
    return None if dry_run else saved, warnings


def create_scorecard(blueprint: str | None, body: Mapping[str, Any], *, actor: Actor) -> Scorecard:
    """blueprint: None for one about several. Raises NotFound, AlreadyExists, InvalidInput."""
    draft = _draft(body.get("identifier"), body, "native")
    with transaction.atomic():
        return _create(draft, _blueprint(blueprint) if blueprint is not None else None, actor)


def replace_scorecard(
    blueprint: str, identifier: str, body: Mapping[str, Any], *, actor: Actor
) -> Scorecard:
    """Another `identifier` in the body renames it. Raises NotFound, AlreadyExists, InvalidInput."""
    with transaction.atomic():
        scorecard = get_scorecard(blueprint, identifier, is_locked=True)
        return _change(
            scorecard, _draft(body.get("identifier") or identifier, body, "native"), actor
        )


def replace_found(
    identifier: str,
    given: str | bytes | Mapping[str, Any],
    *,
    actor: Actor,
    reverse_ranks: bool = False,
    permit: Permit = _permit_all,
) -> Scorecard:
    """As `replace_scorecard`, of the one that `find_scorecard` finds, by JSON or by YAML of Cortex.
    Its format is that of the document from then on; one of a blueprint stays JSON.
    """
    source, body = _loaded(given, identifier)
    with cortex.placing(source, identifier), transaction.atomic():
        scorecard = find_scorecard(identifier, is_locked=True)
        permit(scorecard)
        if source is not None or is_cortex(body):
            document = cortex.check(body, reverse_ranks=reverse_ranks)
            return _change(scorecard, _draft(document["tag"], document, "cortex"), actor)
        stated, own = body.get("blueprint"), _of(scorecard) or None
        if stated not in (None, own):
            expected = f"{own}: a scorecard stays with its blueprint" if own else "none"
            raise InvalidInput.of("blueprint", stated, expected)
        draft = _draft(body.get("identifier") or identifier, body, "native")
        return _change(scorecard, draft, actor)


def is_cortex(body: Mapping[str, Any]) -> bool:
    """Whether a document is in Cortex's words."""
    return "tag" in body and "identifier" not in body


def replace_scorecards(blueprint: str, bodies: Sequence[Any], *, actor: Actor) -> list[Scorecard]:
    """Make these all scorecards of the blueprint: others go. All or nothing.

    Raises NotFound, InvalidInput naming the index.
    """
    if len(bodies) > MAX_SCORECARDS:
        raise InvalidInput(
            f"There are {len(bodies)} scorecards; expected at most {MAX_SCORECARDS}",
            details={"value": len(bodies), "expected": f"<= {MAX_SCORECARDS}"},
        )
    with transaction.atomic():
        hold(Lock.SCORECARD)  # before the blueprint, for which who makes one would wait
        found = _blueprint(blueprint)
        Blueprint.objects.select_for_update().get(pk=found.pk)
        known = set(Scorecard.objects.filter(blueprint=found).values_list("identifier", flat=True))
        kept: list[Scorecard] = []
        for index, body in enumerate(bodies):
            try:
                if not isinstance(body, Mapping):
                    raise InvalidInput(f"{shorten(body)} is no object")
                identifier = _checked_identifier(body.get("identifier"))
                if identifier in [one.identifier for one in kept]:
                    raise InvalidInput(f'"{shorten(identifier)}" is there twice')
                if identifier in known:
                    kept.append(replace_scorecard(blueprint, identifier, body, actor=actor))
                else:
                    kept.append(create_scorecard(blueprint, body, actor=actor))
            except InvalidInput as error:
                raise InvalidInput(
                    f"scorecard {index}: {error.message}", details={**error.details, "index": index}
                ) from None
        for identifier in known - {one.identifier for one in kept}:
            delete_scorecard(blueprint, identifier, actor=actor)
    return kept


def delete_scorecard(blueprint: str | None, identifier: str, *, actor: Actor) -> None:
    """With its results and their history. blueprint: None for the one that `find_scorecard` finds.
    Raises NotFound, Conflict.
    """
    with transaction.atomic():
        if blueprint is None:
            scorecard = find_scorecard(identifier, is_locked=True)
        else:
            scorecard = get_scorecard(blueprint, identifier, is_locked=True)
        documents.delete(scorecard, actor=actor, blueprint=_of(scorecard))


def set_state(scorecard: Scorecard, state: str, actor: Actor) -> Scorecard:
    """Publish, hide or archive it. Raises InvalidInput.

    Only in Cortex's format the document says whether it is a draft; only then it is a new version.
    """
    if state not in Scorecard.State.values:
        raise InvalidInput.of("state", state, f"one of {', '.join(Scorecard.State.values)}")
    with transaction.atomic():
        current = locked(scorecard.pk)
        document = current.document
        is_draft = state == Scorecard.State.DRAFT
        is_said = current.dialect == Scorecard.Dialect.CORTEX and state != Scorecard.State.ARCHIVED
        if is_said and (document.get("draft") is True) != is_draft:
            document = {**document, "draft": is_draft}
        return _change(current, _Draft(current.identifier, current.dialect, document, state), actor)


def restore_version(scorecard: Scorecard, number: int, *, actor: Actor) -> Scorecard:
    """Let a scorecard say again what it said then, as a new version.

    Raises NotFound, and InvalidInput where that is no longer possible.
    """
    with transaction.atomic():
        current = locked(scorecard.pk)
        then = get_version(current, number)
        return _change(current, _draft(current.identifier, then.document, then.dialect), actor)


def _create(draft: _Draft, blueprint: Blueprint | None, actor: Actor) -> Scorecard:
    """In a transaction."""
    document = draft.document
    if draft.is_cortex:
        document = cortex.identified(document, ())
    scorecard = Scorecard(
        blueprint=blueprint,
        identifier=draft.identifier,
        document=document,
        dialect=draft.dialect,
        state=draft.state or _said_state(draft.dialect, document) or Scorecard.State.ACTIVE,
    )
    _refuse_taken(scorecard)
    definition = _read(scorecard)
    problems = problems_of(definition)
    scorecard.title = shorten(definition.title, MAX_TITLE)
    documents.create(scorecard, actor=actor, blueprint=_of(scorecard))
    keep(scorecard, definition, problems)
    have_evaluated(scorecard)
    return scorecard


def _change(scorecard: Scorecard, draft: _Draft, actor: Actor) -> Scorecard:
    """In the transaction that locked it. What says what is stored changes nothing."""
    document = draft.document
    if draft.is_cortex:
        _refuse_cortex_of_blueprint(scorecard)
        document = cortex.identified(document, scorecard.document["rules"])
    was, state = scorecard.state, _next_state(scorecard, draft, document)
    is_same = (
        scorecard.identifier == draft.identifier
        and scorecard.dialect == draft.dialect
        and documents.is_same(scorecard.document, document)
    )
    if is_same and state == was:
        return scorecard
    scorecard.state = state
    if is_same:
        documents.sign(scorecard, actor)
        scorecard.save(update_fields=["state", "updated_at", "updated_by"])
    else:
        _replace(scorecard, draft, document, actor)
    if was != state:
        documents.note(
            feed.UPDATE,
            scorecard,
            actor=actor,
            blueprint=_of(scorecard),
            before={"state": was},
            after={"state": state},
        )
    have_evaluated(scorecard)
    return scorecard


def _replace(scorecard: Scorecard, draft: _Draft, document: dict[str, Any], actor: Actor) -> None:
    """Give it another document, as a new version."""
    after = Scorecard(
        pk=scorecard.pk,
        blueprint=scorecard.blueprint,
        identifier=draft.identifier,
        dialect=draft.dialect,
        document=document,
    )
    if draft.identifier != scorecard.identifier:
        _refuse_taken(after)
    definition = _read(after)
    problems = problems_of(definition)
    scorecard.dialect = draft.dialect
    scorecard.version += 1
    scorecard.title = shorten(definition.title, MAX_TITLE)
    scorecard.save(update_fields=["dialect", "version", "title", "state"])
    documents.change(scorecard, draft.identifier, document, actor=actor, blueprint=_of(scorecard))
    keep(scorecard, definition, problems)


def _loaded(
    given: str | bytes | Mapping[str, Any], name: str
) -> tuple[YamlDocument | None, Mapping[str, Any]]:
    """A text's document and its content, or the content that was given."""
    if isinstance(given, Mapping):
        return None, given
    source = cortex.load(given, name)
    return source, source.value


def _draft(identifier: object, body: Mapping[str, Any], dialect: str) -> _Draft:
    checked = _checked_identifier(identifier)
    if dialect == Scorecard.Dialect.CORTEX:
        return _Draft(checked, dialect, cortex.check(body), None)
    document = native.check(body)
    return _Draft(checked, dialect, document, body.get("state"))


def _said_state(dialect: str, document: Mapping[str, Any]) -> str | None:
    """What the document says of it, which only Cortex's does."""
    if dialect != Scorecard.Dialect.CORTEX:
        return None
    return Scorecard.State.DRAFT if document.get("draft") is True else Scorecard.State.ACTIVE


def _next_state(scorecard: Scorecard, draft: _Draft, document: Mapping[str, Any]) -> str:
    """As somebody says now, else as the document says; but a file that is read again and again
    does not bring back what was archived."""
    if draft.state:
        return draft.state
    if scorecard.state == Scorecard.State.ARCHIVED:
        return scorecard.state
    return _said_state(draft.dialect, document) or scorecard.state


def _refuse_taken(scorecard: Scorecard) -> None:
    """An identifier without a blueprint is nobody else's. Raises AlreadyExists."""
    hold(Lock.SCORECARD)
    others = Scorecard.objects.select_related("blueprint").filter(identifier=scorecard.identifier)
    others = others.exclude(pk=scorecard.pk)
    if scorecard.blueprint is not None:
        others = others.filter(Q(blueprint=scorecard.blueprint) | Q(blueprint=None))
    if (other := others.first()) is not None:
        error = AlreadyExists.of("Scorecard", scorecard.identifier)
        if other.blueprint != scorecard.blueprint:
            about = f"of the blueprint {_of(other)}" if other.blueprint else "without a blueprint"
            error.hint = (
                f"There is one {about}; the name of a scorecard without a blueprint is its alone."
            )
        raise error


def _refuse_cortex_of_blueprint(scorecard: Scorecard) -> None:
    if scorecard.blueprint is not None:
        raise Conflict(
            f'"{scorecard.identifier}" is a scorecard of the blueprint {_of(scorecard)}',
            hint="Those of Cortex are about entities of several blueprints: send it as JSON.",
            details={"resource": "Scorecard", "value": scorecard.identifier},
        )


def _read(scorecard: Scorecard) -> Definition:
    return formats.read(
        scorecard.dialect, scorecard.identifier, _of(scorecard) or None, scorecard.document
    )


def _blueprint(identifier: str) -> Blueprint:
    found = Blueprint.objects.filter(identifier=identifier).first()
    if found is None:
        raise NotFound.of("Blueprint", identifier)
    return found


def _of(scorecard: Scorecard) -> str:
    return scorecard.blueprint.identifier if scorecard.blueprint else ""


def _checked_identifier(value: object) -> str:
    identifier = check_length(check_entity_identifier(value), "identifier", MAX_IDENTIFIER)
    if identifier in RESERVED:
        raise InvalidInput.of("identifier", value, f"another name than {', '.join(RESERVED)}")
    return identifier
