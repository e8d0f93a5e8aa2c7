import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0012_proxy_calls"),
    ]

    operations = [
        # documents are worked out anew
        migrations.RunSQL(
            [
                "DELETE FROM catalog_documentrelation",
                "DELETE FROM catalog_entitydocument",
                "INSERT INTO catalog_pendingdocument (entity_id) SELECT id FROM catalog_entity",
                # what is deferred would stand in the way of the changes below
                "SET CONSTRAINTS ALL IMMEDIATE",
            ],
            migrations.RunSQL.noop,
        ),
        migrations.AddField(
            model_name="entitydocument",
            name="kind",
            field=models.TextField(default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="entitydocument",
            name="name",
            field=models.TextField(db_collation="C", default=""),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="entitydocument",
            name="ref",
            field=models.TextField(db_collation="C"),
        ),
        migrations.AlterField(
            model_name="documentrelation",
            name="source_ref",
            field=models.TextField(db_collation="C"),
        ),
        migrations.AlterField(
            model_name="documentrelation",
            name="type",
            field=models.TextField(db_collation="C"),
        ),
        migrations.AlterField(
            model_name="documentrelation",
            name="target_ref",
            field=models.TextField(db_collation="C"),
        ),
        migrations.AddIndex(
            model_name="documentrelation",
            index=models.Index(fields=["target_ref"], name="document_relation_target"),
        ),
        migrations.AddIndex(
            model_name="entitydocument",
            index=models.Index(
                django.db.models.functions.text.Lower("kind"),
                models.F("uid"),
                name="document_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="entitydocument",
            index=models.Index(fields=["kind"], name="document_kinds"),
        ),
        migrations.AddIndex(
            model_name="entitydocument",
            index=models.Index(fields=["name", "uid"], name="document_name"),
        ),
        migrations.AddConstraint(
            model_name="entitydocument",
            constraint=models.UniqueConstraint(fields=["ref"], name="document_ref"),
        ),
        # What is looked at in every row stays in the row; the document goes out first.
        migrations.RunSQL(
            "ALTER TABLE catalog_entitydocument ALTER COLUMN pairs SET STORAGE MAIN, "
            "ALTER COLUMN terms SET STORAGE MAIN",
            migrations.RunSQL.noop,
        ),
    ]
