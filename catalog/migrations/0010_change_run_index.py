from django.db import migrations


class Migration(migrations.Migration):
    """What one run changed is found without reading the feed."""

    dependencies = [("catalog", "0009_locations_and_documents")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX catalog_change_run ON catalog_change (run, id) WHERE run <> ''",
            "DROP INDEX catalog_change_run",
        )
    ]
