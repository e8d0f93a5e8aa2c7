"""Computed properties: what could not be computed, and what waits to be computed anew."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0005_sources"),
    ]

    operations = [
        migrations.AddField(
            model_name="entity",
            name="computed_errors",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="StaleEntity",
            fields=[
                ("entity_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("blueprint_id", models.BigIntegerField()),
                (
                    "is_whole",
                    models.BooleanField(
                        help_text="The entity itself changed; otherwise only what its values are read from."
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "stale entities",
                "indexes": [
                    models.Index(fields=["blueprint_id", "entity_id"], name="stale_blueprint")
                ],
            },
        ),
    ]
