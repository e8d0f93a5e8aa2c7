from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Value
from django.db.models.functions import Left, Lower

from catalog.models.entities import Entity
from catalog.models.search_vectors import Joined, Vector


class _Words(Func):
    """Names and paths with their joints opened, so that each part is a word."""

    function = "translate"
    template = "%(function)s(%(expressions)s, '-_./:@{}$#', '          ')"
    output_field = models.TextField()


class ApiOperation(models.Model):
    """A part of an API's definition that people look for: an operation of OpenAPI, a channel or
    message of AsyncAPI, a field or type of GraphQL, a call of gRPC.

    Worked out from the definition alone (`catalog.services.api_index`), so it can be made anew at
    any time. kind: see `catalog.kernel.api_outline.ItemKind`. position: its place in the
    definition. text: summary and description, shortened.
    """

    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.ForeignKey(
        Entity, models.CASCADE, related_name="api_operations", db_constraint=False
    )
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    name = models.TextField()
    text = models.TextField(blank=True)
    is_deprecated = models.BooleanField(default=False)
    label = models.GeneratedField(
        expression=Lower(F("name")), output_field=models.TextField(), db_persist=True
    )
    search = models.GeneratedField(
        expression=Joined(
            Vector(_Words(F("name")), config="simple", weight="A"),
            Vector(Left(F("text"), Value(10_000)), config="english", weight="B"),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["entity", "position"]
        indexes = [
            GinIndex(fields=["search"], name="api_operation_search"),
            GinIndex(OpClass(F("label"), name="gin_trgm_ops"), name="api_operation_label"),
        ]

    def __str__(self) -> str:
        return self.name
