import django.utils.timezone
from django.db import migrations, models


def create_row(apps, schema_editor):
    apps.get_model("idp", "Organization").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("idp", "0002_favourites_and_saved_views")]

    operations = [
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(default="My organisation", max_length=100)),
                ("settings", models.JSONField(blank=True, default=dict)),
                ("announcement", models.JSONField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("pk", 1)), name="organization_is_one"
                    )
                ],
            },
        ),
        migrations.RunPython(create_row, migrations.RunPython.noop),
    ]
