"""Addresses under /v1. `<segment:…>` is one encoded part of the path, decoded for the view.

Fixed words come before identifiers: `blueprints/entities/…` is no blueprint called "entities".
"""

from django.urls import path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from catalog.api import (
    aggregates,
    audit,
    blueprints,
    bulk,
    entities,
    ingest,
    integrations,
    integrations_reports,
    migrations,
    pages,
    permissions,
    search,
    secrets,
    webhooks,
)

_ONE = "blueprints/<segment:blueprint>"
_SOURCE = "integration/<segment:integration>"
_PAGE = "pages/<segment:page>"

urlpatterns = [
    path("blueprints", blueprints.BlueprintList.as_view()),
    path("blueprints/entities/datasource-entities", search.DatasourceEntities.as_view()),
    path("blueprints/system/<segment:blueprint>/structure", blueprints.SystemStructure.as_view()),
    path(_ONE, blueprints.BlueprintDetail.as_view()),
    path(f"{_ONE}/preview", blueprints.BlueprintPreview.as_view()),
    path(f"{_ONE}/all-entities", blueprints.BlueprintEntities.as_view()),
    path(f"{_ONE}/properties/<segment:property>/rename", blueprints.PropertyRename.as_view()),
    path(f"{_ONE}/mirror/<segment:mirror>/rename", blueprints.MirrorRename.as_view()),
    path(f"{_ONE}/relations/<segment:relation>/rename", blueprints.RelationRename.as_view()),
    path(f"{_ONE}/entities", entities.EntityList.as_view()),
    path(f"{_ONE}/entities/bulk", bulk.BulkWrite.as_view(), {"entity": "bulk"}),
    path(f"{_ONE}/entities/search", search.BlueprintSearch.as_view(), {"entity": "search"}),
    path(f"{_ONE}/entities/<segment:entity>", entities.EntityDetail.as_view()),
    path(f"{_ONE}/entities/<segment:entity>/history", entities.EntityHistory.as_view()),
    path(f"{_ONE}/entities-count", entities.EntityCount.as_view()),
    path(f"{_ONE}/bulk/entities/delete", bulk.BulkDelete.as_view()),
    path("entities/search", search.Search.as_view()),
    path("entities/aggregate", aggregates.Aggregate.as_view()),
    path("entities/aggregate-over-time", aggregates.AggregateOverTime.as_view()),
    path("entities/properties-history", aggregates.PropertiesHistory.as_view()),
    path(f"{_ONE}/permissions", permissions.BlueprintPermissions.as_view()),
    path("organization/secrets", secrets.SecretList.as_view()),
    path("organization/secrets/<segment:secret>", secrets.SecretDetail.as_view()),
    path("audit-log", audit.AuditLog.as_view()),
    path("pages", pages.PageList.as_view()),
    path(_PAGE, pages.PageDetail.as_view()),
    path(f"{_PAGE}/permissions", pages.PagePermissions.as_view()),
    path(f"{_PAGE}/widgets/<segment:widget>", pages.PageWidget.as_view()),
    path("sidebars/<segment:sidebar>", pages.Sidebar.as_view()),
    path("sidebars/<segment:sidebar>/folders", pages.FolderList.as_view()),
    path("sidebars/<segment:sidebar>/folders/<segment:folder>", pages.FolderDetail.as_view()),
    path("webhooks", webhooks.WebhookList.as_view()),
    path("webhooks/ingest/<segment:key>", ingest.Ingest.as_view()),
    path("webhooks/<segment:webhook>", webhooks.WebhookDetail.as_view()),
    path("webhooks/<segment:webhook>/test", webhooks.WebhookTest.as_view()),
    path("webhooks/<segment:webhook>/events", webhooks.WebhookEvents.as_view()),
    path("migrations", migrations.MigrationList.as_view()),
    path("migrations/<segment:migration>", migrations.MigrationDetail.as_view()),
    path("migrations/<segment:migration>/cancel", migrations.MigrationCancel.as_view()),
    path("integration", integrations.IntegrationList.as_view()),
    path("integration/provision-enabled", integrations.ProvisionEnabled.as_view()),
    path("integration/metadata", integrations.IntegrationMetadata.as_view()),
    path(_SOURCE, integrations.IntegrationDetail.as_view()),
    path(f"{_SOURCE}/config", integrations.IntegrationConfig.as_view()),
    path(f"{_SOURCE}/resync-state", integrations_reports.ResyncState.as_view()),
    path(f"{_SOURCE}/resync-request", integrations_reports.ResyncRequest.as_view()),
    path(f"{_SOURCE}/kinds", integrations_reports.Kinds.as_view()),
    path(f"{_SOURCE}/kinds/<segment:kind>/examples", integrations_reports.KindExamples.as_view()),
    path(f"{_SOURCE}/cursor", integrations_reports.Cursor.as_view()),
    path(f"{_SOURCE}/logs", integrations_reports.Logs.as_view()),
    path(f"{_SOURCE}/syncsMetadata", integrations_reports.SyncsMetadata.as_view()),
    path(f"{_SOURCE}/syncMetrics", integrations_reports.SyncMetrics.as_view()),
    path(f"{_SOURCE}/ingest/logs", integrations_reports.IngestLogs.as_view()),
    path(f"{_SOURCE}/ingest/metrics/syncMetrics", integrations_reports.IngestMetrics.as_view()),
    path(
        f"{_SOURCE}/ingest/metrics/syncMetrics/resync/<segment:event>/kind/<segment:kind>",
        integrations_reports.IngestKindMetrics.as_view(),
    ),
    path(f"{_SOURCE}/ingest/metrics/heartbeat", integrations_reports.IngestHeartbeat.as_view()),
    path("kafka-credentials", integrations.NoKafka.as_view()),
    path("workflows/runs/claim-pending", integrations.PendingWorkflowRuns.as_view()),
]
