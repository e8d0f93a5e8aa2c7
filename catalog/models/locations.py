from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q

from catalog.models.entities import Entity
from catalog.models.fields import OrderedJSONField
from catalog.models.sources import Integration


class Location(models.Model):
    """A place where descriptors are read and watched: the root of a tree of files.

    Its target is a file or an address, perhaps a pattern; the `kind: Location` documents found
    there lead to further files. `rules` ([{"allow": ["User"]}]) add to those of all locations.
    `entity_ref` is the reference of the Location entity made for it; it stays when the target
    changes. `problem` says why the target itself could not be read. is_trusted: an administrator or
    the configuration names it; what others register brings only what any member may write.
    """

    class Type(models.TextChoices):
        URL = "url", "Address"
        FILE = "file", "File"

    class Presence(models.TextChoices):
        REQUIRED = "required"
        OPTIONAL = "optional"

    class Provider(models.TextChoices):
        REGISTERED = "registered"
        CONFIGURED = "configured"
        DISCOVERED = "discovered"

    class State(models.TextChoices):
        PENDING = "pending", "Not read yet"
        READY = "ready", "Read"
        PARTIAL = "partial", "Read with errors"
        FAILED = "failed", "Cannot be read"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=10, choices=Type.choices, default=Type.URL)
    target = models.TextField()
    presence = models.CharField(max_length=10, choices=Presence.choices, default=Presence.REQUIRED)
    provider = models.CharField(
        max_length=20, choices=Provider.choices, default=Provider.REGISTERED, editable=False
    )
    integration = models.ForeignKey(
        Integration, models.CASCADE, null=True, editable=False, related_name="locations"
    )
    rules = OrderedJSONField(default=list, blank=True)
    is_trusted = models.BooleanField(default=True, editable=False)
    entity_ref = models.TextField(editable=False)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.PENDING, editable=False
    )
    problem = models.TextField(blank=True, editable=False)
    next_refresh_at = models.DateTimeField(null=True, editable=False)
    refreshed_at = models.DateTimeField(null=True, editable=False)
    changed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["type", "target"], name="location_unique"),
        ]
        indexes = [
            models.Index(
                fields=["next_refresh_at"],
                name="location_due",
                condition=Q(next_refresh_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.place

    @property
    def place(self) -> str:
        """`type:target`, as annotations write it."""
        return f"{self.type}:{self.target}"


class LocationFile(models.Model):
    """A file that a location leads to, as it was when last read.

    place: "url:https://…" or "file:/…", the `managed-by-location` of its entities. etag: what the
    server gave, for the next conditional read. content_hash: of its bytes. targets: the places that
    its Location documents lead to ([{"place", "is_optional"}], patterns as they stand). reads: what
    its placeholders read ([{"place", "etag", "hash"}]). problems: what was refused in it
    ([{"line", "entity", "field", "message", "expected", "hint", "document"}]). message: why it
    could not be read at all.
    """

    location = models.ForeignKey(Location, models.CASCADE, related_name="files", db_index=False)
    place = models.TextField()
    etag = models.TextField(blank=True)
    content_hash = models.BinaryField(max_length=16, null=True)
    targets: Any = OrderedJSONField(default=list)
    reads: Any = OrderedJSONField(default=list)
    problems: Any = OrderedJSONField(default=list)
    message = models.TextField(blank=True)
    read_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["location", "place"], name="location_file_unique"),
        ]
        indexes = [models.Index(fields=["place"], name="location_file_place")]

    def __str__(self) -> str:
        return self.place


class LocatedEntity(models.Model):
    """That an entity comes from a file of a location; an orphan when `file` is null.

    The row stays when the file goes, so orphans are known and mended when their file returns.
    origin: `type:target` of the root. annotations: what the catalogue adds to the document
    (managed-by-location, managed-by-origin-location, view-url, edit-url, source-location).
    status: the `status.items` of the entity: what is wrong with its document now, while the last
    good one is shown.
    """

    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.OneToOneField(
        Entity, models.CASCADE, primary_key=True, related_name="located", db_constraint=False
    )
    file = models.ForeignKey(LocationFile, models.SET_NULL, null=True, related_name="entities")
    origin = models.TextField()
    annotations: Any = OrderedJSONField(default=dict)
    status: Any = OrderedJSONField(default=list)
    orphaned_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "located entities"
        indexes = [
            models.Index(
                fields=["orphaned_at"],
                name="located_orphans",
                condition=Q(orphaned_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.entity_id)
