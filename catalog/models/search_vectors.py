"""Vectors of text search as generated columns."""

from __future__ import annotations

from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Func


class Vector(Func):
    """`to_tsvector` with a weight: both are immutable when the configuration is a constant."""

    template = "setweight(to_tsvector('%(config)s'::regconfig, %(expressions)s), '%(weight)s')"
    output_field = SearchVectorField()

    def __init__(
        self, expression: models.Expression | models.F, *, config: str, weight: str
    ) -> None:
        super().__init__(expression, config=config, weight=weight)


class Joined(Func):
    """Several vectors as one."""

    template = "(%(expressions)s)"
    arg_joiner = " || "
    output_field = SearchVectorField()
