"""Who may see, run and approve what. Every face asks here, the services themselves too.

Grants of an action (`permissions_document`) name who may run it and who may approve its runs. A
policy beside a grant narrows down who may run it, admins too, and names further approvers. What a
policy says of `execute` depends on the inputs, so lists and pages go by the grants, and starting a
run asks the policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import IntegerField, Q, QuerySet, Value
from django.db.models.fields.json import KT
from structlog import get_logger

from actions.inputs import form_context
from actions.models import Action, Run
from actions.selectors.entity_documents import document_of
from actions.selectors.runs import entity_of
from actions.services import policies
from actions.services.policies import PolicyFailed
from catalog.kernel.actors import Principal, Role
from catalog.kernel.errors import IdpError, NotFound, PermissionDenied, shorten
from catalog.models import Entity
from catalog.selectors.memberships import emails_in_teams
from catalog.selectors.search import Scope, search
from catalog.selectors.teams import people
from catalog.services.grants import grant_to
from catalog.services.permissions import WRITERS, Standing

logger = get_logger(__name__)


def permissions_document(action: Action) -> dict[str, Any]:
    """Who may run the action, and who may approve its runs."""
    default = {
        "execute": {**grant_to(*WRITERS), "policy": None},
        "approve": {**grant_to(Role.ADMIN, with_owners=False), "policy": None},
    }
    return {**default, **(action.permissions or {})}


class Access:
    """What a principal may do with actions and their runs; facts are looked up when they matter."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.standing = Standing(principal)

    # actions

    def may_see(self, action: Action) -> bool:
        """Admins see all; others what is published for people, and what they may run, on something
        at least, or approve.
        """
        if self.standing.is_admin:
            return True
        if not (action.is_self_service and action.is_published):
            return False
        return self.may_execute(action) or self._is_approver(action)

    def require_see(self, action: Action) -> None:
        """Raises NotFound: what one may not see is not there."""
        if not self.may_see(action):
            raise NotFound.of("Action", action.identifier)

    def visible_actions(self) -> list[Action]:
        """In the order they were made; one statement, and two for teams where grants name some."""
        return [one for one in _all_actions() if self.may_see(one)]

    def may_execute(
        self,
        action: Action,
        *,
        entity: Entity | None = None,
        inputs: Mapping[str, Any] | None = None,
        trigger: Mapping[str, Any] | None = None,
    ) -> bool:
        """Whether the grant, and with `inputs` the policy too, lets the principal run it.

        entity: the one it is run on. Without one, an action that needs one may be run on something
        at least. trigger: see `require_execute`.
        """
        try:
            self.require_execute(action, entity=entity, inputs=inputs, trigger=trigger)
        except PermissionDenied:
            return False
        return True

    def require_execute(
        self,
        action: Action,
        *,
        entity: Entity | None = None,
        inputs: Mapping[str, Any] | None = None,
        trigger: Mapping[str, Any] | None = None,
    ) -> None:
        """As `may_execute`. trigger: of the run that is about to start ({"by": {"user": …}, …}).

        Raises PermissionDenied; only admins are told what a policy says.
        """
        if not self.standing.is_granted(_grant(action, "execute"), team=_team(action, entity)):
            raise _refused(action, hint="An admin can name you in its permissions.")
        policy = _grant(action, "execute")["policy"]
        if policy is None or inputs is None:
            return
        context = _context(action, form_context(self.principal, entity), inputs, trigger)
        try:
            is_allowed = policies.lets_pass(policy, context)
        except PolicyFailed as error:
            logger.warning("policy_failed", action=action.identifier, reason=str(error))
            raise self._policy_refused(
                action, "its policy cannot be evaluated", str(error)
            ) from error
        if not is_allowed:
            conditions = shorten("; ".join(policy["conditions"]), 300)
            raise self._policy_refused(
                action,
                "its policy does not allow it",
                f"None of its conditions is true: {conditions}",
            )

    def offered_on(self, entity: Entity) -> list[Action]:
        """The day-2 and delete actions that the principal may run on this entity, as far as grants
        and conditions go; two statements, and those that the rules of conditions need.
        """
        found = [
            action
            for action in _all_actions().filter(blueprint=entity.blueprint_id)
            if action.is_self_service
            and action.is_published
            and action.operation != "CREATE"
            and self.may_execute(action, entity=entity)
        ]
        fitting = self._fitting(entity, [one for one in found if one.trigger.get("condition")])
        return [one for one in found if not one.trigger.get("condition") or one.pk in fitting]

    def is_offered_on(self, action: Action, entity: Entity) -> bool:
        """Whether the entity satisfies the action's condition, if it has one."""
        return not action.trigger.get("condition") or bool(self._fitting(entity, [action]))

    def permissions(self) -> list[str]:
        """What the principal may run: "execute:actions:ID", or "execute:team_entities:actions:ID"
        where only on what its teams own.
        """
        found = []
        for action in _all_actions():
            if not (action.is_self_service and action.is_published):
                continue
            grant = _grant(action, "execute")
            if self.standing.is_granted(grant):
                found.append(f"execute:actions:{action.identifier}")
            elif self.may_execute(action):
                found.append(f"execute:team_entities:actions:{action.identifier}")
        return found

    # runs

    def may_approve(self, run: Run) -> bool:
        """Whoever the grant names, or its policy named when the run began to wait. Admins may,
        too, unless there is a policy, which may be about keeping them apart.
        """
        if run.action is None:
            return self.standing.is_admin
        return self._is_approver(run.action) or bool(self.standing.names & set(run.approvers))

    def may_repeat(self, run: Run) -> bool:
        """Whether the work of a run may be done once more by word of the principal: what events
        start, by those who may write; anything else by those who may run its action now.
        """
        if self.standing.is_admin or run.action is None:
            return self.standing.is_admin
        if not run.action.is_self_service:
            return self.standing.role in WRITERS
        entity = entity_of(run)
        return run.action.is_published and self.may_execute(
            run.action, entity=entity, inputs=run.properties
        )

    def approvers_of(self, run: Run) -> list[str]:
        """E-mail addresses, and ids of API clients, of all who are named as approvers."""
        if run.action is None:
            return []
        grant = _grant(run.action, "approve")
        found = [*grant["users"], *_with_roles(grant["roles"]), *emails_in_teams(grant["teams"])]
        return list({one.lower(): one for one in [*found, *run.approvers]}.values())

    def policy_approvers(self, run: Run, *, inputs: Mapping[str, Any]) -> list[str]:
        """Whom the policy of `approve` names for a run that begins to wait, in lower case: to be
        kept on the run. One that cannot be evaluated names nobody.
        """
        try:
            return self._named_by_policy(run, inputs)
        except PolicyFailed as error:
            logger.warning("policy_failed", run=run.identifier, reason=str(error))
            return []

    def approval_problem(self, run: Run) -> str:
        """Why the policy of a run that waits names nobody; "" where it can be evaluated. For admins
        alone, who can change it.
        """
        if not self.standing.is_admin or run.status != Run.Status.WAITING_FOR_APPROVAL:
            return ""
        try:
            self._named_by_policy(run, run.properties)
        except PolicyFailed as error:
            return str(error)
        return ""

    def visible_runs(self) -> QuerySet[Run]:
        """Those of actions whose runs anybody may see, one's own, and those one may approve."""
        runs = Run.objects.select_related("action")
        if self.standing.is_admin:
            return runs
        if not self.standing.role:
            return runs.none()
        closed = [one.pk for one in _closed_actions() if not self._is_approver(one)]
        is_open = Q(action=None, is_closed=False) | (
            Q(action__isnull=False) & ~Q(action__in=closed)
        )
        return runs.filter(is_open | self._own | self._named)

    def waiting_for_me(self) -> QuerySet[Run]:
        """Runs that wait for the approval of the principal, which it has not given yet."""
        waiting = Run.objects.select_related("action").filter(
            status=Run.Status.WAITING_FOR_APPROVAL
        )
        ids = waiting.order_by().values("action").distinct()
        mine = [one.pk for one in Action.objects.filter(pk__in=ids) if self._is_approver(one)]
        done = Q(pk__in=[])
        for name in self._names:
            done |= Q(approvals__contains=[{"user": name}])
        is_mine = Q(action__in=mine) | self._named
        if self.standing.is_admin:
            is_mine |= Q(action=None)
        return waiting.filter(is_mine).exclude(done)

    # inside

    def _named_by_policy(self, run: Run, inputs: Mapping[str, Any]) -> list[str]:
        """Raises PolicyFailed."""
        policy = _grant(run.action, "approve")["policy"] if run.action else None
        if policy is None or run.action is None:
            return []
        form = form_context(self.principal, entity_of(run))
        return policies.names(policy, _context(run.action, form, inputs, run.trigger))

    def _is_approver(self, action: Action) -> bool:
        grant = _grant(action, "approve")
        if grant["policy"] is None:
            return self.standing.is_granted(grant)
        return self.standing.is_named(grant)

    @cached_property
    def _names(self) -> list[str]:
        """By which runs may call the principal."""
        keys = ("email", "username", "client_id")
        names = (getattr(self.principal, key, "") for key in keys)
        return [name for name in names if name]

    @property
    def _own(self) -> Q:
        return Q(created_by__in=self._names)

    @property
    def _named(self) -> Q:
        """Runs whose policy named the principal as an approver."""
        named = Q(pk__in=[])
        for name in self.standing.names:
            named |= Q(approvers__contains=[name])
        return named

    def _fitting(self, entity: Entity, actions: Sequence[Action]) -> set[int]:
        """Which of these actions have conditions that the entity satisfies."""
        scope = Scope(self.principal)
        questions = []
        for action in actions:
            try:
                found = search(
                    action.trigger["condition"],
                    principal=self.principal,
                    blueprint=action.blueprint,
                    scope=scope,
                )
            except IdpError as error:  # its blueprint has changed since
                logger.warning("condition_failed", action=action.identifier, reason=str(error))
                continue
            questions.append(
                found.filter(pk=entity.pk)
                .order_by()
                .values_list(Value(action.pk, output_field=IntegerField()))
            )
        if not questions:
            return set()
        first, *rest = questions
        answers = first.union(*rest, all=True) if rest else first
        return {pk for (pk,) in answers}

    def _policy_refused(self, action: Action, why: str, details: str) -> PermissionDenied:
        if self.standing.is_admin:
            return _refused(action, why, hint=details)
        return _refused(action, why, hint="An admin can see, and change, what it says.")


def _all_actions() -> QuerySet[Action]:
    return Action.objects.select_related("blueprint").order_by("pk")


def _closed_actions() -> QuerySet[Action]:
    shown = Action.objects.annotate(shown=KT("document__allowAnyoneToViewRuns"))
    return shown.filter(shown="false").only("pk", "permissions")


def _grant(action: Action, what: str) -> Mapping[str, Any]:
    grant: Mapping[str, Any] = permissions_document(action)[what]
    return grant if "policy" in grant else {**grant, "policy": None}


def _team(action: Action, entity: Entity | None) -> Sequence[str] | None:
    """Who owns what the action is run on; None: something or other."""
    if entity is not None:
        return entity.team
    return () if action.operation == "CREATE" or action.blueprint is None else None


def _context(
    action: Action,
    form: Any,
    inputs: Mapping[str, Any],
    trigger: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What policies are asked of (see `policies`). Whoever a run is for counts as its user, who has
    the properties and relations of their entity, too.
    """
    by = (trigger or {}).get("by") or {}
    user = by.get("user") or form.user
    person = people(user["email"]).first() if user.get("email") else None
    if person is not None:
        user = {**(document_of(person) or {}), **user}
    blueprint = action.blueprint
    return {
        "action": {"identifier": action.identifier, **action.document},
        "blueprint": {"identifier": blueprint.identifier, "title": blueprint.title}
        if blueprint
        else None,
        "entity": form.entity,
        "inputs": dict(inputs),
        "user": user,
        "trigger": {"operation": action.operation, **(trigger or {}), "user": user},
    }


def _with_roles(roles: Sequence[str]) -> list[str]:
    """The e-mail addresses of the users with these roles."""
    if not roles:
        return []
    users = get_user_model()._default_manager.filter(is_active=True, role__in=roles)
    return list(users.exclude(email="").order_by("pk").values_list("email", flat=True))


def _refused(action: Action, why: str = "", *, hint: str) -> PermissionDenied:
    reason = f": {why}" if why else ""
    return PermissionDenied(
        f'You may not run the action "{action.identifier}"{reason}',
        hint=hint,
        details={"resource": "Action", "value": action.identifier, "permission": "execute"},
    )
