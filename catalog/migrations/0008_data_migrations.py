"""Migrations of data from one blueprint to another, as runs."""

import django.utils.timezone
from django.db import migrations, models

import catalog.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0007_pages_and_permissions"),
    ]

    operations = [
        migrations.CreateModel(
            name="DataMigration",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source_blueprint", models.CharField(max_length=100)),
                ("mapping", catalog.models.fields.OrderedJSONField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDING", "Pending"),
                            ("RUNNING", "Running"),
                            ("COMPLETED", "Completed"),
                            ("FAILURE", "Failure"),
                            ("PENDING_CANCELLATION", "Pending Cancellation"),
                            ("CANCELLED", "Cancelled"),
                        ],
                        default="PENDING",
                        max_length=30,
                    ),
                ),
                ("actor_kind", models.CharField(max_length=20)),
                ("actor", models.CharField(max_length=300)),
                ("cursor", models.BigIntegerField(default=0)),
                ("last", models.BigIntegerField(default=0)),
                ("total", models.PositiveIntegerField(default=0)),
                ("success_count", models.PositiveIntegerField(default=0)),
                ("failure_count", models.PositiveIntegerField(default=0)),
                ("filtered", models.PositiveIntegerField(default=0)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("failures", models.JSONField(default=list)),
                ("reason", models.TextField(blank=True)),
                ("error", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
    ]
