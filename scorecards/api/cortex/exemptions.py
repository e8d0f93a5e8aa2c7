"""Exemptions of an entity from a rule: asked for, approved, denied, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import Case, IntegerField, Value, When
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import OBJECT, Schema, list_of
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.kernel.identifiers import is_storable
from scorecards.api.cortex import documents
from scorecards.api.cortex.base import call
from scorecards.api.cortex.scorecards import ScorecardView
from scorecards.api.cortex.tags import find_entity
from scorecards.models import Exemption
from scorecards.selectors.exemptions import find_rule
from scorecards.services import exemptions as services

_PATH: Final = ("scorecard", "entity")
_ERRORS: Final = (403, 409)
_TEXT: Final[Schema] = {"type": "string"}
_RULE: Final[Schema] = {
    "type": "object",
    "properties": {"ruleIdentifier": _TEXT, "reason": _TEXT},
    "required": ["ruleIdentifier"],
}
_ASKED: Final[Schema] = {
    **_RULE,
    "properties": {
        **_RULE["properties"],
        "days": {"type": ["integer", "null"], "description": "0 or none: until it is revoked."},
    },
    "required": ["ruleIdentifier", "reason"],
}
_DONE: Final[Schema] = {"type": "object", "properties": {"exemptions": list_of(OBJECT)}}
Status = Exemption.Status


class _ExemptionView(ScorecardView):
    def found(self, request: Request, scorecard: str, entity: str, *wanted: str) -> Exemption:
        """The one that the body is about; wanted: statuses, of which it has the first if any has.

        Raises NotFound, InvalidInput.
        """
        card = self.scorecard(scorecard)
        about = find_entity(entity, self.principal, scorecard=card)
        name = _rule_name(params.body_object(request))
        order = Case(
            *[When(status=one, then=Value(place)) for place, one in enumerate(wanted)],
            default=Value(len(wanted)),
            output_field=IntegerField(),
        )
        exemptions = Exemption.objects.filter(
            scorecard=card, entity_id=about.pk, rule__identifier=name
        )
        found = (
            exemptions.select_related("scorecard__blueprint", "rule").order_by(order, "-pk").first()
        )
        if found is None:
            raise NotFound.of("Exemption", name, field="ruleIdentifier")
        return found

    def reason(self, request: Request) -> Any:
        return params.body_object(request).get("reason") or ""


class ExemptionRequest(_ExemptionView):
    @call(
        "request_exemption",
        "Ask that a rule does not count for an entity",
        path=_PATH,
        body=_ASKED,
        answers={200: OBJECT},
        errors=_ERRORS,
        description="It is approved at once for a key that may approve it.",
    )
    def post(self, request: Request, scorecard: str, entity: str) -> Response:
        card = self.scorecard(scorecard)
        about = find_entity(entity, self.principal, scorecard=card)
        body = params.body_object(request)
        rule = find_rule(card, _rule_name(body))
        made = services.request(
            rule,
            about,
            reason=body.get("reason"),
            days=body.get("days"),
            principal=self.principal,
            actor=self.actor,
        )
        return Response(documents.exemption_document(made))


class ExemptionApproval(_ExemptionView):
    @call(
        "approve_exemption",
        "Approve an exemption",
        path=_PATH,
        body=_RULE,
        answers={200: _DONE},
        errors=_ERRORS,
    )
    def put(self, request: Request, scorecard: str, entity: str) -> Response:
        found = self.found(request, scorecard, entity, Status.PENDING, Status.APPROVED)
        if found.status == Status.APPROVED and services.may_approve(
            self.principal, found.scorecard
        ):
            return _done(found)  # it was approved as it was asked for
        return _done(
            services.decide(
                found, status=Status.APPROVED, principal=self.principal, actor=self.actor
            )
        )


class ExemptionDenial(_ExemptionView):
    @call(
        "deny_exemption",
        "Deny an exemption",
        path=_PATH,
        body=_RULE,
        answers={200: _DONE},
        errors=_ERRORS,
        description="One that was approved already is revoked.",
    )
    def put(self, request: Request, scorecard: str, entity: str) -> Response:
        found = self.found(request, scorecard, entity, Status.PENDING, Status.APPROVED)
        who: Mapping[str, Any] = {"principal": self.principal, "actor": self.actor}
        reason = self.reason(request)
        if found.status == Status.APPROVED:
            return _done(services.revoke(found, reason=reason, **who))
        return _done(services.decide(found, status=Status.DENIED, reason=reason, **who))


class ExemptionRevocation(_ExemptionView):
    @call(
        "revoke_exemption",
        "Revoke an exemption",
        path=_PATH,
        body=_RULE,
        answers={200: _DONE},
        errors=_ERRORS,
    )
    def put(self, request: Request, scorecard: str, entity: str) -> Response:
        found = self.found(request, scorecard, entity, Status.APPROVED, Status.PENDING)
        revoked = services.revoke(
            found, reason=self.reason(request), principal=self.principal, actor=self.actor
        )
        return _done(revoked)


def _rule_name(body: Mapping[str, Any]) -> str:
    name = body.get("ruleIdentifier")
    if not isinstance(name, str) or not name:
        raise InvalidInput.of("ruleIdentifier", name, "the identifier of a rule")
    if not is_storable(name):
        raise NotFound.of("Rule", name)
    return name


def _done(exemption: Exemption) -> Response:
    return Response({"exemptions": [documents.exemption_document(exemption)]})
