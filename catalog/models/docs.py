from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Left, Lower

from catalog.models.entities import Entity
from catalog.models.fields import OrderedJSONField
from catalog.models.search_vectors import Joined, Vector


class DocSite(models.Model):
    """The documentation of an entity: which sources it names, and what they were built into.

    ref: the entity's reference, `kind:namespace/name` in lower case, as addresses of docs write it.
    sources: what the entity says, {"docs": place of a folder, "adr": place of a folder, "entity":
    reference of another entity whose docs stand for its own, "path": a page of them, "readme":
    Markdown of a property}, places as descriptors write them ("file:/…", "url:https://…").
    revision: what the sources were when last read (commit, ETags, hash); version: hash of all that
    was built from them. nav: [{"title", "url", "children", "is_external"}]. warnings: [{"page",
    "message"}]. log: why the last build failed, or what it said; a failed one keeps the last good
    version, of which built_at tells.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Not built yet"
        READY = "ready", "Up to date"
        FAILED = "failed", "Cannot be built"

    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.OneToOneField(
        Entity, models.CASCADE, primary_key=True, related_name="docs", db_constraint=False
    )
    ref = models.TextField()
    sources: Any = OrderedJSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    log = models.TextField(blank=True)
    revision = models.TextField(blank=True)
    version = models.CharField(max_length=32, blank=True)
    name = models.TextField(blank=True)
    description = models.TextField(blank=True)
    nav: Any = OrderedJSONField(default=list)
    warnings: Any = OrderedJSONField(default=list)
    page_count = models.PositiveIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    next_check_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    built_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["ref"], name="doc_site_ref"),
            models.Index(
                fields=["next_check_at"],
                name="doc_site_due",
                condition=Q(next_check_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.ref


class DocPage(models.Model):
    """A page of a site. Only one whose content changed is written again.

    path: its file below the docs folder ("guides/start.md"). url: where it stands below the site's
    address ("guides/start/", "" the first page); links in `html` are relative to it. html:
    sanitised. toc: [{"id", "title", "level"}]. text: its words alone, to search in. position: its
    place in the reading order; null when it is not in the navigation. facts: what its section
    shows beside the title, {"status", "date"} of a decision.
    """

    site = models.ForeignKey(
        DocSite, models.CASCADE, related_name="pages", db_constraint=False, db_index=False
    )
    path = models.TextField()
    url = models.TextField()
    title = models.TextField()
    html = models.TextField()
    toc: Any = OrderedJSONField(default=list)
    text = models.TextField()
    position = models.PositiveIntegerField(null=True)
    facts: Any = OrderedJSONField(default=dict)
    edit_url = models.TextField(blank=True)
    content_hash = models.BinaryField(max_length=16)
    search = models.GeneratedField(
        expression=Joined(
            Vector(Left(F("title"), 1000), config="simple", weight="A"),
            Vector(Left(F("title"), 1000), config="english", weight="A"),
            # a tsvector may hold 1 MB at most; a longer one would refuse the row
            Vector(Left(F("text"), Value(100_000)), config="english", weight="C"),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["position", "path"]
        constraints = [
            models.UniqueConstraint(fields=["site", "path"], name="doc_page_unique"),
            models.UniqueConstraint(
                fields=["site", "url"],
                name="doc_page_url_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]
        indexes = [
            GinIndex(fields=["search"], name="doc_page_search"),
            GinIndex(OpClass(Lower("title"), name="gin_trgm_ops"), name="doc_page_title"),
        ]

    def __str__(self) -> str:
        return f"{self.site_id}: {self.path}"


class DocAsset(models.Model):
    """A file of a site that is no page: a picture, a download. path: below the site's address."""

    site = models.ForeignKey(
        DocSite, models.CASCADE, related_name="assets", db_constraint=False, db_index=False
    )
    path = models.TextField()
    content_type = models.CharField(max_length=100)
    content = models.BinaryField()
    content_hash = models.BinaryField(max_length=16)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "path"], name="doc_asset_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.site_id}: {self.path}"
