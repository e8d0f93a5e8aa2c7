from __future__ import annotations

from django.db import models


class Change(models.Model):
    """One row of the append-only feed: audit log, history and outbox at once.

    `before` and `after` hold only what changed, in the shape of the object itself ({"title": …,
    "properties": {"tier": …}}); a key missing on one side was absent there. A creation has
    neither (the thing itself is the value), a deletion has the whole thing in `before`.
    `transaction` is the writing transaction's id: rows are read in the order of (transaction,
    id) and only below the oldest running transaction, because ids alone become visible out of
    order. The table is partitioned by month of `at`; see `catalog.kernel.feed`.
    """

    ENTITY = "entity"  # values of `model`; other apps use their own words
    BLUEPRINT = "blueprint"
    INTEGRATION = "integration"
    SECRET = "secret"  # noqa: S105 - a name, not one
    PROXY = "proxy"
    LOCATION = "location"
    SETTINGS = "settings"
    # Of these, identifier and object_id are the entity's. A fact is {key: value}, in `after` of its
    # creation too; what became of points of a series is {"key", "points", "first", "last"}, in
    # `before` where they were deleted.
    FACT = "fact"
    METRIC = "metric"
    MIGRATION = "migration"  # an act on many entities at once; `after` counts them

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    transaction = models.BigIntegerField()
    actor_kind = models.CharField(max_length=20)
    actor = models.CharField(max_length=300)
    datasource = models.TextField(default="")
    request_id = models.CharField(max_length=100, default="")
    action = models.CharField(max_length=20)
    model = models.CharField(max_length=50)
    blueprint = models.CharField(max_length=100, default="")
    identifier = models.CharField(max_length=1000)
    object_id = models.BigIntegerField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    run = models.CharField(max_length=100, default="")

    class Meta:
        managed = False  # created by SQL: Django cannot declare partitions
        db_table = "catalog_change"
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.model} {self.blueprint}:{self.identifier}"


class FeedConsumer(models.Model):
    """How far a consumer of the feed has come; moved in the transaction of its work."""

    name = models.CharField(max_length=100, primary_key=True)
    transaction = models.BigIntegerField(default=0)
    change_id = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} at {self.transaction}/{self.change_id}"
