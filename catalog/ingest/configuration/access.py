"""`backend.auth.externalAccess`: the tokens that a company's scripts send."""

from __future__ import annotations

from catalog.dialects.backstage.config import Entry
from catalog.ingest.configuration.report import Status
from catalog.ingest.configuration.taking import Taking
from catalog.kernel.errors import InvalidInput
from catalog.registry import fixed_token_takers


def take_access(taking: Taking, root: Entry) -> None:
    """Static tokens go on working; what is signed elsewhere needs an API client of ours."""
    access = root.get("backend", "auth", "externalAccess")
    if access is None:
        return
    with taking.attempt(access):
        for entry in access.elements():
            _take(taking, entry)


def _take(taking: Taking, entry: Entry) -> None:
    kind, token = entry.get("type"), entry.get("options", "token")
    if kind is None or kind.text() != "static" or token is None:
        taking.unsupported(
            entry, "make an API client in the administration: its id and secret buy tokens"
        )
        return
    if token.missing:
        taking.left_out(entry, token)
        return
    subject = entry.get("options", "subject")
    name = subject.text() if subject and not subject.missing else "Backstage"
    for take in fixed_token_takers:
        try:
            with taking.tried():
                words = take(name, token.text(), taking.actor)
        except InvalidInput as error:  # too short for us, and no reason to refuse the rest
            taking.unsupported(entry, f"left out: {error}")
            return
        taking.taken(entry, words)
    if restrictions := entry.get("accessRestrictions"):
        taking.note(restrictions, Status.UNSUPPORTED, "the role of the API client says what it may")
