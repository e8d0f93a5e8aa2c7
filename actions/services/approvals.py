"""Approving and declining runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from actions.models import Run
from actions.services import handing_over
from actions.services.access import Access
from actions.services.reporting import checked_text, get_run
from actions.services.states import changing, move, write_line
from actions.services.telling import tell_worker
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, InvalidInput, PermissionDenied


def decide(identifier: str, body: Mapping[str, Any], *, principal: Principal, actor: Actor) -> Run:
    """Approve or decline a run that waits for it ({"status": "APPROVE" | "DECLINE",
    "description"}); one who declines ends it, the last one needed starts its work.

    Raises NotFound, InvalidInput, Conflict when it does not wait, PermissionDenied.
    """
    verdict = str(body.get("status", "")).upper()
    if verdict not in ("APPROVE", "DECLINE"):
        raise InvalidInput.of("status", body.get("status"), "APPROVE or DECLINE")
    description = checked_text(body.get("description"), "description") or ""
    found = get_run(identifier, principal=principal)
    access = Access(principal)
    if not access.may_approve(found):
        raise PermissionDenied(
            "You may not approve this run",
            hint="An admin can name you in the action's permissions.",
            details={"resource": "Run", "value": identifier, "permission": "approve"},
        )
    with changing(found.pk, actor) as run:
        if run.status != Run.Status.WAITING_FOR_APPROVAL:
            raise Conflict(
                f"The run does not wait for approval: it is {run.status}",
                details={"resource": "Run", "value": identifier},
            )
        state = "APPROVED" if verdict == "APPROVE" else "DECLINED"
        run.approvals = [
            *(one for one in run.approvals if one["user"].lower() != actor.name.lower()),
            {
                "user": actor.name,
                "state": state,
                "description": description,
                "at": timezone.now().isoformat(),
            },
        ]
        line = f"{state.capitalize()} by {actor.name}{f': {description}' if description else '.'}"
        write_line(run, line, by=actor.name)
        if state == "DECLINED":
            move(run, Run.Status.DECLINED)
        elif not pending_approvers(run, access):
            move(run, Run.Status.IN_PROGRESS)
            handing_over.hand_over(run, by=actor)
            tell_worker(run)
    return run


def pending_approvers(run: Run, access: Access) -> list[str]:
    """Whose approval is missing: with ALL, everybody named as an approver."""
    if run.required_approval != "ALL":
        return []
    approved = {one["user"].lower() for one in run.approvals if one["state"] == "APPROVED"}
    return [name for name in access.approvers_of(run) if name.lower() not in approved]
