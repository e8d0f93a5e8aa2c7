"""What exporters report of their runs, and how much of it we refused."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("catalog", "0007_pages_and_permissions"),
    ]

    operations = [
        migrations.AddField(
            model_name="syncrun",
            name="refused",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="syncrun",
            name="reported",
            field=models.JSONField(default=dict),
        ),
    ]
