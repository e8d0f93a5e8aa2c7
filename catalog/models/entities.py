from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, HashIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Concat, Left, Lower

from catalog.kernel.actors import Principal
from catalog.models.blueprints import Blueprint, RelationDefinition
from catalog.models.fields import OrderedJSONField
from catalog.models.search_vectors import Joined, Vector

# What an entity says, as hashed, compared, kept in the history and restored from there.
CONTENT_COLUMNS = [
    "title",
    "icon",
    "team",
    "properties",
    "relations",
    "descriptor",
    "location",
]


class EntityQuerySet(models.QuerySet["Entity"]):
    def visible_to(self, principal: Principal) -> EntityQuerySet:
        """Keep what `principal` may read. Read permission is decided here and nowhere else."""
        if principal.is_authenticated and principal.is_active:
            return self
        return self.none()

    def owned_by(self, teams: list[str]) -> EntityQuerySet:
        """Keep what any of the teams (identifiers of `_team` entities) owns."""
        return self.filter(team__overlap=teams)


class _Words(Func):
    """`identifier` and `title` with the joints of names opened, so that each part is a word."""

    function = "translate"
    template = "%(function)s(%(expressions)s, '-_./:@', '      ')"
    output_field = models.TextField()


def _names() -> Concat:
    title = Coalesce(F("title"), Value(""), output_field=models.TextField())
    return Concat(F("identifier"), Value(" "), title, output_field=models.TextField())


def name_in_order() -> Lower:
    """What people sort by: the title, or else the identifier, whatever its capitals.

    With the blueprint before and the pk behind it, this is the index `entity_title`.
    """
    return Lower(Coalesce("title", "identifier", output_field=models.TextField()))


class Entity(models.Model):
    """One thing in the catalogue: a service, a cluster, a team. Its blueprint gives its shape.

    `relations` holds the stated targets as the API shows them ({"owner": "_team:core", "apis":
    ["a", "b"]}); the rows of `Relation` are the index of the same facts for walking the graph, and
    are written from it in the same statement batch. `computed` holds derived values,
    `computed_errors` says why some of them are missing ({name: message}). Where the blueprint
    inherits ownership, `team` is derived too.
    `descriptor` is the foreign document the entity came from, whole; `location` the place it was
    read from ("file:…", "url:…"). `datasource` is the User-Agent of the last writer.
    """

    blueprint = models.ForeignKey(Blueprint, models.PROTECT, related_name="entities")
    identifier = models.CharField(max_length=1000)
    title = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is not ""
    icon = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - null is not ""
    team = ArrayField(models.CharField(max_length=1000), default=list, blank=True)
    properties = models.JSONField(default=dict, blank=True)
    relations = models.JSONField(default=dict, blank=True)
    computed = models.JSONField(default=dict, blank=True, editable=False)
    computed_errors = models.JSONField(null=True, editable=False)
    descriptor = OrderedJSONField(null=True, blank=True, editable=False)
    location = models.TextField(null=True, editable=False)  # noqa: DJ001 - null: not from a file
    content_hash = models.BinaryField(max_length=16, editable=False)
    datasource = models.TextField(default="", editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)
    label = models.GeneratedField(
        expression=Lower(_names()),
        output_field=models.TextField(),
        db_persist=True,
    )
    search = models.GeneratedField(
        expression=Joined(
            Vector(
                _Words(_names()),
                config="simple",
                weight="A",
            ),
            Vector(
                # a tsvector may hold 1 MB at most; a longer one would refuse the row
                Left(
                    Coalesce(KeyTextTransform("description", "properties"), Value("")),
                    100_000,
                ),
                config="english",
                weight="B",
            ),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = EntityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entities"
        constraints = [
            models.UniqueConstraint(fields=["blueprint", "identifier"], name="entity_unique"),
        ]
        indexes = [
            models.Index(fields=["identifier"], name="entity_identifier"),
            models.Index(
                F("blueprint"),
                name_in_order(),
                F("id"),
                name="entity_title",
            ),
            models.Index(fields=["blueprint", "updated_at", "id"], name="entity_updated"),
            models.Index(
                OpClass(F("datasource"), name="text_pattern_ops"),
                name="entity_datasource",
            ),
            HashIndex(fields=["location"], name="entity_location"),
            # by hash, since a property called email may be of any length
            HashIndex(
                Lower(KeyTextTransform("email", "properties")),
                condition=Q(properties__has_key="email"),
                name="entity_email",
            ),
            GinIndex(
                fields=["properties"],
                opclasses=["jsonb_path_ops"],
                name="entity_properties",
            ),
            GinIndex(fields=["team"], name="entity_team"),
            GinIndex(fields=["search"], name="entity_search"),
            GinIndex(OpClass(F("label"), name="gin_trgm_ops"), name="entity_label"),
        ]

    def __str__(self) -> str:
        return self.title or self.identifier

    @property
    def ref(self) -> str:
        """`blueprint:identifier`; needs `blueprint` loaded."""
        return f"{self.blueprint.identifier}:{self.identifier}"


class Relation(models.Model):
    """One edge. `target` is null while the thing it names is not in the catalogue (yet)."""

    source = models.ForeignKey(Entity, models.CASCADE, related_name="outgoing")
    # No constraint in the database: there are few definitions, only blueprint services delete
    # them, and a check for each of millions of edges would be a third of the cost of writing.
    definition = models.ForeignKey(
        RelationDefinition, models.CASCADE, related_name="+", db_constraint=False
    )
    position = models.PositiveIntegerField(default=0)
    target_blueprint = models.CharField(max_length=100)
    target_identifier = models.CharField(max_length=1000)
    target = models.ForeignKey(Entity, models.SET_NULL, null=True, related_name="incoming")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "source",
                    "definition",
                    "target_blueprint",
                    "target_identifier",
                ],
                name="relation_unique",
            ),
        ]
        indexes = [
            models.Index(
                fields=["target_blueprint", "target_identifier"],
                name="relation_dangling",
                condition=Q(target__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} -> {self.target_blueprint}:{self.target_identifier}"


class StaleEntity(models.Model):
    """An entity whose computed values wait to be refreshed. Kept without constraints: the entity
    may be gone by then.
    """

    entity_id = models.BigIntegerField(primary_key=True)
    blueprint_id = models.BigIntegerField()
    is_whole = models.BooleanField(
        help_text="The entity itself changed; otherwise only what its values are read from."
    )

    class Meta:
        verbose_name_plural = "stale entities"
        indexes = [models.Index(fields=["blueprint_id", "entity_id"], name="stale_blueprint")]

    def __str__(self) -> str:
        return str(self.entity_id)
