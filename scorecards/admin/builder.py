"""The form behind the scorecard builder: the whole scorecard as JSON, in the words of its dialect,
and what its page needs to draw it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from catalog.forms.blueprint import Problem
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, Conflict, IdpError, InvalidInput
from catalog.kernel.json_text import read_json, write_json
from catalog.models import TEAM, Entity
from catalog.selectors.kinds import Kind, load_kinds
from catalog.selectors.search.moments import PRESETS
from catalog.selectors.search.rules import META_PROPERTIES, OPERATORS
from scorecards.formats import native
from scorecards.models import Scorecard
from scorecards.rules.conditions import operator_words
from scorecards.services import definitions, drafting
from scorecards.services.drafting import Draft, read_whole

NATIVE, CORTEX = Scorecard.Dialect.NATIVE.value, Scorecard.Dialect.CORTEX.value
MAX_OWNERS: Final = 200  # offered; others may be typed
NEW: Final[Mapping[str, Mapping[str, Any]]] = {
    NATIVE: {
        "identifier": "",
        "title": "",
        "blueprint": None,
        "state": "active",
        "levels": native.DEFAULT_LEVELS,
        "rules": [],
    },
    CORTEX: {
        "tag": "",
        "name": "",
        "draft": False,
        "ladder": {
            "name": "Default",
            "levels": [
                {"name": "Bronze", "rank": 1, "color": "#cd7f32"},
                {"name": "Silver", "rank": 2, "color": "#c0c0c0"},
                {"name": "Gold", "rank": 3, "color": "#d7ac58"},
            ],
        },
        "rules": [],
    },
}
# Which operators fit a value of which type.
_EMPTY: Final = ["isNotEmpty", "isEmpty"]
_TEXT: Final = [
    "=", "!=", "in", "notIn", "contains", "doesNotContains", "beginsWith", "doesNotBeginsWith",
    "endsWith", "doesNotEndsWith",
]  # fmt: skip
_ORDER: Final = [">", ">=", "<", "<="]
FITTING: Final[Mapping[str, list[str]]] = {
    "string": [*_EMPTY, *_TEXT],
    "number": [*_EMPTY, *_ORDER, "=", "!=", "in", "notIn"],
    "boolean": ["=", "!=", *_EMPTY],
    "moment": [*_EMPTY, "between", "notBetween", *_ORDER, "=", "isExpired", "isNotExpired"],
    "array": [*_EMPTY, "contains", "doesNotContains", "containsAny"],
    "object": _EMPTY,
    "relation": [*_EMPTY, *_TEXT, "containsAny"],
    "any": list(OPERATORS),
}
_META_TYPES: Final = {
    "$team": {"type": "array"},
    "$createdAt": {"type": "string", "format": "date-time"},
    "$updatedAt": {"type": "string", "format": "date-time"},
}


class ScorecardDocumentForm(forms.Form):
    """Creates a scorecard, or gives `scorecard` a new document.

    version: of the scorecard as its page showed it, so that nobody undoes what another has saved
    meanwhile. problems: what was refused, with its place in the document.
    """

    document = forms.CharField(widget=forms.Textarea, strip=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        scorecard: Scorecard | None = None,
        dialect: str = NATIVE,
    ) -> None:
        self.scorecard, self.dialect = scorecard, dialect
        self.problems: list[Problem] = []
        super().__init__(
            data,
            initial={
                "document": write_json(built_document(scorecard, dialect)),
                "version": scorecard.version if scorecard else None,
            },
        )

    def clean_document(self) -> dict[str, Any]:
        return read_document(self.cleaned_data["document"])

    def draft(self) -> Draft | None:
        """The scorecard as it would be saved; None when it was refused."""
        try:
            return read_whole(self.cleaned_data["document"], self.dialect, stored=self.scorecard)
        except IdpError as error:
            self._refuse(error)
        return None

    def save(self, *, actor: Actor) -> Scorecard | None:
        """Save the document; None when it was refused."""
        try:
            with transaction.atomic():
                return self._save(dict(self.cleaned_data["document"]), actor)
        except IdpError as error:
            self._refuse(error)
        return None

    def _save(self, document: dict[str, Any], actor: Actor) -> Scorecard:
        if self.scorecard is None:
            return create(document, self.dialect, actor=actor)
        held = Scorecard.objects.select_for_update().get(pk=self.scorecard.pk)
        if held.version != self.cleaned_data["version"]:
            raise Conflict(
                f"{held.updated_by} has saved version {held.version} of this scorecard meanwhile",
                hint="Copy your JSON, load the page again, and put your changes in.",
                details={"resource": "Scorecard", "value": held.identifier},
            )
        return _replaced(self.scorecard, document, actor)

    def _refuse(self, error: IdpError) -> None:
        told = drafting.problems_of(error) if isinstance(error, InvalidInput) else []
        self.problems = [Problem(one.field, one.value, one.message) for one in told]
        self.add_error(None, str(error))


def read_document(text: str) -> dict[str, Any]:
    """Raises ValidationError."""
    try:
        document = read_json(text)
    except InvalidInput as error:
        raise ValidationError(error.message) from None
    if not isinstance(document, dict):
        raise ValidationError("A scorecard is a JSON object: {…}")
    return document


def create(document: dict[str, Any], dialect: str, *, actor: Actor) -> Scorecard:
    """A new scorecard that says this. Raises AlreadyExists, NotFound, InvalidInput."""
    if dialect == NATIVE:
        blueprint = document.pop("blueprint", None) or None
        return definitions.create_scorecard(blueprint, document, actor=actor)
    tag = document.get("tag")
    if Scorecard.objects.filter(blueprint=None, identifier=str(tag)).exists():
        raise AlreadyExists.of("Scorecard", str(tag))
    return definitions.save(str(tag or ""), document, dialect=CORTEX, blueprint=None, actor=actor)


def _replaced(scorecard: Scorecard, document: dict[str, Any], actor: Actor) -> Scorecard:
    own = scorecard.blueprint.identifier if scorecard.blueprint else None
    if scorecard.dialect == NATIVE and (document.pop("blueprint", None) or None) != own:
        expected = f"{own}: a scorecard stays with its blueprint" if own else "null"
        raise InvalidInput.of("blueprint", "another one", expected)
    if own is not None:
        return definitions.replace_scorecard(own, scorecard.identifier, document, actor=actor)
    return definitions.replace_found(scorecard.identifier, document, actor=actor)


def copied(scorecard: Scorecard, identifier: str, title: str) -> dict[str, Any]:
    """A draft that says the same under other names."""
    document = drafting.document_of(scorecard)
    if scorecard.dialect == CORTEX:
        return {**document, "tag": identifier, "name": title, "draft": True}
    return {**document, "identifier": identifier, "title": title, "state": "draft"}


def built_document(scorecard: Scorecard | None, dialect: str = NATIVE) -> dict[str, Any]:
    """As the builder shows it; a new one where there is none yet."""
    return drafting.document_of(scorecard) if scorecard else dict(NEW[dialect])


def builder_data(
    scorecard: Scorecard | None, form: ScorecardDocumentForm, dialect: str
) -> dict[str, Any]:
    """What the page knows of the world around the scorecard; the number of statements is fixed."""
    stored = list(scorecard.rules.values_list("identifier", flat=True)) if scorecard else []
    return {
        "dialect": dialect,
        "stored": scorecard.identifier if scorecard else "",
        "storedRules": stored,
        "standardLevels": native.DEFAULT_LEVELS,
        "colours": native.COLOURS,
        "kinds": [_subject(kind) for kind in sorted(load_kinds(), key=_by_title)],
        "metas": [
            {"name": name, "title": name, **_META_TYPES.get(name, {"type": "string"})}
            for name in META_PROPERTIES
        ],
        "operators": [
            {"name": one.name, "title": operator_words(one.name), "takes": one.takes.name}
            for one in OPERATORS.values()
        ],
        "fitting": FITTING,
        "presets": PRESETS,
        "problems": [
            {"field": one.field, "value": one.value, "message": one.message}
            for one in form.problems
        ],
    }


def owners() -> list[tuple[str, str]]:
    """(identifier, title) of the first teams, by name."""
    teams = Entity.objects.filter(blueprint__identifier=TEAM).order_by("identifier")
    return [
        (identifier, title or identifier)
        for identifier, title in teams.values_list("identifier", "title")[:MAX_OWNERS]
    ]


def _by_title(kind: Kind) -> str:
    return kind.title.lower()


def _subject(kind: Kind) -> dict[str, Any]:
    """What rules about a kind may ask for."""
    properties = {**kind.properties, **kind.computed}
    return {
        "identifier": kind.identifier,
        "title": kind.title,
        "fields": [
            {
                "name": name,
                "title": one.get("title") or name,
                "type": "number" if name in kind.aggregations else one.get("type"),
                "format": one.get("format"),
                "enum": one.get("enum"),
            }
            for name, one in properties.items()
        ]
        + [
            {"name": link.identifier, "title": link.title or link.identifier, "relation": True}
            for link in kind.links.values()
        ],
    }
