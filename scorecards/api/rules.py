"""/v1/scorecards/{scorecard}/rules: how often each rule flips, and how long it stays open."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import Schema, documented, envelope, list_of, query
from catalog.selectors.documents import timestamp
from scorecards.api.asked import OF_BLUEPRINT, asked_scorecard, before
from scorecards.selectors.results import ladder_of
from scorecards.selectors.rule_history import MAX_CHANGES, WINDOW, RuleCourse, course_of

TAG: Final = "Scorecards"

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_RULE: Schema = {
    "type": "object",
    "properties": {
        "identifier": _TEXT,
        "title": _TEXT,
        "level": {"type": ["string", "null"], "description": "Null for points only."},
        "flips": {**_WHOLE, "description": "How often it came to be passed, or not any more."},
        "broken": {**_WHOLE, "description": "How often it was not passed any more."},
        "mended": {**_WHOLE, "description": "How often it came to be passed."},
        "meanTimeToFix": {
            "type": ["number", "null"],
            "description": "Seconds from when it came to be open until it was passed, of what was "
            "fixed in this time; null where nothing was.",
        },
    },
}


class RuleList(ApiView):
    @documented(
        "list_scorecard_rules",
        "List how often rules flip and how long it takes to fix them",
        tag=TAG,
        path=["scorecard"],
        params=[
            query("since", f"A day or a moment; {WINDOW.days} days before if not given."),
            query("until", "A day or a moment; now if not given."),
            OF_BLUEPRINT,
        ],
        answers={
            200: envelope(
                rules=list_of(_RULE),
                since={**_MOMENT, "description": "Later than asked for in a very long history."},
                until=_MOMENT,
            )
        },
        errors=[400, 404],
        description="By data, time and exemptions; edits of rules do not count. Of a history of "
        f"more than {MAX_CHANGES:,} changes, fewer where there are many rules, the newest.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = asked_scorecard(self, scorecard)
        until = params.moment(request, "until") or timezone.now()
        since = params.moment(request, "since") or before(until, WINDOW, "until")
        if since >= until:
            raise params.wrong("since", timestamp(since), f"a moment before {timestamp(until)}")
        course = course_of(ladder_of(found), since=since, until=until)
        return ok(
            rules=[_rule(one) for one in course.rules],
            since=timestamp(course.since),
            until=timestamp(course.until),
        )


def _rule(course: RuleCourse) -> dict[str, Any]:
    spec = course.rung.spec
    return {
        "identifier": spec.identifier,
        "title": spec.title,
        "level": spec.level or None,
        "flips": course.flips,
        "broken": course.broken,
        "mended": course.mended,
        "meanTimeToFix": None if course.mean is None else course.mean.total_seconds(),
    }
