"""Finds what an old name has become, without reading the whole feed."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_change_feed")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX change_renamed ON catalog_change (blueprint, (before -> 'identifier')) "
            "WHERE action = 'rename'",
            "DROP INDEX change_renamed",
        ),
    ]
