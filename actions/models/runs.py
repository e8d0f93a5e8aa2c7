from __future__ import annotations

import secrets
import string
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KT

from actions.models.actions import Action
from catalog.models.fields import OrderedJSONField

_LETTERS = string.ascii_letters + string.digits


def new_run_identifier() -> str:
    return "r_" + "".join(secrets.choice(_LETTERS) for _ in range(16))


class Run(models.Model):
    """One execution of an action.

    about, blueprint, entity: {"identifier", "title", "icon"} of the action, the blueprint and the
    entity as they were then. version: of the action. trigger: {"by", "origin", "at", "operation"},
    as templates see it. event: what an automation answers to.
    properties: the inputs, secret ones masked. payload: the invocation method, filled in, secrets
    masked. sealed: {"inputs": the secret ones, "payload": all in clear}, encrypted; wiped when the
    run can do nothing more with it.
    approvers: e-mail addresses that the action's policy named as it began to wait, in lower case.
    approvals: [{"user", "state", "description", "at"}]. is_closed: only those concerned may see it.
    steps: [{"id", "name", "action", "status",
    "startedAt", "endedAt"}] of a template. output: what a template gave.

    Who does the work: a worker here, as soon as `due_at` has come and nobody holds `leased_until`
    (is_watched: it is done elsewhere, and the worker looks how far it is);
    or an agent elsewhere, the one called `installation`, which may claim the run while `is_pending`
    and has it to itself until `claimed_until`. Neither: whoever does it reports its end.
    expires_at: when it is given up, or its approval is. idempotency_key: the same key of the same
    caller starts nothing new. origin_run: the one that this repeats. depth: how many runs, one
    caused by the other, stand behind it.
    """

    class Status(models.TextChoices):
        WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"
        IN_PROGRESS = "IN_PROGRESS"
        SUCCESS = "SUCCESS"
        FAILURE = "FAILURE"
        DECLINED = "DECLINED"
        CANCELLED = "CANCELLED"
        TIMED_OUT = "TIMED_OUT"

    OPEN: ClassVar[tuple[str, ...]] = ("IN_PROGRESS", "WAITING_FOR_APPROVAL")

    identifier = models.CharField(max_length=100, unique=True, default=new_run_identifier)
    action = models.ForeignKey(Action, models.SET_NULL, null=True, related_name="runs")
    version = models.PositiveIntegerField(default=1)
    about: Any = OrderedJSONField(default=dict)
    blueprint: Any = models.JSONField(null=True)
    entity: Any = models.JSONField(null=True)
    trigger: Any = OrderedJSONField(default=dict)
    event: Any = OrderedJSONField(null=True)
    status = models.CharField(max_length=30, choices=Status.choices, default=Status.IN_PROGRESS)
    status_label = models.TextField(null=True)  # noqa: DJ001 - null is not ""
    summary = models.TextField(null=True)  # noqa: DJ001 - null is not ""
    link = models.JSONField(default=list)
    external_run_id = models.CharField(max_length=1000, null=True)  # noqa: DJ001 - null is not ""
    properties: Any = OrderedJSONField(default=dict)
    payload: Any = OrderedJSONField(default=dict)
    sealed = models.BinaryField(null=True, editable=False)
    response: Any = OrderedJSONField(null=True)
    steps: Any = OrderedJSONField(default=list)
    output: Any = OrderedJSONField(null=True)
    source = models.CharField(max_length=20, default="API")
    required_approval = models.CharField(max_length=10, blank=True)
    approvers: Any = models.JSONField(default=list)
    approvals = models.JSONField(default=list)
    is_closed = models.BooleanField(default=False)
    is_pending = models.BooleanField(default=False)
    installation = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    is_watched = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    origin_run = models.ForeignKey("self", models.SET_NULL, null=True, related_name="repeats")
    depth = models.PositiveSmallIntegerField(default=0)
    is_test = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    impersonated_by = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=["WAITING_FOR_APPROVAL", "IN_PROGRESS"], ended_at__isnull=True
                )
                | Q(
                    status__in=["SUCCESS", "FAILURE", "DECLINED", "CANCELLED", "TIMED_OUT"],
                    ended_at__isnull=False,
                ),
                name="run_ends_once",
            ),
            models.CheckConstraint(
                condition=Q(status="IN_PROGRESS") | Q(is_pending=False, due_at__isnull=True),
                name="run_works_in_progress",
            ),
            models.UniqueConstraint(
                fields=["action", "created_by", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="run_started_once",
            ),
        ]
        indexes = [
            models.Index(fields=["external_run_id"], name="run_external"),
            models.Index(fields=["id"], name="run_pending", condition=Q(is_pending=True)),
            models.Index(fields=["due_at"], name="run_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["expires_at"],
                name="run_expiring",
                condition=Q(status__in=["WAITING_FOR_APPROVAL", "IN_PROGRESS"]),
            ),
            models.Index(
                fields=["id"],
                name="run_waiting",
                condition=Q(status="WAITING_FOR_APPROVAL"),
            ),
            models.Index(fields=["created_by", "id"], name="run_starter"),
            models.Index(
                KT("entity__identifier"),
                F("id"),
                name="run_entity",
                condition=Q(entity__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def title(self) -> str:
        return str(self.about.get("title") or self.about.get("identifier") or self.identifier)


class RunLog(models.Model):
    """A line of a run's log. step: of a template, "" else; step_status: "processing", "completed",
    "failed" or "skipped", where the line tells of that.
    """

    class Level(models.TextChoices):
        DEBUG = "DEBUG"
        INFO = "INFO"
        WARNING = "WARNING"
        ERROR = "ERROR"

    run = models.ForeignKey(Run, models.CASCADE, related_name="logs")
    message = models.TextField()
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    step = models.CharField(max_length=200, blank=True)
    step_status = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.message


class RunArtifact(models.Model):
    """A file that a run made, to be downloaded: the tree of a template as a zip archive."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100, default="application/zip")
    size_bytes = models.PositiveBigIntegerField()
    content = models.BinaryField(editable=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="artifact_unique")]

    def __str__(self) -> str:
        return self.name
