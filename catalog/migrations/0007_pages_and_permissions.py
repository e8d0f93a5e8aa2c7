"""Pages and their folders; who may write the entities of a blueprint."""

from django.db import migrations, models

import catalog.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0006_computed_values"),
    ]

    operations = [
        migrations.CreateModel(
            name="Page",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("identifier", models.CharField(max_length=1000, unique=True)),
                ("document", catalog.models.fields.OrderedJSONField(default=dict)),
                ("permissions", catalog.models.fields.OrderedJSONField(editable=False, null=True)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=300)),
                ("updated_at", models.DateTimeField()),
                ("updated_by", models.CharField(max_length=300)),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Folder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sidebar", models.CharField(default="catalog", max_length=100)),
                ("identifier", models.CharField(max_length=1000)),
                ("document", catalog.models.fields.OrderedJSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=300)),
                ("updated_at", models.DateTimeField()),
                ("updated_by", models.CharField(max_length=300)),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("sidebar", "identifier"), name="folder_unique")
                ],
            },
        ),
        migrations.AddField(
            model_name="blueprint",
            name="permissions",
            field=catalog.models.fields.OrderedJSONField(
                editable=False,
                help_text="Who may write its entities; see catalog.services.blueprint_permissions.",
                null=True,
            ),
        ),
    ]
