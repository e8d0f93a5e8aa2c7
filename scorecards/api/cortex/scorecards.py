"""Scorecards: kept as Cortex's YAML, shown as its JSON; results of entities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import OBJECT, Schema, flag, list_of, query
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.models import Entity
from catalog.services import permissions
from scorecards.api.cortex import documents
from scorecards.api.cortex.base import PAGING, CortexView, call, page_of
from scorecards.api.cortex.tags import find_entity
from scorecards.api.yaml_text import YamlText
from scorecards.formats import descriptor_of
from scorecards.models import Exemption, Score, Scorecard
from scorecards.selectors.results import (
    Ladder,
    find_scorecard,
    ladder_of,
    ladders_of,
    scores_of,
    visible_scorecards,
    visible_scores,
)
from scorecards.services import access, definitions, evaluating

YAML: Final = "application/yaml"
MAX_DESCRIPTOR_BYTES: Final = 2 * 1024 * 1024
MAX_TAG: Final = 1101  # a blueprint, a colon and an identifier

_TEXT: Final[Schema] = {"type": "string"}
_ENTITY: Final = query("entityTag", "Tag of an entity.")
_ONE: Final[Schema] = {
    "type": "object",
    "properties": {"scorecard": OBJECT, "warnings": list_of(_TEXT)},
    "required": ["scorecard"],
}


class ScorecardView(CortexView):
    def scorecard(self, tag: str) -> Scorecard:
        """By its identifier, or `blueprint:identifier`. Raises NotFound, InvalidRequest where
        several blueprints have one of this name."""
        try:
            return find_scorecard(self.principal, tag)
        except NotFound:
            blueprint, colon, identifier = tag.partition(":")
            if not (blueprint and colon):
                raise
            return find_scorecard(self.principal, identifier, blueprint)

    def score(self, ladder: Ladder, entity: Entity) -> Score:
        """Raises NotFound where the scorecard is not about the entity, or not yet."""
        found = Score.objects.filter(scorecard=ladder.scorecard, entity=entity).first()
        if found is None:
            raise NotFound(
                f"{ladder.definition.title} has no score of {entity}",
                hint="It is about other entities, or was not evaluated since this one is there.",
                details={"resource": "Score", "with": "entity", "value": entity.identifier},
            )
        found.entity = entity
        return found


class DescriptorText(YamlText):
    """Whatever it is called: JSON is YAML, too."""

    media_type = "*/*"
    limit = MAX_DESCRIPTOR_BYTES


class Descriptor(CortexView):
    parser_classes = [DescriptorText]

    @call(
        "save_scorecard",
        "Create or replace a scorecard",
        params=[flag("dryRun", "Only check it, and store nothing.")],
        body=OBJECT,
        answers={200: _ONE},
        errors=[403, 409],
        body_type=YAML,
        description="By its `tag`. `warnings` says what the catalogue does not know.",
    )
    def post(self, request: Request) -> Response:
        text = request.data
        if not isinstance(text, bytes):
            raise InvalidInput.of("body", "nothing", "the YAML of a scorecard")
        scorecard, warnings = definitions.save_cortex(
            text,
            actor=self.actor,
            dry_run=params.flag(request, "dryRun"),
            permit=partial(access.require_save, self.principal),
        )
        body: dict[str, Any] = {
            "scorecard": documents.scorecard_document(scorecard) if scorecard else None
        }
        return Response({**body, "warnings": warnings} if warnings else body)


class ScorecardList(CortexView):
    @call(
        "list_scorecards",
        "List scorecards",
        params=[flag("showDrafts", "Drafts, too."), *PAGING],
        answers={200: page_of("scorecards")},
    )
    def get(self, request: Request) -> Response:
        with_drafts = params.flag(request, "showDrafts")
        found = [
            one
            for one in visible_scorecards(self.principal)
            if with_drafts or one.state != Scorecard.State.DRAFT
        ]
        return self.paged(
            "scorecards", found, lambda rows: [documents.scorecard_document(one) for one in rows]
        )


class ScorecardDetail(ScorecardView):
    @call("get_scorecard", "Get a scorecard", path=["scorecard"], answers={200: _ONE})
    def get(self, request: Request, scorecard: str) -> Response:
        return Response({"scorecard": documents.scorecard_document(self.scorecard(scorecard))})

    @call(
        "delete_scorecard",
        "Delete a scorecard",
        path=["scorecard"],
        answers={204: {}},
        errors=[403],
        description="With its results and their history.",
    )
    def delete(self, request: Request, scorecard: str) -> Response:
        permissions.require_admin(self.principal, "delete scorecards")
        found = self.scorecard(scorecard)
        blueprint = found.blueprint.identifier if found.blueprint else None
        definitions.delete_scorecard(blueprint, found.identifier, actor=self.actor)
        return Response(status=204)


class ScorecardDescriptor(ScorecardView):
    @call(
        "get_scorecard_descriptor",
        "Get a scorecard as YAML",
        path=["scorecard"],
        answers={200: OBJECT},
        errors=[409],
        answer_type=YAML,
        description="As it was sent, with identifiers of its rules; one of our own format is "
        "translated.",
    )
    def get(self, request: Request, scorecard: str) -> HttpResponse:
        return HttpResponse(descriptor_of(self.scorecard(scorecard)), content_type=YAML)


class Scores(ScorecardView):
    @call(
        "list_scores",
        "List how entities do on a scorecard",
        path=["scorecard"],
        params=[_ENTITY, *PAGING],
        answers={
            200: page_of(
                "serviceScores",
                scorecardTag=_TEXT,
                scorecardName=_TEXT,
                scorecardId={"type": "integer"},
                scorecardFilter={"type": ["object", "null"]},
            )
        },
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = self.scorecard(scorecard)
        ladder = ladder_of(found)
        scores = visible_scores(found, self.principal).select_related("entity__blueprint")
        if tag := params.text(request, "entityTag", limit=MAX_TAG):
            scores = scores.filter(entity=find_entity(tag, self.principal, scorecard=found))
        return self.paged(
            "serviceScores",
            scores.order_by("pk"),
            lambda rows: _score_documents(rows, ladder),
            scorecardTag=found.identifier,
            scorecardName=ladder.definition.title,
            scorecardId=found.pk,
            scorecardFilter=documents.scorecard_document(found)["filter"],
        )


class NextSteps(ScorecardView):
    @call(
        "list_next_steps",
        "List what is in the way of an entity's next level",
        path=["scorecard"],
        params=[query("entityTag", "Tag of the entity.", required=True)],
        answers={200: {"type": "object", "properties": {"nextSteps": list_of(OBJECT)}}},
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = self.scorecard(scorecard)
        tag = params.text(request, "entityTag", limit=MAX_TAG)
        ladder = ladder_of(found)
        score = self.score(ladder, find_entity(tag, self.principal, scorecard=found))
        step = documents.next_steps_document(score, ladder, documents.numbers_of(found))
        return Response({"nextSteps": [step]})


class Badge(ScorecardView):
    @call(
        "get_badge",
        "Get a picture of how an entity does on a scorecard, as Markdown",
        path=["scorecard", "entity"],
        answers={200: {"type": "object", "properties": {"value": _TEXT}}},
    )
    def get(self, request: Request, scorecard: str, entity: str) -> Response:
        found = self.scorecard(scorecard)
        ladder = ladder_of(found)
        score = self.score(ladder, find_entity(entity, self.principal, scorecard=found))
        return Response({"value": documents.badge(score, ladder)})


class EntityScore(ScorecardView):
    @call(
        "evaluate_entity",
        "Evaluate an entity on a scorecard now",
        path=["scorecard", "entity"],
        answers={200: {}},
        errors=[403, 409],
    )
    def post(self, request: Request, scorecard: str, entity: str) -> Response:
        found = self.scorecard(scorecard)
        access.require_evaluate(self.principal, found)
        evaluating.evaluate_entity(
            found, find_entity(entity, self.principal, scorecard=found), actor=self.actor
        )
        return Response()


class EntityScorecards(CortexView):
    @call(
        "list_scores_of_entity",
        "List how an entity does on its scorecards",
        path=["entity"],
        answers={200: list_of(OBJECT)},
    )
    def get(self, request: Request, entity: str) -> Response:
        scores = scores_of(find_entity(entity, self.principal), self.principal)
        ladders = ladders_of(one.scorecard for one in scores)
        return Response(
            [
                documents.entity_score_document(
                    one, ladders[one.scorecard_id], documents.numbers_of(one.scorecard)
                )
                for one in scores
            ]
        )


def _score_documents(scores: Sequence[Score], ladder: Ladder) -> list[Any]:
    pks = [one.entity_id for one in scores]
    groups = documents.groups_by_entity(pks)
    exemptions: dict[int, list[Exemption]] = {}
    held = Exemption.objects.filter(
        scorecard=ladder.scorecard,
        entity_id__in=pks,
        status__in=[Exemption.Status.PENDING, Exemption.Status.APPROVED],
    )
    for one in held.select_related("rule").order_by("pk"):
        exemptions.setdefault(one.entity_id, []).append(one)
    numbers = documents.numbers_of(ladder.scorecard)
    return [
        documents.score_document(
            one,
            ladder,
            groups.get(one.entity_id, ()),
            exemptions.get(one.entity_id, ()),
            numbers,
        )
        for one in scores
    ]
