from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from catalog.models.fields import OrderedJSONField


class ProxyEndpoint(models.Model):
    """An address of another system that is served under `/api/proxy/<path>/…`.

    path: "/pagerduty/api". headers: added to each request, {name: value}; `${NAME}` in a value is
    a secret of the organisation. methods: empty means all. allowed_headers: names that are let
    through from the caller beside the usual ones. path_rewrite: {pattern: replacement}, Backstage's
    `pathRewrite`; empty: the path under ours is appended to the target. calls: how many were let
    through.
    """

    class Credentials(models.TextChoices):
        REQUIRE = "require", "Only for those logged in"
        FORWARD = "forward", "Only for those logged in; their token is passed on"
        OPEN = "dangerously-allow-unauthenticated", "For everybody"

    path = models.CharField(max_length=200, unique=True)
    target = models.TextField()
    headers: Any = OrderedJSONField(default=dict, blank=True)
    methods = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    allowed_headers = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    path_rewrite: Any = OrderedJSONField(default=dict, blank=True)
    change_origin = models.BooleanField(default=True)
    credentials = models.CharField(
        max_length=40, choices=Credentials.choices, default=Credentials.REQUIRE
    )
    is_enabled = models.BooleanField(default=True)
    calls = models.PositiveBigIntegerField(default=0, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path
