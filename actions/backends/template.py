"""Runs software templates: steps in a folder of their own, what they made kept as an archive."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection
from django.urls import reverse
from django.utils import timezone
from structlog import get_logger

from actions.inputs import definition_of
from actions.models import Run, RunArtifact
from actions.registry import Invocation, Outcome
from actions.scaffolder.finding import template_named, user_of
from actions.scaffolder.origin import PlacedOrigin
from actions.scaffolder.runner import Runner
from actions.scaffolder.task import (
    WALL_CLOCK_S,
    Cancelled,
    Result,
    Task,
    archive_name,
    interrupted_step,
)
from actions.scaffolder.template import read_template
from actions.scaffolder.workspace import Workspace, opened_workspace
from actions.services.handing_over import masked
from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import EntityRef, RefError, parse_ref
from catalog.kernel.actors import Actor, Insider, Principal, Role
from catalog.kernel.errors import Conflict, InvalidInput
from catalog.kernel.http.masking import mask
from catalog.portal.links import entity_url
from catalog.services.permissions import actor_of

logger = get_logger(__name__)

LONGEST_S: Final = 1_500.0  # a worker's task may take half an hour
MAX_ARCHIVE: Final = 50 * 1024 * 1024  # bytes
_SHORTEST_SECRET: Final = 6  # characters; what is shorter stands in any file by chance
_LOOK_EVERY_S: Final = 1.0
_EXTEND_EVERY_S: Final = 20.0


class Template:
    """`TEMPLATE`: {"template": "template:default/name", "values"?: {…}}."""

    type = "TEMPLATE"
    title = "Software template"
    description = "Runs the steps of a software template of the catalogue."
    icon = "Template"
    schema: Mapping[str, Any] = {
        "type": "object",
        "required": ["template"],
        "properties": {
            "type": {"const": "TEMPLATE"},
            "template": {
                "type": "string",
                "title": "Template",
                "description": "The reference of the template, as in template:default/new-service.",
            },
            "values": {
                "type": "object",
                "title": "Values",
                "description": "The parameters of the template; all inputs where nothing is said.",
            },
        },
    }

    def check(self, method: Mapping[str, Any]) -> None:
        _ref(method, "invocationMethod.template")

    def agent_of(self, payload: Mapping[str, Any]) -> str:
        return ""

    def invoke(self, invocation: Invocation) -> Outcome:
        """A worker that dies leaves a run that begins anew, in a new folder, as long as no step
        had begun that changes something elsewhere: those are never repeated by themselves. Sent
        again by hand, it begins anew in any case.
        """
        run = invocation.run
        if run.attempts > 1 and (name := interrupted_step(run.steps)):
            raise Conflict(
                f'A worker died after the step "{name}" had begun to change things elsewhere; '
                "nothing was repeated",
                hint="See what is there already, then send the run again or start a new one.",
            )
        ref = _ref(invocation.payload, "template")
        invocation.record(method="RUN", url=str(ref))
        found = template_named(ref)
        template = read_template(found.document)
        principal, actor = starter_of(run)
        task = Task(
            id=run.identifier,
            template=template,
            parameters=_parameters(invocation),
            secrets=_secrets(invocation),
            user=user_of(run.created_by),
            principal=principal,
            actor=actor,
            hidden=invocation.secrets,
            wall_clock_s=_wall_clock_s(run),
        )
        template.check_secrets(task.secrets)
        with (
            _Reporter(invocation) as reporter,
            PlacedOrigin.of(found.document, found.entity.location) as origin,
            opened_workspace() as workspace,
        ):
            runner = Runner(task, workspace=workspace, origin=origin, reporter=reporter)
            try:
                result = runner.run()
            except Cancelled:
                return Outcome()
            runner.keep(archive_name(template.ref))
        return _outcome(result)


def starter_of(run: Run) -> tuple[Principal, Actor]:
    """In whose name a run works. Where that is no user of ours, it may what the run remembers of
    them; what an automation starts may what an admin may, who wrote it."""
    if run.source == "AUTOMATION":
        return Insider(), Actor.system(run.created_by)
    user = get_user_model().objects.filter(email__iexact=run.created_by).first()
    who = (run.trigger.get("by") or {}).get("user") or {}
    principal: Any = user or Insider(run.created_by, str(who.get("role") or Role.VIEWER))
    return principal, actor_of(principal)


def links_of(result: Result) -> list[str]:
    """Where people see what was made: what the template says, else what its steps published."""
    said = [one for one in result.output.get("links") or () if isinstance(one, Mapping)]
    found = [url for one in said if (url := _address(one))]
    if not found:
        urls = [output.get("remoteUrl") for output in result.outputs.values()]
        found = [url for url in urls if isinstance(url, str) and url]
    return list(dict.fromkeys(found))


def _outcome(result: Result) -> Outcome:
    """What came of it, without what was made of secrets."""
    output = masked(result.output, result.hidden)
    if result.error is None:
        links = [mask(one, result.hidden) for one in links_of(result)]
        return Outcome(status="SUCCESS", links=links, output=output)
    where = f'Step "{result.failed_step}": ' if result.failed_step else ""
    summary = mask(f"{where}{result.error}", result.hidden)
    return Outcome(status="FAILURE", summary=summary, output=output)


def _wall_clock_s(run: Run) -> float:
    minutes = run.action.document.get("timeoutMinutes") if run.action else None
    return min(minutes * 60.0, LONGEST_S) if minutes else WALL_CLOCK_S


def _ref(payload: Mapping[str, Any], field: str) -> EntityRef:
    ref = payload.get("template")
    try:
        return parse_ref(ref, default_kind="template")
    except RefError as error:
        raise InvalidInput.of(field, ref, f"the reference of a template ({error})") from error


def _parameters(invocation: Invocation) -> Mapping[str, Any]:
    """What was filled in; secrets of their own (`ui:field: Secret`) stay masked, as steps get them
    under `secrets`."""
    values = invocation.payload.get("values")
    if isinstance(values, Mapping):
        return values
    if values is not None:
        raise InvalidInput.of("values", values, "an object")
    run = invocation.run
    fields = definition_of(run.action).fields if run.action and run.action.template else {}
    apart = {name for name, field in fields.items() if field.in_secrets}
    return {
        name: shown if name in apart else invocation.inputs.get(name, shown)
        for name, shown in run.properties.items()
    }


def _secrets(invocation: Invocation) -> dict[str, str]:
    """The inputs that the run keeps hidden, by their names."""
    shown = invocation.run.properties
    return {
        name: value
        for name, value in invocation.inputs.items()
        if isinstance(value, str) and shown.get(name) != value
    }


def _address(link: Mapping[str, Any]) -> str:
    url, ref = link.get("url"), link.get("entityRef")
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return url
    try:
        return f"{settings.IDP_URL}{entity_url(*key_of_ref(parse_ref(ref)))}"
    except RefError:
        return ""


class _Reporter:
    """Tells the run's row of its steps, and keeps it leased, also while one long call lasts."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._looked_at = time.monotonic()
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep_leased, daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._keeper.join()

    def log(self, message: str, *, level: str, step: str, step_status: str) -> None:
        self._invocation.log(message, level=level, step=step, step_status=step_status)

    def steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        run = self._invocation.run
        Run.objects.filter(pk=run.pk, attempts=run.attempts, status=Run.Status.IN_PROGRESS).update(
            steps=list(steps)
        )

    def keep(self, workspace: Workspace, name: str, folder: str, hidden: Collection[str]) -> str:
        texts = [one.encode() for one in hidden if len(one) >= _SHORTEST_SECRET]
        secret = workspace.holding(texts) if texts else []
        for path in secret:
            self._warn(f"{path} is not in {name}: a secret stands in it")
        if all(file.path in secret for file in workspace.files(folder)):
            return ""
        content = workspace.archive(folder, without=secret)
        if len(content) > MAX_ARCHIVE:
            self._warn(f"{name} is not kept: it has {len(content):,} bytes of {MAX_ARCHIVE:,}")
            return ""
        run = self._invocation.run
        RunArtifact.objects.update_or_create(
            run=run,
            name=name,
            defaults={
                "size_bytes": len(content),
                "content": content,
                "created_at": timezone.now(),
            },
        )
        return f"{settings.IDP_URL}{reverse('actions:run-file', args=[run.identifier, name])}"

    def is_cancelled(self) -> bool:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return False
        self._looked_at = now
        return self._invocation.is_cancelled()

    def _warn(self, message: str) -> None:
        self._invocation.log(message, level="WARNING", step="", step_status="")

    def _keep_leased(self) -> None:
        while not self._is_over.wait(_EXTEND_EVERY_S):
            try:
                self._invocation.extend()
            except DatabaseError as error:  # there are more turns before the lease runs out
                logger.warning("lease_not_extended", error=str(error))
            finally:
                connection.close()  # this thread's own
