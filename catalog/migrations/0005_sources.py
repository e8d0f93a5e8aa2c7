"""Sources: how they are set up, their runs and logs, live events, and what they own."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import catalog.models.fields
import catalog.models.sources


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0004_entity_email"),
    ]

    operations = [
        migrations.CreateModel(
            name="Secret",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9_-]+\\Z", "Letters, digits, - and _ only."
                            )
                        ],
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=200)),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=300)),
                ("updated_at", models.DateTimeField()),
                ("updated_by", models.CharField(max_length=300)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Integration",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("identifier", models.CharField(max_length=100)),
                ("title", models.CharField(blank=True, max_length=200)),
                ("icon", models.CharField(blank=True, max_length=100)),
                ("description", models.TextField(blank=True)),
                ("kind", models.CharField(max_length=100)),
                ("runs_here", models.BooleanField(default=True, editable=False)),
                (
                    "is_enabled",
                    models.BooleanField(
                        default=True,
                        help_text="Off: no schedule and no live events; what it wrote stays.",
                    ),
                ),
                ("settings", catalog.models.fields.OrderedJSONField(blank=True, default=dict)),
                ("sealed", models.BinaryField(null=True)),
                ("mapping", catalog.models.fields.OrderedJSONField(blank=True, default=dict)),
                (
                    "schedule",
                    models.CharField(
                        blank=True,
                        help_text='Like "every 15m", "every 6h", or a cron line like "0 3 * * *" (UTC). Empty: only by hand.',
                        max_length=100,
                    ),
                ),
                ("next_run_at", models.DateTimeField(editable=False, null=True)),
                (
                    "webhook_key",
                    models.CharField(
                        default=catalog.models.sources.new_webhook_key,
                        editable=False,
                        max_length=64,
                        unique=True,
                    ),
                ),
                (
                    "attributes",
                    catalog.models.fields.OrderedJSONField(
                        blank=True, default=dict, editable=False
                    ),
                ),
                ("resync_state", catalog.models.fields.OrderedJSONField(editable=False, null=True)),
                ("resync_requested_at", models.DateTimeField(editable=False, null=True)),
                ("cursors", models.JSONField(default=dict, editable=False)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=300)),
                ("updated_at", models.DateTimeField()),
                ("updated_by", models.CharField(max_length=300)),
            ],
            options={
                "verbose_name": "source",
                "ordering": ["identifier"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_run_at__isnull", False)),
                        fields=["next_run_at"],
                        name="integration_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "webhook"), _negated=True),
                        fields=("identifier",),
                        name="integration_unique",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "webhook")),
                        fields=("identifier",),
                        name="webhook_unique",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SyncRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("succeeded", "Succeeded"),
                            ("partial", "Completed with errors"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="queued",
                        max_length=20,
                    ),
                ),
                (
                    "trigger",
                    models.CharField(
                        choices=[
                            ("manual", "Manual"),
                            ("schedule", "Schedule"),
                            ("api", "Api"),
                            ("exporter", "Exporter"),
                        ],
                        default="manual",
                        max_length=20,
                    ),
                ),
                ("requested_by", models.CharField(blank=True, max_length=300)),
                ("is_dry_run", models.BooleanField(default=False)),
                ("only_kinds", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("heartbeat_at", models.DateTimeField(null=True)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("claim", models.UUIDField(null=True)),
                ("cursor", models.JSONField(null=True)),
                ("kinds", models.JSONField(default=list)),
                ("stale", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True)),
                ("error_code", models.CharField(blank=True, max_length=50)),
                ("external_id", models.CharField(blank=True, max_length=100)),
                ("reported", models.JSONField(default=dict)),
                ("refused", models.PositiveIntegerField(default=0)),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="runs",
                        to="catalog.integration",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["state", "heartbeat_at"], name="sync_run_state")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("state", "running"), models.Q(("trigger", "exporter"), _negated=True)
                        ),
                        fields=("integration",),
                        name="sync_run_one_running",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "queued")),
                        fields=("integration",),
                        name="sync_run_one_queued",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("external_id", ""), _negated=True),
                        fields=("integration", "external_id"),
                        name="sync_run_external",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="InboundEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("delivery", models.CharField(max_length=200)),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("headers", models.JSONField(default=dict)),
                ("query", models.JSONField(default=dict)),
                ("body", models.BinaryField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("done", "Done"),
                            ("ignored", "Ignored"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("processed_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
                ("results", models.JSONField(default=list)),
                (
                    "integration",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="catalog.integration",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["integration", "id"],
                        name="inbound_event_queue",
                    ),
                    models.Index(fields=["received_at"], name="inbound_event_received"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("integration", "delivery"), name="inbound_event_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SyncMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("debug", "Debug"),
                            ("info", "Info"),
                            ("warning", "Warning"),
                            ("error", "Error"),
                        ],
                        default="info",
                        max_length=10,
                    ),
                ),
                ("stage", models.CharField(blank=True, max_length=20)),
                ("kind", models.CharField(blank=True, max_length=200)),
                ("blueprint", models.CharField(blank=True, max_length=100)),
                ("identifier", models.CharField(blank=True, max_length=1000)),
                ("field", models.CharField(blank=True, max_length=300)),
                ("message", models.TextField()),
                ("details", models.JSONField(default=dict)),
                ("item", models.JSONField(null=True)),
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="catalog.inboundevent",
                    ),
                ),
                (
                    "integration",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="catalog.integration",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="catalog.syncrun",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [
                    models.Index(fields=["integration", "at"], name="sync_message_at"),
                    models.Index(fields=["blueprint", "identifier"], name="sync_message_entity"),
                    models.Index(
                        condition=models.Q(("level", "error")),
                        fields=["at"],
                        name="sync_message_error",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Postponed",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("index", models.PositiveIntegerField()),
                ("blueprint", models.CharField(max_length=100)),
                ("body", catalog.models.fields.OrderedJSONField()),
                ("item", models.JSONField(null=True)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="postponed",
                        to="catalog.syncrun",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "postponed",
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Owned",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=200)),
                ("is_creator", models.BooleanField(default=False)),
                ("run", models.BigIntegerField(null=True)),
                ("seen_at", models.DateTimeField()),
                (
                    "entity",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="owned_by_sources",
                        to="catalog.entity",
                    ),
                ),
                (
                    "integration",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="owned",
                        to="catalog.integration",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("integration", "kind", "entity"), name="owned_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="KindExample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=200)),
                ("data", catalog.models.fields.OrderedJSONField()),
                ("seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "integration",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="examples",
                        to="catalog.integration",
                    ),
                ),
            ],
            options={
                "ordering": ["kind", "pk"],
                "indexes": [models.Index(fields=["integration", "kind"], name="kind_example_kind")],
            },
        ),
        # Entities are deleted by SQL, and take these rows along.
        migrations.RunSQL(
            "ALTER TABLE catalog_owned ADD CONSTRAINT owned_entity FOREIGN KEY (entity_id) "
            "REFERENCES catalog_entity (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_owned DROP CONSTRAINT owned_entity",
        ),
    ]
