from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models.entities import Entity
from catalog.models.fields import OrderedJSONField


def new_webhook_key() -> str:
    """The unguessable last part of an address that takes live events."""
    return secrets.token_urlsafe(24)


class Integration(models.Model):
    """A configured source: where facts come from, how they become entities, and how often.

    One that `runs_here` is synced by our workers; its `kind` is a registered source kind. The
    others are exporters that run elsewhere, write through the API and only register themselves
    (`kind` is then the type they name). `identifier` is Port's installationId.

    settings: the kind's configuration without secrets. sealed: its secrets, encrypted (see
    `catalog.services.secrets`). mapping: Port's `config` ({"resources": [{"kind", "selector",
    "port"}], …}), as it was written. attributes: what an exporter says of itself, returned as
    sent. resync_state, resync_requested_at: what exporters report and are asked for. cursors:
    where incremental exporters stopped, by "kind/index".

    `updated_at` moves only with what clients may see as a change of the integration; exporters
    poll it.
    """

    WEBHOOK: ClassVar[str] = "webhook"  # the kind that takes any JSON (Port's webhooks)

    identifier = models.CharField(max_length=100)
    title = models.CharField(max_length=200, blank=True)
    icon = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=100)
    runs_here = models.BooleanField(default=True, editable=False)
    is_enabled = models.BooleanField(
        default=True, help_text="Off: no schedule and no live events; what it wrote stays."
    )
    settings = OrderedJSONField(default=dict, blank=True)
    sealed = models.BinaryField(null=True, editable=False)
    mapping = OrderedJSONField(default=dict, blank=True)
    schedule = models.CharField(
        max_length=100,
        blank=True,
        help_text='Like "every 15m", "every 6h", or a cron line like "0 3 * * *" (UTC). '
        "Empty: only by hand.",
    )
    next_run_at = models.DateTimeField(null=True, editable=False)
    webhook_key = models.CharField(
        max_length=64, unique=True, default=new_webhook_key, editable=False
    )
    attributes = OrderedJSONField(default=dict, blank=True, editable=False)
    resync_state = OrderedJSONField(null=True, editable=False)
    resync_requested_at = models.DateTimeField(null=True, editable=False)
    cursors = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["identifier"]
        verbose_name = "source"
        constraints = [
            # The API keeps webhooks and integrations under addresses of their own.
            models.UniqueConstraint(
                fields=["identifier"], condition=~Q(kind="webhook"), name="integration_unique"
            ),
            models.UniqueConstraint(
                fields=["identifier"], condition=Q(kind="webhook"), name="webhook_unique"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_run_at"],
                name="integration_due",
                condition=Q(next_run_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.identifier


class SyncRunQuerySet(models.QuerySet["SyncRun"]):
    def unfinished(self) -> SyncRunQuerySet:
        return self.filter(state__in=[SyncRun.State.QUEUED, SyncRun.State.RUNNING])

    def silent(self) -> SyncRunQuerySet:
        """Running ones whose worker has not been heard of: it is dead, or as good as."""
        return self.filter(
            state=SyncRun.State.RUNNING, heartbeat_at__lt=timezone.now() - SyncRun.SILENCE
        )


class SyncRun(models.Model):
    """One pass over a source, ours or an exporter's, with all that a person asks of it later.

    kinds: the progress, a list in the order of the mapping's resources (see
    `catalog.ingest.progress`): [{"kind", "index", "state", "pages", "fetched", "filtered",
    "failed", "created", "updated", "unchanged", "rejected", "message"}]. cursor: where a resumed
    run goes on ({"index", "page", "offset"}). claim: changes hands with each claim, so that a
    worker that was given up cannot go on writing. only_kinds: empty means all. stale: what became
    of entities the source no longer has (see `catalog.ingest.ownership`): {"state": "deleted" |
    "none" | "held" | "ignored" | "skipped" | "preview", "reason", "found", "deleted", "kinds"}.
    external_id: the run's name at the exporter. reported: what the exporter said of it, word for
    word, by its name for the kind. refused: how many of its items we refused ourselves.
    """

    SILENCE: ClassVar[timedelta] = timedelta(seconds=60)

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        PARTIAL = "partial", "Completed with errors"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Trigger(models.TextChoices):
        MANUAL = "manual"
        SCHEDULE = "schedule"
        API = "api"
        EXPORTER = "exporter"

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="runs")
    state = models.CharField(max_length=20, choices=State.choices, default=State.QUEUED)
    trigger = models.CharField(max_length=20, choices=Trigger.choices, default=Trigger.MANUAL)
    requested_by = models.CharField(max_length=300, blank=True)
    is_dry_run = models.BooleanField(default=False)
    only_kinds = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    claim = models.UUIDField(null=True)
    cursor = models.JSONField(null=True)
    kinds = models.JSONField(default=list)
    stale = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=50, blank=True)
    external_id = models.CharField(max_length=100, blank=True)
    reported = models.JSONField(default=dict)
    refused = models.PositiveIntegerField(default=0)

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration"],
                condition=Q(state="running") & ~Q(trigger="exporter"),
                name="sync_run_one_running",
            ),
            models.UniqueConstraint(
                fields=["integration"],
                condition=Q(state="queued"),
                name="sync_run_one_queued",
            ),
            models.UniqueConstraint(
                fields=["integration", "external_id"],
                condition=~Q(external_id=""),
                name="sync_run_external",
            ),
        ]
        indexes = [models.Index(fields=["state", "heartbeat_at"], name="sync_run_state")]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def is_finished(self) -> bool:
        return self.state not in (self.State.QUEUED, self.State.RUNNING)

    @property
    def name(self) -> str:
        """What the change feed calls the run."""
        return f"sync_{self.pk}"

    @property
    def totals(self) -> dict[str, int]:
        """The counts of all kinds together."""
        totals: dict[str, int] = {}
        for kind in self.kinds:
            for key, value in kind.items():
                if isinstance(value, int) and key != "index":
                    totals[key] = totals.get(key, 0) + value
        return totals


class Postponed(models.Model):
    """An entity that could not be stored yet, since something it names is not there.

    What comes later in the run may bring it, so it is tried again at the end. Rows live no longer
    than their run. body: what the mapping made (a Port entity body). item: the raw object as it
    goes into the log.
    """

    run = models.ForeignKey(SyncRun, models.CASCADE, related_name="postponed")
    index = models.PositiveIntegerField()  # of the mapping's resource
    blueprint = models.CharField(max_length=100)
    body = OrderedJSONField()
    item = models.JSONField(null=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "postponed"

    def __str__(self) -> str:
        return f"{self.blueprint} of run {self.run_id}"


class SyncMessage(models.Model):
    """A line of a source's log: what happened to which item, so that nobody has to guess.

    `stage` says where: fetch, select, map, apply, delete, live, preview (what a dry run would
    write), log (a line of an exporter's own log), or "" for a remark. For an item: `blueprint` and
    `identifier` as far as they are known, `field` of the entity, `item` the raw object (secrets
    masked, cut at some size). details: {"value", "expected", "expression", …}.
    """

    class Level(models.TextChoices):
        DEBUG = "debug"
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    # no index of its own: `sync_message_at` begins with it
    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="messages", db_index=False
    )
    run = models.ForeignKey(SyncRun, models.CASCADE, null=True, related_name="messages")
    event = models.ForeignKey(
        "catalog.InboundEvent", models.CASCADE, null=True, related_name="messages"
    )
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    stage = models.CharField(max_length=20, blank=True)
    kind = models.CharField(max_length=200, blank=True)
    blueprint = models.CharField(max_length=100, blank=True)
    identifier = models.CharField(max_length=1000, blank=True)
    field = models.CharField(max_length=300, blank=True)
    message = models.TextField()
    details = models.JSONField(default=dict)
    item = models.JSONField(null=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["integration", "at"], name="sync_message_at"),
            models.Index(fields=["blueprint", "identifier"], name="sync_message_entity"),
            # The audit log lists what could not be written, of all sources.
            models.Index(fields=["at"], name="sync_message_error", condition=Q(level="error")),
        ]

    def __str__(self) -> str:
        return self.message


class Owned(models.Model):
    """That an integration says an entity is there. Stale deletion works from these rows alone.

    One row for each resource kind of the mapping that gave the entity. `run` is the sync run
    (pk) that saw it last, null when a live event wrote it since. An entity that another
    integration owns too, or that a source found and did not create, is never deleted for it.
    """

    # no index of its own: `owned_unique` begins with it
    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="owned", db_index=False
    )
    kind = models.CharField(max_length=200)
    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.ForeignKey(
        Entity, models.CASCADE, related_name="owned_by_sources", db_constraint=False
    )
    is_creator = models.BooleanField(default=False)
    run = models.BigIntegerField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration", "kind", "entity"], name="owned_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.integration_id} has {self.entity_id}"


class InboundEvent(models.Model):
    """A live event as it came in: stored before the sender is answered, processed after.

    delivery: the sender's name for it, or one of our making; a second one is a replay. It is also
    what the change feed calls the run of what it wrote. headers: without what proves the sender.
    attempts, due_at: how often a worker took it up, and not before when one may (again).
    results: [{"blueprint", "identifier", "status", "field"?, "message"?}] (see
    `catalog.ingest.live_writing`).
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        IGNORED = "ignored"
        FAILED = "failed"

    # no index of its own: `inbound_event_unique` begins with it
    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="events", db_index=False
    )
    delivery = models.CharField(max_length=200)
    received_at = models.DateTimeField(default=timezone.now)
    headers = models.JSONField(default=dict)
    query = models.JSONField(default=dict)
    body = models.BinaryField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    results = models.JSONField(default=list)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "delivery"], name="inbound_event_unique"
            ),
        ]
        indexes = [
            models.Index(
                fields=["integration", "id"],
                name="inbound_event_queue",
                condition=Q(state="waiting"),
            ),
            models.Index(fields=["received_at"], name="inbound_event_received"),
        ]

    def __str__(self) -> str:
        return f"event {self.delivery} of {self.integration_id}"


class KindExample(models.Model):
    """A raw object of a kind, kept for trying mappings on; a handful for each."""

    KEPT: ClassVar[int] = 5

    # no index of its own: `kind_example_kind` begins with it
    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="examples", db_index=False
    )
    kind = models.CharField(max_length=200)
    data: Any = OrderedJSONField()
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["kind", "pk"]
        indexes = [models.Index(fields=["integration", "kind"], name="kind_example_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.integration_id}"
