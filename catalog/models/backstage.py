from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower

from catalog.models.entities import Entity
from catalog.models.fields import OrderedJSONField


class EntityDocument(models.Model):
    """An entity as Backstage's catalogue shows it, ready to be selected and sent.

    Worked out from the entity alone (`catalog.dialects.backstage.projection`), so it can be made
    anew at any time. ref: `kind:namespace/name`, lower case. document: the whole entity but for
    `relations`, whose other ends write elsewhere. pairs: its keys and values, {lower-case key:
    [value in its own case | null]}. terms: the same to select by, "key" and "key=value" in lower
    case. kind, and name in lower case, stand in columns too: what most ask and order by is found
    without unpacking the rest. etag: hash of the document and of what it states of others.
    """

    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.OneToOneField(
        Entity, models.CASCADE, primary_key=True, related_name="document", db_constraint=False
    )
    ref = models.TextField(db_collation="C")
    uid = models.UUIDField(unique=True)
    kind = models.TextField()
    name = models.TextField(db_collation="C")
    document = OrderedJSONField()
    pairs = models.JSONField()
    terms = ArrayField(models.TextField())
    etag = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ref"], name="document_ref")]
        indexes = [
            models.Index(Lower("kind"), F("uid"), name="document_kind"),
            models.Index(fields=["kind"], name="document_kinds"),
            models.Index(fields=["name", "uid"], name="document_name"),
            GinIndex(fields=["terms"], name="document_terms"),
        ]

    def __str__(self) -> str:
        return self.ref


class DocumentRelation(models.Model):
    """A relation of Backstage's model, once for each direction; `entity` is the one that says it.

    source_ref, target_ref: full references in lower case; neither needs to be in the catalogue.
    """

    entity = models.ForeignKey(
        Entity, models.CASCADE, related_name="document_relations", db_constraint=False
    )
    # the same collation as `EntityDocument.ref`, or no index serves to join them
    source_ref = models.TextField(db_collation="C")
    type = models.TextField(db_collation="C")
    target_ref = models.TextField(db_collation="C")

    class Meta:
        indexes = [
            models.Index(fields=["source_ref", "type", "target_ref"], name="document_relation"),
            models.Index(fields=["target_ref"], name="document_relation_target"),
        ]

    def __str__(self) -> str:
        return f"{self.source_ref} {self.type} {self.target_ref}"


class PendingDocument(models.Model):
    """An entity whose document is to be worked out. Any number of rows for one: a mark that two
    writers shared could be taken away before the second one is done."""

    id = models.BigAutoField(primary_key=True)
    entity_id = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.entity_id)
