"""/v1/scorecards/{scorecard}/exemptions and /v1/exemptions."""

from __future__ import annotations

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of, query
from catalog.kernel.errors import InvalidInput
from catalog.kernel.pagination import encode_cursor
from catalog.models import Entity
from scorecards.api.asked import OF_BLUEPRINT, asked_entity, asked_scorecard
from scorecards.models import Exemption
from scorecards.selectors.exemptions import (
    Asked,
    by_rule,
    exemption_document,
    find_exemption,
    find_rule,
)
from scorecards.services import exemptions as services
from scorecards.services.exemption_checks import MAX_REASON

TAG: Final = "Scorecards"
MAX_ROWS: Final = 1000
MAX_RULES: Final = 100  # of the report

_ONE = envelope(exemption=OBJECT)
_TEXT = {"type": "string"}
_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rule": {**_TEXT, "description": "Identifier of the rule."},
        "blueprint": {**_TEXT, "description": "Of the entity."},
        "entity": {**_TEXT, "description": "Identifier of the entity."},
        "query": {**OBJECT, "description": "Instead of the entity: a search."},
        "reason": {**_TEXT, "minLength": 1, "maxLength": MAX_REASON},
        "days": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "How long; 0 or absent until it is revoked.",
        },
        "ticket": {"type": ["string", "null"], "description": "Address of a ticket."},
    },
    "required": ["rule", "reason"],
}
_DECISION: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": ["string", "null"]}},
}


class ExemptionList(ApiView):
    @documented(
        "list_exemptions",
        "List the exemptions of a scorecard, newest first",
        tag=TAG,
        path=["scorecard"],
        params=[
            OF_BLUEPRINT,
            query("status", f"One of {', '.join(Exemption.Status.values)}."),
            query("rule", "Of this rule."),
            query("entity", "Of the entity with this identifier."),
            query("entity_blueprint", "Of entities of this blueprint."),
            query("requested_by", "Asked for by this person or API client."),
            query("limit", f"How many, 1 to {MAX_ROWS}; 100 if not given.", kind=int),
            query("from", "`next` of the page before."),
        ],
        answers={200: envelope(exemptions=list_of(OBJECT), byRule=list_of(OBJECT))},
        errors=[400, 404],
        description="`byRule` says how many hold and wait: a rule with many may not fit. `next` is "
        "there where there are more.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        card = asked_scorecard(self, scorecard)
        asked = Asked(
            status=params.choice(request, "status", Exemption.Status.values),
            rule=params.text(request, "rule"),
            entity=params.text(request, "entity", limit=1000),
            blueprint=params.text(request, "entity_blueprint"),
            by=params.text(request, "requested_by", limit=300),
        )
        limit = params.whole(request, "limit", default=100, high=MAX_ROWS)
        found = Exemption.objects.filter(scorecard=card)
        found = asked.narrowed(found).select_related("scorecard__blueprint", "rule")
        if after := params.text(request, "from", limit=200):
            found = found.filter(pk__lt=params.cursor_value(after, int))
        rows = list(found.order_by("-pk")[: limit + 1])
        more = {"next": encode_cursor([rows[limit - 1].pk])} if len(rows) > limit else {}
        return ok(
            exemptions=[exemption_document(one) for one in rows[:limit]],
            byRule=[
                {
                    "rule": one.rule.identifier,
                    "held": one.held,
                    "waiting": one.waiting,
                    "ever": one.ever,
                }
                for one in by_rule([card.pk], MAX_RULES)
            ],
            **more,
        )

    @documented(
        "request_exemptions",
        "Ask that a rule does not count for an entity, or for those that a search finds",
        tag=TAG,
        path=["scorecard"],
        params=[OF_BLUEPRINT],
        body=_BODY,
        answers={201: envelope(exemptions=list_of(OBJECT), passedOver={"type": "integer"})},
        errors=[403, 404, 409, 422],
        description="Approved at once where the scorecard says so, and for API clients that may "
        f"approve it. A search may find at most {services.MAX_AT_ONCE} entities that do not pass; "
        "`passedOver` counts those that need none, or have one.",
    )
    def post(self, request: Request, scorecard: str) -> Response:
        card = asked_scorecard(self, scorecard)
        body = params.body_object(request)
        rule = find_rule(card, params.body_text(body, "rule"))
        told: dict[str, Any] = {
            "reason": body.get("reason"),
            "days": body.get("days"),
            "ticket": body.get("ticket"),
            "principal": self.principal,
            "actor": self.actor,
        }
        searched = body.get("query")
        if searched is None:
            return ok(
                201,
                exemptions=[
                    exemption_document(services.request(rule, self._entity(body, card), **told))
                ],
                passedOver=0,
            )
        if body.get("entity") is not None:
            raise InvalidInput.of("entity", body["entity"], "either an entity, or a query")
        if not isinstance(searched, dict):
            raise InvalidInput.of("query", searched, "a search")
        made = services.request_many(rule, searched, **told)
        return ok(
            201,
            exemptions=[exemption_document(one) for one in made.made],
            passedOver=made.passed_over,
        )

    def _entity(self, body: dict[str, Any], card: Any) -> Entity:
        """Raises NotFound, InvalidInput."""
        identifier = params.body_text(body, "entity")
        own = card.blueprint.identifier if card.blueprint else None
        blueprint = params.body_text(body, "blueprint", default=own)
        return asked_entity(self, blueprint, identifier)


class ExemptionDetail(ApiView):
    @documented(
        "get_exemption",
        "Get an exemption",
        tag=TAG,
        path=["exemption"],
        answers={200: _ONE},
        errors=[404],
    )
    def get(self, request: Request, exemption: str) -> Response:
        return ok(exemption=exemption_document(find_exemption(exemption, self.principal)))


class _Decision(ApiView):
    """A body with a reason becomes a decision."""

    def decided(self, request: Request, exemption: str, status: str) -> Response:
        found = find_exemption(exemption, self.principal)
        decided = services.decide(
            found,
            status=status,
            reason=_reason(request),
            principal=self.principal,
            actor=self.actor,
        )
        return ok(exemption=exemption_document(decided))


class ExemptionApproval(_Decision):
    @documented(
        "approve_exemption",
        "Approve an exemption",
        tag=TAG,
        path=["exemption"],
        body=_DECISION,
        body_is_optional=True,
        answers={200: _ONE},
        errors=[403, 404, 409, 422],
        description="For admins and the owner of the scorecard. It ends at the midnight (UTC) "
        "after the last of its days. Of two decisions at once the first one wins.",
    )
    def post(self, request: Request, exemption: str) -> Response:
        return self.decided(request, exemption, Exemption.Status.APPROVED)


class ExemptionDenial(_Decision):
    @documented(
        "deny_exemption",
        "Deny an exemption",
        tag=TAG,
        path=["exemption"],
        body={**_DECISION, "required": ["reason"]},
        answers={200: _ONE},
        errors=[403, 404, 409, 422],
    )
    def post(self, request: Request, exemption: str) -> Response:
        return self.decided(request, exemption, Exemption.Status.DENIED)


class ExemptionRevocation(ApiView):
    @documented(
        "revoke_exemption",
        "Revoke an exemption",
        tag=TAG,
        path=["exemption"],
        body=_DECISION,
        body_is_optional=True,
        answers={200: _ONE},
        errors=[403, 404, 409, 422],
        description="Whoever asked for it may do so, too, without giving a reason.",
    )
    def post(self, request: Request, exemption: str) -> Response:
        revoked = services.revoke(
            find_exemption(exemption, self.principal),
            reason=_reason(request),
            principal=self.principal,
            actor=self.actor,
        )
        return ok(exemption=exemption_document(revoked))


def _reason(request: Request) -> str:
    body = params.body_object(request, may_be_empty=True)
    return "" if body.get("reason") is None else params.body_text(body, "reason")
