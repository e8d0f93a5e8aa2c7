"""/v1/scorecards/{scorecard}/versions: what a scorecard has said."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of, query
from catalog.selectors.documents import timestamp
from scorecards.api.scorecards import TAG, WRITING, WRITTEN, ScorecardView, written
from scorecards.models import Scorecard, ScorecardVersion
from scorecards.selectors.named import find_scorecard
from scorecards.selectors.versions import differences
from scorecards.services.definitions import restore_version
from scorecards.services.keeping import get_version, versions_of

_TEXT = {"type": "string"}
VERSION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "version": {"type": "integer"},
        "createdAt": {"type": "string", "format": "date-time"},
        "createdBy": _TEXT,
    },
    "required": ["version", "createdAt", "createdBy"],
}
_CHANGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": _TEXT,
        "kind": {"type": "string", "enum": ["added", "removed", "changed", "moved"]},
        "before": {},
        "after": {},
    },
    "required": ["path", "kind"],
}
_FULL_VERSION: dict[str, Any] = {
    **VERSION,
    "properties": {
        **VERSION["properties"],
        "dialect": {"type": "string", "enum": Scorecard.Dialect.values},
        "document": OBJECT,
        "changes": list_of(_CHANGE),
    },
    "required": [*VERSION["required"], "dialect", "document", "changes"],
}


class ScorecardVersions(ScorecardView):
    @documented(
        "list_scorecard_versions",
        "List what a scorecard has said",
        tag=TAG,
        path=["scorecard"],
        answers={200: envelope(versions=list_of(VERSION))},
        errors=[404, 409],
        description="Newest first.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        found = versions_of(self.seen(scorecard)).defer("document")
        return ok(versions=[version_document(one) for one in found])


class ScorecardVersionDetail(ScorecardView):
    @documented(
        "get_scorecard_version",
        "Get what a scorecard said",
        tag=TAG,
        path=["scorecard", "version"],
        params=[query("against", "Number of the version to compare with: the one before if none.")],
        answers={200: envelope(version=_FULL_VERSION)},
        errors=[404, 409],
        description="`changes` are what differs from the version compared with; rules and levels "
        "are compared by their names.",
    )
    def get(self, request: Request, scorecard: str, version: str) -> Response:
        found = self.seen(scorecard)
        then = get_version(found, _number(version))
        against = params.text(request, "against")
        before = (
            get_version(found, _number(against))
            if against
            else found.versions.filter(version__lt=then.version).first()
        )
        changes = differences(before, then) if before else []
        return ok(
            version={
                **version_document(then),
                "dialect": then.dialect,
                "document": then.document,
                "changes": [one.as_dict() for one in changes],
            }
        )


class ScorecardRestore(ScorecardView):
    @documented(
        "restore_scorecard_version",
        "Let a scorecard say again what it said",
        tag=TAG,
        path=["scorecard", "version"],
        answers={200: WRITTEN},
        errors=WRITING,
        description="As a new version, which is checked like any other change.",
    )
    def post(self, request: Request, scorecard: str, version: str) -> Response:
        found = find_scorecard(scorecard)
        self.permit(found)
        return written(restore_version(found, _number(version), actor=self.actor))


def version_document(version: ScorecardVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "createdAt": timestamp(version.at),
        "createdBy": version.by,
    }


def _number(value: str) -> int:
    """The number of a version; 0, which is none, for what cannot be one."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0
