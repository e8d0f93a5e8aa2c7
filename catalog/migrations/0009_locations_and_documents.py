import catalog.models.api_operations
import catalog.models.fields
import catalog.models.search_vectors
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.functions.text
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0008_data_migrations'),
    ]

    operations = [
        migrations.CreateModel(
            name='CatalogSettings',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rules', catalog.models.fields.OrderedJSONField(blank=True, default=list)),
                ('reading_allow', catalog.models.fields.OrderedJSONField(blank=True, default=list)),
                ('orphan_strategy', models.CharField(choices=[('delete', 'Delete it'), ('keep', 'Keep it, marked as an orphan')], default='delete', help_text='What happens to an entity that no file holds any more.', max_length=10)),
                ('is_strict', models.BooleanField(default=False, help_text='A location with one broken document or one missing file is refused as a whole.', verbose_name='As Backstage does it')),
                ('is_readonly', models.BooleanField(default=False, help_text='Locations come from here alone, not the API.', verbose_name='No registration')),
                ('refresh_interval_s', models.PositiveIntegerField(default=120, verbose_name='Seconds between two readings of a location')),
                ('kubernetes', catalog.models.fields.OrderedJSONField(blank=True, default=dict)),
            ],
            options={
                'verbose_name': 'catalogue settings',
                'verbose_name_plural': 'catalogue settings',
            },
        ),
        migrations.CreateModel(
            name='PendingDocument',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('entity_id', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='ProxyEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.CharField(max_length=200, unique=True)),
                ('target', models.TextField()),
                ('headers', catalog.models.fields.OrderedJSONField(blank=True, default=dict)),
                ('methods', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), blank=True, default=list, size=None)),
                ('allowed_headers', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, default=list, size=None)),
                ('path_rewrite', catalog.models.fields.OrderedJSONField(blank=True, default=dict)),
                ('change_origin', models.BooleanField(default=True)),
                ('credentials', models.CharField(choices=[('require', 'Only for those logged in'), ('forward', 'Only for those logged in; their token is passed on'), ('dangerously-allow-unauthenticated', 'For everybody')], default='require', max_length=40)),
                ('is_enabled', models.BooleanField(default=True)),
                ('calls', models.PositiveBigIntegerField(default=0, editable=False)),
                ('last_used_at', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=300)),
                ('updated_at', models.DateTimeField()),
                ('updated_by', models.CharField(max_length=300)),
            ],
            options={
                'ordering': ['path'],
            },
        ),
        migrations.CreateModel(
            name='DocSite',
            fields=[
                ('entity', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='docs', serialize=False, to='catalog.entity')),
                ('ref', models.TextField()),
                ('sources', catalog.models.fields.OrderedJSONField(default=dict)),
                ('state', models.CharField(choices=[('pending', 'Not built yet'), ('ready', 'Up to date'), ('failed', 'Cannot be built')], default='pending', max_length=10)),
                ('log', models.TextField(blank=True)),
                ('revision', models.TextField(blank=True)),
                ('version', models.CharField(blank=True, max_length=32)),
                ('name', models.TextField(blank=True)),
                ('description', models.TextField(blank=True)),
                ('nav', catalog.models.fields.OrderedJSONField(default=list)),
                ('warnings', catalog.models.fields.OrderedJSONField(default=list)),
                ('page_count', models.PositiveIntegerField(default=0)),
                ('size_bytes', models.BigIntegerField(default=0)),
                ('next_check_at', models.DateTimeField(null=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('built_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['ref'], name='doc_site_ref'), models.Index(condition=models.Q(('next_check_at__isnull', False)), fields=['next_check_at'], name='doc_site_due')],
            },
        ),
        migrations.CreateModel(
            name='EntityDocument',
            fields=[
                ('entity', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='document', serialize=False, to='catalog.entity')),
                ('ref', models.TextField(db_collation='C')),
                ('uid', models.UUIDField(unique=True)),
                ('kind', models.TextField()),
                ('name', models.TextField(db_collation='C')),
                ('document', catalog.models.fields.OrderedJSONField()),
                ('pairs', models.JSONField()),
                ('terms', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('etag', models.CharField(max_length=40)),
            ],
            options={
                'indexes': [models.Index(django.db.models.functions.text.Lower('kind'), models.F('uid'), name='document_kind'), models.Index(fields=['kind'], name='document_kinds'), models.Index(fields=['name', 'uid'], name='document_name'), django.contrib.postgres.indexes.GinIndex(fields=['terms'], name='document_terms')],
                'constraints': [models.UniqueConstraint(fields=('ref',), name='document_ref')],
            },
        ),
        migrations.CreateModel(
            name='Location',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('type', models.CharField(choices=[('url', 'Address'), ('file', 'File')], default='url', max_length=10)),
                ('target', models.TextField()),
                ('presence', models.CharField(choices=[('required', 'Required'), ('optional', 'Optional')], default='required', max_length=10)),
                ('provider', models.CharField(choices=[('registered', 'Registered'), ('configured', 'Configured'), ('discovered', 'Discovered')], default='registered', editable=False, max_length=20)),
                ('rules', catalog.models.fields.OrderedJSONField(blank=True, default=list)),
                ('is_trusted', models.BooleanField(default=True, editable=False)),
                ('entity_ref', models.TextField(editable=False)),
                ('state', models.CharField(choices=[('pending', 'Not read yet'), ('ready', 'Read'), ('partial', 'Read with errors'), ('failed', 'Cannot be read')], default='pending', editable=False, max_length=10)),
                ('problem', models.TextField(blank=True, editable=False)),
                ('next_refresh_at', models.DateTimeField(editable=False, null=True)),
                ('refreshed_at', models.DateTimeField(editable=False, null=True)),
                ('changed_at', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=300)),
                ('updated_at', models.DateTimeField()),
                ('updated_by', models.CharField(max_length=300)),
                ('integration', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='locations', to='catalog.integration')),
            ],
            options={
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='LocationFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.TextField()),
                ('etag', models.TextField(blank=True)),
                ('content_hash', models.BinaryField(max_length=16, null=True)),
                ('targets', catalog.models.fields.OrderedJSONField(default=list)),
                ('reads', catalog.models.fields.OrderedJSONField(default=list)),
                ('problems', catalog.models.fields.OrderedJSONField(default=list)),
                ('message', models.TextField(blank=True)),
                ('read_at', models.DateTimeField(null=True)),
                ('changed_at', models.DateTimeField(null=True)),
                ('location', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='catalog.location')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='LocatedEntity',
            fields=[
                ('entity', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='located', serialize=False, to='catalog.entity')),
                ('origin', models.TextField()),
                ('annotations', catalog.models.fields.OrderedJSONField(default=dict)),
                ('status', catalog.models.fields.OrderedJSONField(default=list)),
                ('orphaned_at', models.DateTimeField(null=True)),
                ('file', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='entities', to='catalog.locationfile')),
            ],
            options={
                'verbose_name_plural': 'located entities',
            },
        ),
        migrations.CreateModel(
            name='ApiOperation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField()),
                ('kind', models.CharField(max_length=20)),
                ('name', models.TextField()),
                ('text', models.TextField(blank=True)),
                ('is_deprecated', models.BooleanField(default=False)),
                ('label', models.GeneratedField(db_persist=True, expression=django.db.models.functions.text.Lower(models.F('name')), output_field=models.TextField())),
                ('search', models.GeneratedField(db_persist=True, expression=catalog.models.search_vectors.Joined(catalog.models.search_vectors.Vector(catalog.models.api_operations._Words(models.F('name')), config='simple', weight='A'), catalog.models.search_vectors.Vector(django.db.models.functions.text.Left(models.F('text'), models.Value(10000)), config='english', weight='B')), output_field=django.contrib.postgres.search.SearchVectorField())),
                ('entity', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='api_operations', to='catalog.entity')),
            ],
            options={
                'ordering': ['entity', 'position'],
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['search'], name='api_operation_search'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(models.F('label'), name='gin_trgm_ops'), name='api_operation_label')],
            },
        ),
        migrations.CreateModel(
            name='DocPage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.TextField()),
                ('url', models.TextField()),
                ('title', models.TextField()),
                ('html', models.TextField()),
                ('toc', catalog.models.fields.OrderedJSONField(default=list)),
                ('text', models.TextField()),
                ('position', models.PositiveIntegerField(null=True)),
                ('facts', catalog.models.fields.OrderedJSONField(default=dict)),
                ('edit_url', models.TextField(blank=True)),
                ('content_hash', models.BinaryField(max_length=16)),
                ('search', models.GeneratedField(db_persist=True, expression=catalog.models.search_vectors.Joined(catalog.models.search_vectors.Vector(django.db.models.functions.text.Left(models.F('title'), 1000), config='simple', weight='A'), catalog.models.search_vectors.Vector(django.db.models.functions.text.Left(models.F('title'), 1000), config='english', weight='A'), catalog.models.search_vectors.Vector(django.db.models.functions.text.Left(models.F('text'), models.Value(100000)), config='english', weight='C')), output_field=django.contrib.postgres.search.SearchVectorField())),
                ('site', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='pages', to='catalog.docsite')),
            ],
            options={
                'ordering': ['position', 'path'],
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['search'], name='doc_page_search'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Lower('title'), name='gin_trgm_ops'), name='doc_page_title')],
                'constraints': [models.UniqueConstraint(fields=('site', 'path'), name='doc_page_unique'), models.UniqueConstraint(deferrable=django.db.models.constraints.Deferrable['DEFERRED'], fields=('site', 'url'), name='doc_page_url_unique')],
            },
        ),
        migrations.CreateModel(
            name='DocAsset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.TextField()),
                ('content_type', models.CharField(max_length=100)),
                ('content', models.BinaryField()),
                ('content_hash', models.BinaryField(max_length=16)),
                ('site', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='assets', to='catalog.docsite')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('site', 'path'), name='doc_asset_unique')],
            },
        ),
        migrations.CreateModel(
            name='DocumentRelation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source_ref', models.TextField(db_collation='C')),
                ('type', models.TextField(db_collation='C')),
                ('target_ref', models.TextField(db_collation='C')),
                ('entity', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='document_relations', to='catalog.entity')),
            ],
            options={
                'indexes': [models.Index(fields=['source_ref', 'type', 'target_ref'], name='document_relation'), models.Index(fields=['target_ref'], name='document_relation_target')],
            },
        ),
        migrations.AddIndex(
            model_name='location',
            index=models.Index(condition=models.Q(('next_refresh_at__isnull', False)), fields=['next_refresh_at'], name='location_due'),
        ),
        migrations.AddConstraint(
            model_name='location',
            constraint=models.UniqueConstraint(fields=('type', 'target'), name='location_unique'),
        ),
        migrations.AddIndex(
            model_name='locationfile',
            index=models.Index(fields=['place'], name='location_file_place'),
        ),
        migrations.AddConstraint(
            model_name='locationfile',
            constraint=models.UniqueConstraint(fields=('location', 'place'), name='location_file_unique'),
        ),
        migrations.AddIndex(
            model_name='locatedentity',
            index=models.Index(condition=models.Q(('orphaned_at__isnull', False)), fields=['orphaned_at'], name='located_orphans'),
        ),
        # entities are deleted by SQL, and take along what is worked out of them
        migrations.RunSQL(
            "ALTER TABLE catalog_locatedentity ADD CONSTRAINT located_entity "
            "FOREIGN KEY (entity_id) REFERENCES catalog_entity (id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_locatedentity DROP CONSTRAINT located_entity",
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_entitydocument ADD CONSTRAINT document_entity "
            "FOREIGN KEY (entity_id) REFERENCES catalog_entity (id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_entitydocument DROP CONSTRAINT document_entity",
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_documentrelation ADD CONSTRAINT document_relation_entity "
            "FOREIGN KEY (entity_id) REFERENCES catalog_entity (id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_documentrelation DROP CONSTRAINT document_relation_entity",
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_docsite ADD CONSTRAINT doc_site_entity "
            "FOREIGN KEY (entity_id) REFERENCES catalog_entity (id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_docsite DROP CONSTRAINT doc_site_entity",
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_docpage ADD CONSTRAINT doc_page_site "
            "FOREIGN KEY (site_id) REFERENCES catalog_docsite (entity_id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_docpage DROP CONSTRAINT doc_page_site",
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_docasset ADD CONSTRAINT doc_asset_site "
            "FOREIGN KEY (site_id) REFERENCES catalog_docsite (entity_id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_docasset DROP CONSTRAINT doc_asset_site",
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_apioperation ADD CONSTRAINT api_operation_entity "
            "FOREIGN KEY (entity_id) REFERENCES catalog_entity (id) "
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE catalog_apioperation DROP CONSTRAINT api_operation_entity",
        ),
        # every question looks at these: they stay in the row
        migrations.RunSQL(
            "ALTER TABLE catalog_entitydocument ALTER COLUMN pairs SET STORAGE MAIN, "
            "ALTER COLUMN terms SET STORAGE MAIN",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "INSERT INTO catalog_pendingdocument (entity_id) SELECT id FROM catalog_entity",
            migrations.RunSQL.noop,
        ),
    ]
